// SPDX-License-Identifier: BSD-3-Clause
// The loop of a path; see world.hpp. Layer: bench.
#include "world.hpp"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>

namespace handfast::paths {

Time real_now() {
  timespec ts{};
  ::clock_gettime(CLOCK_MONOTONIC, &ts);
  return Time{std::chrono::seconds{ts.tv_sec} + std::chrono::nanoseconds{ts.tv_nsec}};
}

void be_prompt(bool spins) {
  (void)::prctl(PR_SET_TIMERSLACK, 1);
  const sched_param first{1};
  // A thread that never sleeps must not shut everybody else out.
  if (spins || ::sched_setscheduler(0, SCHED_RR, &first) != 0) (void)::setpriority(PRIO_PROCESS, 0, -20);
}

World::World(std::uint64_t seed, bool real_time, bool spin)
    : real_time_(real_time),
      spin_(spin),
      now_(real_time ? real_now() : Time{1s}),
      ways_{emulator::Direction{seed}, emulator::Direction{seed + 1}} {}

Host& World::add(Side side, std::unique_ptr<Host> host) {
  host->out = [this, i = index(side)](std::span<const std::byte> frame) { ways_[i].push(now_, frame); };
  hosts_[index(side)].push_back(std::move(host));
  return *hosts_[index(side)].back();
}

void World::arrive(std::size_t side, std::span<const std::byte> frame) {
  if (frame.size() < 6) return;
  const bool group = (std::to_integer<unsigned>(frame[0]) & 1) != 0;
  for (const auto& host : hosts_[side]) {
    const auto mac = std::as_bytes(std::span{host->mac().bytes});
    if (group || std::ranges::equal(frame.first(6), mac)) host->receive(frame);
  }
}

void World::deliver() {
  for (std::size_t from = 0; from < 2; ++from)
    ways_[from].deliver(now_, [&](Time due, std::span<const std::byte> frame) {
      if (real_time_) late_us_.push_back(static_cast<float>((now_ - due).count()) / 1000);
      arrive(1 - from, frame);
    });
}

Time World::next_event() const {
  Time next = Time::max();
  for (const emulator::Direction& way : ways_)
    if (const auto due = way.next()) next = std::min(next, *due);
  for (const auto& side : hosts_)
    for (const auto& host : side)
      if (const auto due = host->next_deadline()) next = std::min(next, *due);
  return next;
}

void World::step(Time end) {
  for (const auto& side : hosts_)
    for (const auto& host : side) host->poll(now_);
  const Time until = std::min(end, next_event());
  if (real_time_)
    wait(until);
  else
    now_ = std::max(now_, until);
  deliver();
}

/// Until `until`, or a descriptor has something; whatever it has is taken.
void World::wait(Time until) {
  fds_.clear();
  owners_.clear();
  for (const auto& side : hosts_)
    for (const auto& host : side) {
      host->watch(fds_);
      owners_.resize(fds_.size(), host.get());
    }
  const Time before = real_now();
  const Duration left = spin_ || until <= before ? Duration{0} : until - before;
  const timespec limit{static_cast<time_t>(left / 1s), static_cast<long>((left % 1s).count())};
  const int ready = ::ppoll(fds_.data(), fds_.size(), &limit, nullptr);
  now_ = real_now();
  if (ready <= 0) return;
  for (std::size_t i = 0; i < fds_.size(); ++i)
    if (fds_[i].revents != 0) owners_[i]->ready(fds_[i]);
}

Lateness World::take_lateness() {
  Lateness l;
  l.frames = late_us_.size();
  if (!late_us_.empty()) {
    const auto at = [&](std::size_t i) {
      std::ranges::nth_element(late_us_, late_us_.begin() + static_cast<std::ptrdiff_t>(i));
      return Duration{static_cast<Duration::rep>(late_us_[i] * 1000)};
    };
    l.p99 = at(late_us_.size() * 99 / 100);
    l.most = at(late_us_.size() - 1);
  }
  late_us_.clear();
  return l;
}

}  // namespace handfast::paths
