// SPDX-License-Identifier: BSD-3-Clause
// The machine of the schedule explorer; see machine.hpp. Layer: test of threads.
#include "machine.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace handfast::explorer {

namespace {

std::uint64_t raw_load(const void* address, unsigned size) {
  std::uint64_t value = 0;
  std::memcpy(&value, address, size);  // little-endian, as every machine that this runs on
  return value;
}
void raw_store(void* address, unsigned size, std::uint64_t value) { std::memcpy(address, &value, size); }

bool acquires(std::memory_order order) {
  return order != std::memory_order_relaxed && order != std::memory_order_release;
}
bool releases(std::memory_order order) {
  return order != std::memory_order_relaxed && order != std::memory_order_acquire;
}

}  // namespace

Machine* Machine::active = nullptr;

Machine::Machine() { locations_.reserve(most_locations); }

void Machine::View::join(const View& other, std::size_t locations) {
  for (std::size_t i = 0; i < locations; ++i) seen[i] = std::max(seen[i], other.seen[i]);
  for (std::size_t i = 0; i < clock.size(); ++i) clock[i] = std::max(clock[i], other.clock[i]);
}

Outcome Machine::explore(int threads, Bounds bounds, const std::function<void()>& prepare,
                         const std::function<void(int)>& body, const std::function<std::string()>& judge) {
  threads_ = threads;
  bounds_ = bounds;
  trail_.clear();
  Outcome outcome;
  active = this;
  do {
    prepare();
    run_once(body);
    ++outcome.executions;
    if (failure_.empty()) failure_ = judge();
    undo();
    // A word turned out to be written: now it is worth a choice wherever it is read, so everything begins
    // again.
    if (grown_) {
      grown_ = false;
      failure_.clear();
      trail_.clear();
      continue;
    }
    if (!failure_.empty()) break;
    if (outcome.executions == bounds.executions) break;
    if (!next_trail()) {
      outcome.exhausted = true;
      break;
    }
  } while (true);
  active = nullptr;
  outcome.steps = all_steps_;
  outcome.failure = failure_;
  return outcome;
}

void Machine::run_once(const std::function<void(int)>& body) {
  ++execution_;
  at_ = 0;
  preemptions_ = stale_ = wakes_ = 0;
  step_ = stores_ = 0;
  history_.clear();
  failure_.clear();
  for (Thread& t : thread_) t = {};
  for (int i = 0; i < threads_; ++i)
    thread_[static_cast<std::size_t>(i)].view.clock[static_cast<std::size_t>(i)] = 1;
  running_ = true;
  current_ = Fibers::nobody;
  const int first = next_thread(false);
  current_ = first;
  fibers_.run(first, [&](int me) {
    body(me);
    thread_[static_cast<std::size_t>(me)].state = Thread::State::ended;
    current_ = next_thread(false);
    return current_;
  });
  running_ = false;
  all_steps_ += step_;
}

unsigned Machine::choose(unsigned count) {
  if (count == 1) return 0;
  if (at_ == trail_.size()) trail_.push_back({0, static_cast<std::uint8_t>(count)});
  return trail_[at_++].chosen;
}

bool Machine::next_trail() {
  while (!trail_.empty() && trail_.back().chosen + 1 == trail_.back().count) trail_.pop_back();
  if (trail_.empty()) return false;
  ++trail_.back().chosen;
  return true;
}

/// Who goes on; the present thread, where it may, costs nothing, and anybody else a preemption.
int Machine::next_thread(bool may_go_on) {
  std::array<int, Fibers::most> able{};
  unsigned count = 0;
  if (may_go_on) able[count++] = current_;
  if (!may_go_on || preemptions_ < bounds_.preemptions) {
    for (int i = 0; i < threads_; ++i) {
      Thread& t = thread_[static_cast<std::size_t>(i)];
      if (i == current_ && may_go_on) continue;
      if (t.state == Thread::State::waiting && t.waits_since != stores_) t.state = Thread::State::ready;
      if (t.state == Thread::State::ready) able[count++] = i;
    }
  }
  if (count == 0) {
    // Those who wait may have read old values: they look again, and from now on read the newest.
    for (int i = 0; i < threads_; ++i) {
      Thread& t = thread_[static_cast<std::size_t>(i)];
      if (t.state != Thread::State::waiting) continue;
      t.state = Thread::State::ready;
      able[count++] = i;
    }
    if (count == 0) return Fibers::nobody;
    stale_ = bounds_.stale;
    if (++wakes_ > 8) {
      if (failure_.empty()) failure_ = "a reader waits for ever";
      return Fibers::nobody;  // the fibers that wait are left where they are
    }
  }
  const unsigned chosen = choose(count);
  if (may_go_on && chosen != 0) ++preemptions_;
  return able[chosen];
}

void Machine::reschedule() {
  ++step_;
  const int next = next_thread(true);
  if (next == current_) return;
  current_ = next;
  fibers_.switch_to(next);
}

void Machine::pause() {
  Thread& me = thread_[static_cast<std::size_t>(current_)];
  me.state = Thread::State::waiting;
  me.waits_since = stores_;
  const int self = current_;
  const int next = next_thread(false);
  if (next == self) return;
  current_ = next;
  fibers_.switch_to(next);
}

/// Words that nobody ever writes are no choice: null.
Machine::Location* Machine::shared(void* address, unsigned size, bool stored) {
  const auto found = index_.find(address);
  std::size_t i = 0;
  if (found == index_.end()) {
    if (!stored) return nullptr;
    i = locations_.size();
    if (i == most_locations) throw std::logic_error("more shared words than the explorer has room for");
    index_.emplace(address, i);
    locations_.emplace_back();
    locations_[i].address = address;
    locations_[i].size = size;
    grown_ = true;
  } else {
    i = found->second;
  }
  Location& at = locations_[i];
  if (at.stamp != execution_) {
    at.stamp = execution_;
    at.count = 0;
    at.writer = Fibers::nobody;
    at.read = {};
    if (at.messages.empty()) at.messages.resize(1);
    at.messages[0].value = raw_load(address, size);
    at.messages[0].carries = false;
    at.count = 1;
  }
  return &at;
}

void Machine::append(Location& at, std::uint64_t value, std::memory_order order, const View* inherited) {
  const auto index = static_cast<std::size_t>(&at - locations_.data());
  View& view = thread_[static_cast<std::size_t>(current_)].view;
  if (releases(order)) ++view.clock[static_cast<std::size_t>(current_)];
  if (at.count == at.messages.size()) at.messages.emplace_back();
  Message& message = at.messages[at.count];
  view.seen[index] = static_cast<std::uint16_t>(at.count++);
  message.value = value;
  message.carries = releases(order) || inherited != nullptr;
  if (releases(order)) {
    message.view = view;
    if (inherited != nullptr) message.view.join(*inherited, locations_.size());
  } else if (inherited != nullptr) {
    message.view = *inherited;
  }
  raw_store(at.address, at.size, value);
  ++stores_;
}

std::uint64_t Machine::load(void* address, unsigned size, std::memory_order order) {
  if (!running_) return raw_load(address, size);
  Location* at = shared(address, size, false);
  if (at == nullptr) return raw_load(address, size);
  reschedule();
  const auto index = static_cast<std::size_t>(at - locations_.data());
  View& view = thread_[static_cast<std::size_t>(current_)].view;
  // The newest first; older ones, down to what this thread has seen or heard of, while the bound allows.
  const std::size_t newest = at->count - 1;
  std::size_t pick = newest;
  if (stale_ < bounds_.stale && newest > view.seen[index]) {
    pick = newest - choose(static_cast<unsigned>(newest - view.seen[index] + 1));
    if (pick != newest) ++stale_;
  }
  view.seen[index] = static_cast<std::uint16_t>(pick);
  const Message& message = at->messages[pick];
  if (acquires(order) && message.carries) view.join(message.view, locations_.size());
  return message.value;
}

void Machine::store(void* address, unsigned size, std::uint64_t value, std::memory_order order) {
  if (!running_) return raw_store(address, size, value);
  reschedule();
  append(*shared(address, size, true), value, order, nullptr);
}

std::uint64_t Machine::compare_exchange(void* address, unsigned size, std::uint64_t expected,
                                        std::uint64_t value, std::memory_order order) {
  reschedule();
  Location& at = *shared(address, size, true);
  const auto index = static_cast<std::size_t>(&at - locations_.data());
  View& view = thread_[static_cast<std::size_t>(current_)].view;
  // A copy: the message may move when the next one is appended.
  const Message read = at.messages[at.count - 1];
  view.seen[index] = static_cast<std::uint16_t>(at.count - 1);
  if (acquires(order) && read.carries) view.join(read.view, locations_.size());
  if (read.value == expected) append(at, value, order, read.carries ? &read.view : nullptr);
  return read.value;
}

void Machine::plain_read(const void* address) {
  if (!running_) return;
  Location& at = *shared(const_cast<void*>(address), sizeof(std::uint32_t), true);
  View& view = thread_[static_cast<std::size_t>(current_)].view;
  if (at.writer != Fibers::nobody && at.writer != current_ &&
      view.clock[static_cast<std::size_t>(at.writer)] < at.written)
    fail("data race: read of what another thread writes");
  at.read[static_cast<std::size_t>(current_)] = ++view.clock[static_cast<std::size_t>(current_)];
}

void Machine::plain_write(void* address) {
  if (!running_) return;
  Location& at = *shared(address, sizeof(std::uint32_t), true);
  View& view = thread_[static_cast<std::size_t>(current_)].view;
  const std::uint32_t now = ++view.clock[static_cast<std::size_t>(current_)];
  if (at.writer != Fibers::nobody && at.writer != current_ &&
      view.clock[static_cast<std::size_t>(at.writer)] < at.written)
    fail("data race: two threads write");
  for (int i = 0; i < threads_; ++i)
    if (i != current_ && view.clock[static_cast<std::size_t>(i)] < at.read[static_cast<std::size_t>(i)])
      fail("data race: write of what another thread reads");
  at.writer = current_;
  at.written = now;
}

std::size_t Machine::begin(std::uint32_t kind, std::uint32_t argument) {
  Operation op;
  op.thread = current_;
  op.kind = kind;
  op.argument = argument;
  op.begun = ++step_;
  op.knew = thread_[static_cast<std::size_t>(current_)].view.clock;
  history_.push_back(op);
  return history_.size() - 1;
}

void Machine::end(std::size_t operation, std::uint64_t result) {
  Operation& op = history_[operation];
  op.result = result;
  op.ended = ++step_;
  op.clock_at_end =
      thread_[static_cast<std::size_t>(current_)].view.clock[static_cast<std::size_t>(current_)];
}

void Machine::fail(const std::string& what) {
  if (failure_.empty()) failure_ = what;
}

bool Machine::precedes(const Operation& a, const Operation& b) const {
  if (bounds_.stale == 0 || a.thread == b.thread) return a.ended < b.begun;
  return a.ended != Operation::running && b.knew[static_cast<std::size_t>(a.thread)] >= a.clock_at_end;
}

/// Everything that was stored is as it was before the execution.
void Machine::undo() {
  for (Location& at : locations_)
    if (at.stamp == execution_) raw_store(at.address, at.size, at.messages[0].value);
}

}  // namespace handfast::explorer
