// SPDX-License-Identifier: BSD-3-Clause
// R1, R2, USER_TIMEOUT. Layer: tcp; see patience.hpp.
#include "tcp/patience.hpp"

#include <algorithm>

#include "tcp/rtt.hpp"

namespace handfast::tcp {
namespace {

constexpr std::uint16_t in_minutes = 0x8000;
constexpr std::int64_t largest_field = 0x7fff;

std::uint16_t to_tenths(Duration limit) {
  return static_cast<std::uint16_t>(
      std::clamp<std::int64_t>(limit / 100ms + (limit % 100ms != Duration{0} ? 1 : 0), 0, endless - 1));
}

}  // namespace

Duration give_up_after(const Context& cx, const Tcb& tcb) {
  switch (tcb.user_timeout_ds) {
    case 0:
      return cx.config.tcp.r2_timeout;
    case endless:
      return Duration::max();
    default:
      return tcb.user_timeout_ds * Duration{100ms};
  }
}

bool is_user_timeout_ours(const Context& cx, const Tcb& tcb) {
  return tcb.user_timeout_ds != 0 && (!cx.config.tcp.user_timeout_option || has(tcb, user_timeout_fixed));
}

void note_retransmission(Context& cx, Tcb& tcb) {
  // Once an episode: the next acknowledgement starts the count over.
  if (tcb.backoff != cx.config.tcp.r1_retries) return;
  ++cx.stats.unresponsive;
  set(tcb, unresponsive_due);
  set(tcb, notice);
}

std::uint16_t encode_user_timeout(Duration timeout) {
  if (timeout > largest_field * Duration{1min}) return in_minutes | static_cast<std::uint16_t>(largest_field);
  if (timeout > largest_field * Duration{1s})
    return in_minutes | static_cast<std::uint16_t>((timeout + 1min - 1ns) / 1min);
  return static_cast<std::uint16_t>(std::clamp<std::int64_t>((timeout + 1s - 1ns) / 1s, 1, largest_field));
}

Duration decode_user_timeout(std::uint16_t field) {
  const Duration unit = (field & in_minutes) != 0 ? Duration{1min} : Duration{1s};
  return (field & ~in_minutes) * unit;
}

std::uint16_t advertised_user_timeout(const Context& cx, const Tcb& tcb) {
  return rare(tcb).adv_user_timeout != 0 ? rare(tcb).adv_user_timeout : encode_user_timeout(cx.config.tcp.user_timeout);
}

void take_user_timeout(const Context& cx, Tcb& tcb, std::uint16_t field) {
  const TcpConfig& config = cx.config.tcp;
  if (!config.user_timeout_option || (field & ~in_minutes) == 0) return;  // section 3.4: reserved, ignored
  take_rare(cx, tcb).peer_user_timeout = field;
  if (has(tcb, user_timeout_fixed)) return;
  // Section 3.1. validate() holds the lower limit above the largest RTO.
  const Duration wanted =
      std::max(decode_user_timeout(advertised_user_timeout(cx, tcb)), decode_user_timeout(field));
  tcb.user_timeout_ds =
      to_tenths(std::min(config.user_timeout_most, std::max(wanted, config.user_timeout_least)));
}

void choose_user_timeout(Context& cx, Tcb& tcb, Duration limit) {
  const Duration most = (endless - 1) * Duration{100ms};
  tcb.user_timeout_ds = limit == Duration::max() ? endless : to_tenths(std::min(limit, most));
  if (!cx.config.tcp.user_timeout_option) return;
  if (limit <= Duration{0}) {
    clear(tcb, user_timeout_fixed);
    take_rare(cx, tcb).adv_user_timeout = 0;
  } else {
    set(tcb, user_timeout_fixed);
    take_rare(cx, tcb).adv_user_timeout = encode_user_timeout(limit);
  }
  announce_user_timeout(cx, tcb);
}

void announce_user_timeout(Context& cx, Tcb& tcb) {
  if (!cx.config.tcp.user_timeout_option) return;
  set(tcb, user_timeout_due);
  set(tcb, dressed);
}

}  // namespace handfast::tcp
