// SPDX-License-Identifier: BSD-3-Clause
// ICMP errors, hard and soft. Layer: tcp; see icmp_error.hpp.
#include "tcp/icmp_error.hpp"

#include "tcp/lifetime.hpp"
#include "tcp/path_mtu.hpp"

namespace handfast::tcp {
namespace {

/// By the codes of RFC 792 and RFC 1122 section 3.2.2.1; of codes that are not assigned nothing can be said but that.
IcmpError classify(const wire::IcmpQuote& quote) {
  if (quote.type == wire::icmp::time_exceeded) return IcmpError::time_exceeded;
  if (quote.type == wire::icmp::parameter_problem) return IcmpError::parameter_problem;
  switch (quote.code) {
    case 0: case 6: case 8: case 11: return IcmpError::network_unreachable;
    case 1: case 7: case 12: return IcmpError::host_unreachable;
    case 2: return IcmpError::protocol_unreachable;
    case 3: return IcmpError::port_unreachable;
    case 5: return IcmpError::source_route_failed;
    case 9: case 10: case 13: case 14: case 15: return IcmpError::prohibited;
    default: return IcmpError::none;
  }
}

}  // namespace

Drop icmp_error_arrives(Context& cx, Tcb& tcb, const wire::IcmpQuote& quote) {
  // rfc5927 4.1: only about something that is in flight.
  if (before(quote.seq, tcb.snd_una) || !before(quote.seq, tcb.snd_nxt)) return Drop::icmp_out_of_window;
  if (quote.type == wire::icmp::destination_unreachable && quote.code == wire::icmp::code_fragmentation_needed)
    return packet_too_big(cx, tcb, quote);
  const IcmpError error = classify(quote);
  if (error == IcmpError::none) return Drop::icmp_unknown;
  tcb.last_icmp_error = error;  // SHLD-25
  // SHLD-26 for a connection that is opening. deviates: in the synchronised states a hard error is soft, since it is easier
  // forged than true there (rfc5927 5.2, rfc5461 3.2). MUST-56: a soft one ends none.
  // Pinned by IcmpError.synchronised__hard_error__is_remembered_and_no_more.
  const bool hard = error == IcmpError::protocol_unreachable || error == IcmpError::port_unreachable;
  if (hard && tcb.state == State::syn_sent) end_connection(cx, tcb, CloseReason::unreachable);
  return Drop::none;
}

}  // namespace handfast::tcp
