// SPDX-License-Identifier: BSD-3-Clause
// A segment on its way through the steps of RFC 9293 section 3.10.7. Layer: tcp. For segment_arrives.cpp and
// syn_sent_arrives.cpp alone; everyone else has segment_arrives.hpp.
#pragma once

#include <cstdint>
#include <span>

#include "tcp/segment_arrives.hpp"

namespace handfast::tcp {

/// One segment on its way through the steps: trimmed to what is new and in the window.
struct Arrival {
  Context& cx;
  Tcb& tcb;
  const wire::Segment& segment;
  wire::TcpOptions options;
  Seq seq;                   // of the first byte that is left
  std::span<const std::byte> data;
  bool fin;
  Verdict& verdict;
  ds::Range duplicate{};     // the first part that has arrived before (RFC 2883); empty: none
};

enum class Step : bool { go_on, done };

inline Step drop(Arrival& a, Drop reason) {
  a.verdict.drop = reason;
  return Step::done;
}

/// SYN-SENT (3.10.7.3).
void syn_sent_arrives(Arrival& a);

/// SND.UNA moves to `ack`, which covers our SYN.
void acknowledge_syn(Arrival& a, Seq ack);

}  // namespace handfast::tcp
