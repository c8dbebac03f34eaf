// SPDX-License-Identifier: BSD-3-Clause
// TCP Fast Open (RFC 7413): cookies, the client's SYN and what its answer teaches, the server's limit. Layer:
// tcp. The server's SYN itself is in listen.cpp; a connection it opens is a Tcb in SYN-RECEIVED whose SYN
// counts as acknowledged (syn_acked), so that data can follow it, while the state says that it is not.
#pragma once

#include <array>
#include <cstddef>

#include "tcp/context.hpp"

namespace handfast::tcp {

/// A cookie is good in the period in which it was made and in the next (section 4.1.2).
inline constexpr Duration fast_open_period = 1h;
/// How long a client leaves a server alone that did not answer, or not to the data (section 4.1.3.1).
inline constexpr Duration fast_open_avoidance = 10min;
/// How long a connection that was reset before its handshake ended counts against the limit (section 5.1).
inline constexpr Duration fast_open_reset_memory = 60s;
/// Largest MSS that a SYN's data makes use of (section 4.1.3), and the one where none is known.
inline constexpr std::uint32_t fast_open_largest_mss = 1460, fast_open_default_mss = 536;

using FastOpenCookie = std::array<std::byte, 8>;
enum class FastOpenCheck : std::uint8_t { bad, ageing, good };

[[nodiscard]] FastOpenCookie make_fast_open_cookie(const Secrets& secrets, const FlowKey& key, Time now);
[[nodiscard]] FastOpenCheck check_fast_open_cookie(const Secrets& secrets, const FlowKey& key,
                                                   std::span<const std::byte> cookie, Time now);

// --- server
// -------------------------------------------------------------------------------------------------------

/// Is this a passive connection whose handshake has not ended?
[[nodiscard]] inline bool is_fast_opened(const Tcb& tcb) {
  return tcb.state == State::syn_received && has(tcb, syn_acked);
}
/// PendingFastOpenRequests is below its limit.
[[nodiscard]] bool has_fast_open_room(const Context& cx, Listener& listener);
/// The handshake has ended, or the connection before it did.
void leave_fast_open(Context& cx, Tcb& tcb, bool was_reset);
/// The SYN-ACK was not answered: again, with neither data nor option, or the end.
void fast_open_timeout(Context& cx, Tcb& tcb);

// --- client
// -------------------------------------------------------------------------------------------------------

/// The option for the first SYN: the cookie, or the request for one; none where the server is avoided.
void offer_fast_open(Context& cx, Tcb& tcb, wire::TcpOptions& options);
/// Behind written options: what is queued, as far as it fits. Moves SND.NXT.
void put_syn_data(Context& cx, Tcb& tcb, TxSegment& segment);
/// A SYN-ACK came, before its ACK is taken.
void fast_open_answered(Context& cx, Tcb& tcb, const wire::Segment& segment, const wire::TcpOptions& options);
/// The SYN's first answer did not come in time, or was an error.
void fast_open_failed(Context& cx, Tcb& tcb);
/// What the server did not take of the SYN's data was never received: it is new again.
void take_back_syn_data(Tcb& tcb);

}  // namespace handfast::tcp
