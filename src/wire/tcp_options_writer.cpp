// SPDX-License-Identifier: BSD-3-Clause
// TCP options on their way out, in the layouts that every stack's fast path knows. Layer: wire.
#include <algorithm>
#include <cstring>

#include "wire/bytes.hpp"
#include "wire/tcp_option_kinds.hpp"
#include "wire/tcp_writer.hpp"

namespace handfast::wire {
namespace {

constexpr std::uint16_t two_no_operations = option_kind::no_operation << 8 | option_kind::no_operation;

constexpr std::uint16_t head(std::uint8_t kind, std::uint8_t length) {
  return static_cast<std::uint16_t>(kind << 8 | length);
}

/// A pair of 16-bit pieces, then what follows them: every option starts so that its words are aligned.
std::byte* put_pair(std::byte* to, std::uint16_t first, std::uint16_t second) {
  store16(to, first);
  store16(to + 2, second);
  return to + 4;
}

}  // namespace

std::uint8_t write_options(std::byte* const to, const TcpOptions& options) {
  std::byte* at = to;
  if (options.has_mss) at = put_pair(at, head(option_kind::mss, option_length::mss), options.mss);
  constexpr std::uint16_t permitted = head(option_kind::sack_permitted, option_length::sack_permitted);
  if (options.has_timestamps) {
    at = put_pair(at, options.sack_permitted ? permitted : two_no_operations,
                  head(option_kind::timestamps, option_length::timestamps));
    store32(at, options.ts_val);
    store32(at + 4, options.ts_ecr);
    at += 8;
  } else if (options.sack_permitted) {
    at = put_pair(at, two_no_operations, permitted);
  }
  if (options.has_window_scale) {
    at = put_pair(at, head(option_kind::no_operation, option_kind::window_scale),
                  head(option_length::window_scale, options.window_scale));
  }
  if (options.user_timeout != 0) at = put_pair(at, head(option_kind::user_timeout, option_length::user_timeout), options.user_timeout);
  if (options.has_fast_open) {
    const std::size_t length = 2u + options.fast_open_length;
    const std::size_t padded = (length + 3) / 4 * 4;
    if (padded <= max_tcp_options_length - static_cast<std::size_t>(at - to)) {
      for (std::size_t i = length; i < padded; ++i) *at++ = std::byte{option_kind::no_operation};
      store16(at, head(option_kind::fast_open, static_cast<std::uint8_t>(length)));
      if (options.fast_open_length != 0) std::memcpy(at + 2, options.fast_open_cookie, options.fast_open_length);
      at += length;
    }
  }
  const std::size_t room = max_tcp_options_length - static_cast<std::size_t>(at - to);
  const std::size_t fitting = room < 4 ? 0 : (room - 4) / option_length::sack_block;
  const std::size_t blocks = std::min({fitting, std::size_t{options.sack_count}, options.sack.size()});
  if (blocks != 0) {
    const auto length = static_cast<std::uint8_t>(2 + blocks * option_length::sack_block);
    at = put_pair(at, two_no_operations, head(option_kind::sack, length));
    for (std::size_t i = 0; i < blocks; ++i, at += option_length::sack_block) {
      store32(at, options.sack[i].left.raw());
      store32(at + 4, options.sack[i].right.raw());
    }
  }
  return static_cast<std::uint8_t>(at - to);
}

}  // namespace handfast::wire
