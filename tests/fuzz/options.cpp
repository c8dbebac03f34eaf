// SPDX-License-Identifier: BSD-3-Clause
// F2: TCP options. The parser, its short cuts and a second parser that was written from the RFCs alone agree; what the
// writer makes of an accepted list is read back as the same. Layer: fuzz.
// Input: one byte for the alignment, then up to 44 bytes of options; neighbours of it are judged as well.
#include <algorithm>
#include <optional>

#include "base/rng.hpp"
#include "fuzz/fuzz.hpp"
#include "fuzz/reading.hpp"
#include "wire/tcp.hpp"
#include "wire/tcp_writer.hpp"

namespace handfast::fuzz {
namespace {

/// The second parser: rfc9293 3.2 for the list, MSS and its end; rfc7323 2.2, 3.2; rfc2018 2, 3; rfc5482 3; rfc7413 4.1.1;
/// rfc2385 and rfc5925 by their kind alone. A kind that is known by another length is an error, but for the two whose
/// RFCs say that such an option is to be ignored.
struct Second {
  bool good = false, sack_permitted = false, authenticated = false;
  std::optional<std::uint32_t> mss, scale, stamp, echo;
  std::uint32_t user_timeout = 0;
  std::optional<Bytes> cookie;
  Bytes blocks;

  static std::uint32_t number(Bytes b) {
    std::uint32_t value = 0;
    for (const std::byte byte : b) value = value * 256 + std::to_integer<std::uint32_t>(byte);
    return value;
  }

  bool one(std::uint32_t kind, Bytes body) {
    const std::size_t n = body.size();
    if (kind == 2) {
      mss = number(body);
      return n == 2;
    }
    if (kind == 3) {
      scale = number(body);
      return n == 1;
    }
    if (kind == 4) {
      sack_permitted = true;
      return n == 0;
    }
    if (kind == 5) {
      blocks = body;
      return n != 0 && n % 8 == 0;
    }
    if (kind == 8) {
      if (n != 8) return false;
      stamp = number(body.first(4));
      echo = number(body.last(4));
      return true;
    }
    if (kind == 19 || kind == 29) authenticated = true;
    if (kind == 28 && n == 2) user_timeout = number(body);
    if (kind == 34 && (n == 0 || (n >= 4 && n <= 16 && n % 2 == 0))) cookie = body;
    return true;
  }

  explicit Second(Bytes list) {
    list = list.first(std::min<std::size_t>(list.size(), 40));
    while (!list.empty() && list[0] != std::byte{0}) {
      const std::uint32_t kind = number(list.first(1));
      if (kind == 1) {
        list = list.subspan(1);
        continue;
      }
      const std::uint32_t length = list.size() >= 2 ? number(list.subspan(1, 1)) : 0;
      if (length < 2 || length > list.size() || !one(kind, list.subspan(2, length - 2))) return;
      list = list.subspan(length);
    }
    good = true;
  }
};

void check_same(const wire::TcpOptions& a, const Second& b) {
  FUZZ_CHECK(a.has_mss == b.mss.has_value() && a.mss == b.mss.value_or(0));
  FUZZ_CHECK(a.has_window_scale == b.scale.has_value() && a.window_scale == b.scale.value_or(0));
  FUZZ_CHECK(a.sack_permitted == b.sack_permitted && a.is_authenticated == b.authenticated);
  FUZZ_CHECK(a.has_timestamps == b.stamp.has_value());
  FUZZ_CHECK(a.ts_val == b.stamp.value_or(0) && a.ts_ecr == b.echo.value_or(0));
  FUZZ_CHECK(a.user_timeout == b.user_timeout);
  FUZZ_CHECK(a.has_fast_open == b.cookie.has_value());
  if (b.cookie) FUZZ_CHECK(a.fast_open_length == b.cookie->size() && a.fast_open_cookie == b.cookie->data());
  FUZZ_CHECK(a.sack_count == std::min<std::size_t>(b.blocks.size() / 8, 4));
  for (std::size_t i = 0; i < a.sack_count; ++i) {
    FUZZ_CHECK(a.sack[i].left.raw() == Second::number(b.blocks.subspan(8 * i, 4)));
    FUZZ_CHECK(a.sack[i].right.raw() == Second::number(b.blocks.subspan(8 * i + 4, 4)));
  }
}

void check_equal(const wire::TcpOptions& a, const wire::TcpOptions& b) {
  FUZZ_CHECK(a.has_mss == b.has_mss && a.mss == b.mss && a.has_window_scale == b.has_window_scale);
  FUZZ_CHECK(a.window_scale == b.window_scale && a.sack_permitted == b.sack_permitted);
  FUZZ_CHECK(a.has_timestamps == b.has_timestamps && a.ts_val == b.ts_val && a.ts_ecr == b.ts_ecr);
  FUZZ_CHECK(a.user_timeout == b.user_timeout);
}

/// The short cuts say what the parser says, or nothing.
void check_short_cuts(Bytes list, bool good, const wire::TcpOptions& parsed) {
  wire::TcpOptions quick;
  if (wire::parse_timestamp_only(list, quick)) {
    FUZZ_CHECK(good);
    check_equal(quick, parsed);
    FUZZ_CHECK(parsed.sack_count == 0 && !parsed.has_fast_open && !parsed.is_authenticated);
  }
  wire::TcpOptions syn;
  if (wire::parse_common_syn(list, syn)) {
    FUZZ_CHECK(good);
    check_equal(syn, parsed);
    FUZZ_CHECK(parsed.sack_count == 0 && !parsed.has_fast_open && !parsed.is_authenticated);
  }
  if (list.size() % 4 != 0 || list.size() > 40) return;
  wire::Segment segment;
  segment.header_length = static_cast<std::uint8_t>(20 + list.size());
  segment.options = list.data();
  wire::TcpOptions read;
  FUZZ_CHECK(wire::read_options(segment, read) == good);
  if (good) check_equal(read, parsed);
}

void check_round_trip(const wire::TcpOptions& options) {
  static ExactBlock<40> room;
  const auto out = room.room(40);
  const std::uint8_t length = wire::write_options(out.data(), options);
  FUZZ_CHECK(length <= 40 && length % 4 == 0);
  wire::TcpOptions again;
  FUZZ_CHECK(wire::parse_tcp_options(out.first(length), again));
  check_equal(again, options);
  // What does not fit is left out whole: blocks from the end, a cookie at once.
  FUZZ_CHECK(again.sack_count <= options.sack_count && (!again.has_fast_open || options.has_fast_open));
  for (std::size_t i = 0; i < again.sack_count; ++i) FUZZ_CHECK(again.sack[i] == options.sack[i]);
  if (again.has_fast_open) {
    FUZZ_CHECK(again.fast_open_length == options.fast_open_length);
    FUZZ_CHECK(std::memcmp(again.fast_open_cookie, options.fast_open_cookie, again.fast_open_length) == 0);
  }
  const std::size_t room_left = 40u - length;
  FUZZ_CHECK(again.sack_count == options.sack_count || room_left < 12);
  FUZZ_CHECK(!options.has_fast_open || again.has_fast_open || options.fast_open_length + 2u > room_left);
}

void judge(Bytes list) {
  wire::TcpOptions parsed;
  const bool good = wire::parse_tcp_options(list, parsed);
  const Second second{list};
  FUZZ_CHECK(good == second.good);
  check_short_cuts(list, good, parsed);
  if (!good) return;
  check_same(parsed, second);
  check_round_trip(parsed);
}

}  // namespace
}  // namespace handfast::fuzz

using namespace handfast;
using namespace handfast::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Tally tally{"lists of options"};
  static ExactBlock<48> block;
  Reader in{data, size};
  const std::size_t shift = in.u8() & 3;
  const auto content = in.bytes(44);
  const auto room = block.room(shift + content.size());
  if (!content.empty()) std::memcpy(room.data() + shift, content.data(), content.size());
  const auto list = room.subspan(shift);
  judge(list);
  tally.add();
  if (list.empty()) return 0;
  // What the fuzzer does between two inputs takes longer than judging one: so neighbours of each are judged, too.
  Rng rng{digest(content)};
  constexpr int neighbours = 63;
  for (int i = 0; i < neighbours; ++i) {
    const std::uint64_t random = rng.next();
    std::byte& changed = list[(random & 0xff) * list.size() >> 8];
    const std::byte before = changed;
    // A kind or a length more often than any byte.
    changed = static_cast<std::byte>((random & 0x100) != 0 ? random >> 16 & 0x23 : random >> 16);
    judge((random & 0x600) != 0 ? list : list.first((random >> 24 & 0xff) * list.size() >> 8));
    if ((random & 0x1800) != 0) changed = before;
  }
  tally.add(neighbours);
  return 0;
}
