// SPDX-License-Identifier: BSD-3-Clause
// ICMP errors about our segments (RFC 9293 section 3.9.2.2, RFC 5461, RFC 5927). Layer: tcp. Who the message is for has
// been found out; what it is worth is decided here.
#pragma once

#include "tcp/context.hpp"
#include "wire/icmpv4.hpp"

namespace handfast::tcp {

/// Of type 3, 11 or 12, about a segment of this connection. Remembers what was said (ConnStats::last_icmp_error); ends the
/// connection only in SYN-SENT and only for a hard error (Context::finished); hands "fragmentation needed" to
/// packet_too_big(). Returns why the message counts for nothing, if it does.
[[nodiscard]] Drop icmp_error_arrives(Context& cx, Tcb& tcb, const wire::IcmpQuote& quote);

}  // namespace handfast::tcp
