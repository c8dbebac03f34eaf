// SPDX-License-Identifier: BSD-3-Clause
// The numbers of the TCP options that Handfast knows: RFC 9293 section 3.2, RFC 7323, 2018, 2385, 5482, 5925, 7413.
// Layer: wire.
#pragma once

#include <cstdint>

namespace handfast::wire {

namespace option_kind {
inline constexpr std::uint8_t end = 0;
inline constexpr std::uint8_t no_operation = 1;
inline constexpr std::uint8_t mss = 2;
inline constexpr std::uint8_t window_scale = 3;
inline constexpr std::uint8_t sack_permitted = 4;
inline constexpr std::uint8_t sack = 5;
inline constexpr std::uint8_t timestamps = 8;
inline constexpr std::uint8_t md5_signature = 19;
inline constexpr std::uint8_t user_timeout = 28;
inline constexpr std::uint8_t authentication = 29;
inline constexpr std::uint8_t fast_open = 34;
}  // namespace option_kind

/// In bytes, kind and length included.
namespace option_length {
inline constexpr std::uint8_t mss = 4;
inline constexpr std::uint8_t window_scale = 3;
inline constexpr std::uint8_t sack_permitted = 2;
inline constexpr std::uint8_t timestamps = 10;
inline constexpr std::uint8_t sack_block = 8;
inline constexpr std::uint8_t user_timeout = 4;
inline constexpr std::uint8_t least_fast_open_cookie = 4;  ///< of the cookie alone
inline constexpr std::uint8_t most_fast_open_cookie = 16;
}  // namespace option_length

}  // namespace handfast::wire
