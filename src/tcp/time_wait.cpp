// SPDX-License-Identifier: BSD-3-Clause
// The list of TIME-WAIT entries. Layer: tcp. What arrives for one is handled in time_wait_arrives.cpp.
#include "tcp/time_wait.hpp"

namespace handfast::tcp {

std::uint32_t TimeWaitList::add(Time expires) {
  const std::uint32_t index = entries_.allocate();
  if (index == npos) return npos;
  entries_[index].expires = expires;
  link(index);
  return index;
}

void TimeWaitList::remove(std::uint32_t index) {
  unlink(index);
  entries_.free(index);
}

void TimeWaitList::restart(std::uint32_t index, Time expires) {
  unlink(index);
  entries_[index].expires = expires;
  link(index);
}

void TimeWaitList::link(std::uint32_t index) {
  TimeWait& entry = entries_[index];
  entry.previous = tail_;
  entry.next = npos;
  (tail_ == npos ? head_ : entries_[tail_].next) = index;
  tail_ = index;
}

void TimeWaitList::unlink(std::uint32_t index) {
  const TimeWait& entry = entries_[index];
  (entry.previous == npos ? head_ : entries_[entry.previous].next) = entry.next;
  (entry.next == npos ? tail_ : entries_[entry.next].previous) = entry.previous;
}

}  // namespace handfast::tcp
