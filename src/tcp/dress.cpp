// SPDX-License-Identifier: BSD-3-Clause
// What few segments carry besides the usual: URG and its pointer, the user timeout option. Layer: tcp, a part
// of the segment builder that is called only where the flag `dressed` says so.
#include <algorithm>

#include "tcp/patience.hpp"
#include "tcp/segment_builder.hpp"
#include "wire/tcp_option_kinds.hpp"

namespace handfast::tcp {

std::uint32_t extra_option_bytes(const Tcb& tcb, std::uint32_t other_options) {
  if (!has(tcb, user_timeout_due)) return 0;
  const std::uint32_t all = other_options + wire::option_length::user_timeout;
  return all <= wire::max_tcp_options_length ? wire::option_length::user_timeout : 0;
}

void dress_segment(const Context& cx, Tcb& tcb, TxSegment& segment) {
  if (has(tcb, urgent_out)) {
    if (!after(rare(tcb).snd_up, tcb.snd_una)) {
      clear(tcb, urgent_out);
    } else if (after(rare(tcb).snd_up, segment.seq)) {
      // Further away than the field reaches: it advances as segments do (MUST-31: any length).
      segment.flags |= wire::urg;
      segment.urgent = static_cast<std::uint16_t>(
          std::min<std::uint32_t>(distance(segment.seq, rare(tcb).snd_up), 0xffff));  // MUST-62
    }
  }
  if (extra_option_bytes(tcb, segment.options_length) != 0) {
    wire::TcpOptions options;
    options.user_timeout = advertised_user_timeout(cx, tcb);
    std::array<std::byte, wire::max_tcp_options_length> room;
    const std::uint8_t length = wire::write_options(room.data(), options);
    std::copy_n(room.begin(), length, segment.options.begin() + segment.options_length);
    segment.options_length = static_cast<std::uint8_t>(segment.options_length + length);
    clear(tcb, user_timeout_due);
  }
  if (has(tcb, ece_due)) segment.flags |= wire::ece;  // rfc3168 6.1.3: on every ACK
  if (!has(tcb, urgent_out | user_timeout_due | ece_due)) clear(tcb, dressed);
}

}  // namespace handfast::tcp
