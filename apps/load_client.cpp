// SPDX-License-Identifier: BSD-3-Clause
// When the load tester starts connections, and what it does about unusual answers. Layer: apps.
#include "load_client.hpp"

#include <algorithm>

namespace handfast::apps {
namespace {

constexpr std::uint64_t starts_per_wake = 64;  // a burst; more come with the next poll
constexpr Duration resolve_every = 5ms;
constexpr Duration retry_after = 5ms;  // no port or no block was free

}  // namespace

std::string_view cause_name(std::size_t cause) {
  if (cause == cause_closed_early) return "closed_early";
  if (cause == cause_bad_answer) return "bad_answer";
  return name(static_cast<CloseReason>(cause));
}

LoadClient::LoadClient(const LoadPlan& plan) : plan_(plan) {
  for (auto& sample : samples_) sample = std::make_unique<LoadSample>();
  active_ = samples_[0].get();
}

Expected<void> LoadClient::start(Core& core) {
  core_ = &core;
  auto handler = core.add_handler_ref(*this);
  if (!handler) return tl::unexpected(handler.error());
  handler_ = *handler;
  resolve_since_ = core.now();
  if (plan_.count == 0)
    phase_.store(LoadPhase::done, std::memory_order_release);
  else
    wake_in(Duration{0});
  return {};
}

void LoadClient::wake_in(Duration delay) {
  if (waking_) return;
  waking_ = core_->arm(
      delay, [](void* self) { static_cast<LoadClient*>(self)->wake(); }, this);
}

void LoadClient::wake() {
  waking_ = false;
  switch (phase()) {
    case LoadPhase::resolving:
      // Or else the whole first burst would wait for one ARP answer, and some of it be lost.
      unresolved_ = !core_->resolve(plan_.target.address);
      if (unresolved_ && core_->now() - resolve_since_ < resolve_limit) return wake_in(resolve_every);
      begin();
      [[fallthrough]];
    case LoadPhase::running:
      return plan_.open_loop() ? pace() : fill();
    case LoadPhase::closing:
    case LoadPhase::done:
      return;
  }
}

void LoadClient::begin() {
  began_ = core_->now();
  phase_.store(LoadPhase::running, std::memory_order_release);
  if (plan_.duration > Duration{0}) {
    end_ = began_ + plan_.duration;
    // Where nothing moves any more, nobody else would notice that the time is over.
    const bool armed = core_->arm(
        plan_.duration, [](void* self) { static_cast<LoadClient*>(self)->stop(); }, this);
    if (!armed)
      error_ = Error{ErrorKind::exhausted, "no timer is left to end the test", "raise Limits::timers"};
  }
  if (plan_.open_loop()) pacer_.emplace(plan_.rate, began_ + plan_.first_start);
}

bool LoadClient::open(Time intended) {
  if (counters_.opened == plan_.count) {
    end_starting();
    return false;
  }
  const auto id = core_->connect(plan_.target, handler_);
  if (!id) [[unlikely]] {
    if (id.error().kind == ErrorKind::usage) {  // the next one would fail the same way
      error_ = id.error();
      end_starting();
    }
    return false;
  }
  const auto conn = core_->find(*id);
  State& s = conn->user<State>();
  s.started = intended;
  s.requests_left = plan_.requests;
  ++counters_.opened;
  ++open_now_;
  return true;
}

/// The open loop: whoever is due, with the time that it was due at.
void LoadClient::pace() {
  const Time now = core_->now();
  if (now >= end_) return stop();
  const std::uint64_t due = std::min(pacer_->due(now), starts_per_wake);
  for (std::uint64_t i = 0; i < due && phase() == LoadPhase::running; ++i)
    if (!open(pacer_->take()) && phase() == LoadPhase::running) ++counters_.not_started;
  if (counters_.opened + counters_.not_started >= plan_.count) end_starting();
  if (phase() == LoadPhase::running) wake_in(std::max(Duration{0}, pacer_->next_at() - now));
}

/// The closed loop, at the start and after a shortage: up to the wanted number; then each end starts the
/// next.
void LoadClient::fill() {
  std::uint64_t started = 0;
  refills_ = true;
  while (refills_ && open_now_ < plan_.concurrency) {
    if (started == starts_per_wake) {
      refills_ = false;
      return wake_in(Duration{0});
    }
    refill();
    ++started;
  }
}

/// A replacement could not be started: the test is over, or there was no port or no block for it just now.
void LoadClient::ran_dry() {
  refills_ = false;
  if (phase() != LoadPhase::running) return;
  if (core_->now() >= end_) return end_starting();
  wake_in(retry_after);
}

void LoadClient::stop() {
  if (phase() == LoadPhase::resolving) began_ = core_->now();
  if (phase() == LoadPhase::running || phase() == LoadPhase::resolving) end_starting();
}

void LoadClient::end_starting() {
  if (phase() != LoadPhase::running && phase() != LoadPhase::resolving) return;
  ended_ = std::min(core_->now(), end_);
  refills_ = false;
  if (pacer_) {
    const std::uint64_t left = plan_.count - std::min(plan_.count, counters_.opened + counters_.not_started);
    // Starts lie in [began, end): one that would be due at the end itself is none of this test's.
    counters_.not_started += std::min(pacer_->due(ended_ - Duration{1}), left);
  }
  phase_.store(LoadPhase::closing, std::memory_order_release);
  if (open_now_ == 0) finish();
}

void LoadClient::finish() {
  // Where the number of connections ended the test, its length is until the last of them was over.
  if (counters_.opened + counters_.not_started >= plan_.count) ended_ = core_->now();
  phase_.store(LoadPhase::done, std::memory_order_release);
}

std::size_t LoadClient::raw_answer(Conn& c, State& s, std::size_t size) {
  if (size > s.missing) {
    give_up(c, s, cause_bad_answer);
    return size;
  }
  s.missing -= size;
  const std::string_view request = s.requests_left == 1 ? plan_.last_request : plan_.request;
  if (s.missing == 0 && s.sent == request.size()) answered(c, s, 0);
  return size;
}

std::size_t LoadClient::parse_answer(Conn& c, State& s, std::span<const std::byte> bytes) {
  ResponseParser fresh;  // needs no keeping unless the answer comes in pieces
  ResponseParser& parser = s.parser ? *s.parser : fresh;
  const auto result = memo_.feed(parser, bytes);
  switch (result.status) {
    case ResponseParser::Status::need_more:
      if (!s.parser) s.parser = std::make_unique<ResponseParser>(std::move(fresh));
      break;
    case ResponseParser::Status::error:
      give_up(c, s, cause_bad_answer);
      break;
    case ResponseParser::Status::complete: {
      const std::uint16_t http_status = parser.http_status();
      s.parser.reset();
      // We ask for one at a time: nothing can follow.
      if (result.consumed != bytes.size())
        give_up(c, s, cause_bad_answer);
      else
        answered(c, s, http_status);
      break;
    }
  }
  return bytes.size();
}

void LoadClient::give_up(Conn& c, State& s, std::size_t cause) {
  s.cause = static_cast<std::uint8_t>(cause);
  c.abort();
}

void LoadClient::on_peer_fin(Conn& c, State& s) {
  // An answer without a length ends here.
  if (!s.played && s.parser && s.parser->finish() == ResponseParser::Status::complete) {
    ++counters_.requests;
    if (s.parser->http_status() >= 400) ++counters_.not_ok;
    s.played = --s.requests_left == 0;
  }
  plan_.reset&& s.played ? c.abort() : c.close();
}

std::size_t LoadClient::cause_of(const State& s, CloseReason reason) {
  if (s.cause != 0) return s.cause;
  if (reason == CloseReason::finished && !s.played) return cause_closed_early;
  return static_cast<std::size_t>(reason);
}

void LoadClient::publish() {
  LoadSample& sample = *active_;
  sample.counters = counters_;
  sample.core = core_->stats();
  sample.open_now = open_now_;
  active_ = active_ == samples_[0].get() ? samples_[1].get() : samples_[0].get();
  // Whoever asked for this one is done with the other (take()).
  active_->connect.reset();
  active_->life.reset();
  published_.store(&sample, std::memory_order_release);
}

}  // namespace handfast::apps
