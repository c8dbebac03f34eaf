// SPDX-License-Identifier: BSD-3-Clause
// Urgent data: a point in the stream, and no more (RFC 9293 section 3.8.5, RFC 6093). Layer: tcp.
// The bytes themselves are ordinary ones; nothing here touches them.
#pragma once

#include "tcp/context.hpp"

namespace handfast::tcp {

/// URG in an acceptable segment: `end` is the sequence number of the byte behind the urgent data.
void urgent_arrives(const Context& cx, Tcb& tcb, Seq end);
/// Urgent bytes from `unread` on, the first byte that the application has not been shown.
[[nodiscard]] std::uint32_t urgent_ahead(const Tcb& tcb, Seq unread);
/// The last byte queued becomes the end of urgent data.
void mark_urgent(Context& cx, Tcb& tcb);

/// First byte that the application has not taken.
[[nodiscard]] inline Seq first_unread(const Tcb& tcb) {
  return tcb.receive != nullptr ? tcb.receive->unread : text_end(tcb);
}

}  // namespace handfast::tcp
