// SPDX-License-Identifier: BSD-3-Clause
// The numbers of the TCP options that Handfast knows: RFC 9293 section 3.2, RFC 7323, RFC 2018. Layer: wire.
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
}  // namespace option_kind

/// In bytes, kind and length included.
namespace option_length {
inline constexpr std::uint8_t mss = 4;
inline constexpr std::uint8_t window_scale = 3;
inline constexpr std::uint8_t sack_permitted = 2;
inline constexpr std::uint8_t timestamps = 10;
inline constexpr std::uint8_t sack_block = 8;
}  // namespace option_length

}  // namespace handfast::wire
