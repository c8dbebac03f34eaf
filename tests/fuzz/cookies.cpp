// SPDX-License-Identifier: BSD-3-Clause
// F11: what is encoded comes back: SYN cookies, the options in a cookie's timestamp, Fast Open cookies, the order of
// ports. What was not made here is refused. Layer: fuzz. Input: tuple, numbers, time, secret, what is changed.
#include <algorithm>
#include <array>
#include <cmath>

#include "fuzz/fuzz.hpp"
#include "tcp/cookie_timestamp.hpp"
#include "tcp/fast_open.hpp"
#include "tcp/secrets.hpp"

namespace handfast::fuzz {
namespace {

/// Guesses that may be right by chance, once in 2^24: many more would be a fault.
void note_guess(bool right) {
  static std::uint64_t guesses = 0, hits = 0;
  ++guesses;
  hits += right ? 1 : 0;
  FUZZ_CHECK(hits <= 8 + (guesses >> 20));
}

FlowKey read_key(Reader& in) {
  FlowKey key;
  key.local_address = in.u32();
  key.remote_address = in.u32();
  key.ports = in.u32();
  return key;
}

void check_syn_cookie(Reader& in, const tcp::Secrets& secrets, Time now) {
  const FlowKey key = read_key(in);
  const Seq irs{in.u32()};
  const std::uint16_t mss = in.u16();
  const Seq cookie = tcp::make_cookie(secrets, key, irs, mss, now);
  // The largest of the classes that the peer can take, or the smallest there is.
  const auto above = std::ranges::upper_bound(tcp::cookie_mss, mss);
  const std::uint16_t expected = above == tcp::cookie_mss.begin() ? tcp::cookie_mss[0] : *(above - 1);
  FUZZ_CHECK(tcp::check_cookie(secrets, key, irs, cookie, now) == expected);
  // Good until the end of the next slot: so for one slot at least and for two at most.
  FUZZ_CHECK(tcp::check_cookie(secrets, key, irs, cookie, now + tcp::cookie_slot) == expected);
  const std::uint32_t slots = 2 + in.u8() % 61;
  FUZZ_CHECK(!tcp::check_cookie(secrets, key, irs, cookie, now + slots * tcp::cookie_slot));
  // The MAC is the lower 24 bits, and only one is right with the slot and class above it.
  const std::uint32_t change = in.u32();
  if ((change & 0xffffff) != 0)
    FUZZ_CHECK(!tcp::check_cookie(secrets, key, irs, Seq{cookie.raw() ^ (change & 0xffffff)}, now));
  if (change != 0) note_guess(tcp::check_cookie(secrets, key, irs, Seq{cookie.raw() ^ change}, now).has_value());
  FlowKey other = key;
  const std::uint32_t bit = 1u << (change & 31);
  switch (change >> 5 & 3) {
    case 0: other.local_address ^= bit; break;
    case 1: other.remote_address ^= bit; break;
    default: other.ports ^= bit; break;
  }
  note_guess(tcp::check_cookie(secrets, other, irs, cookie, now).has_value());
  note_guess(tcp::check_cookie(secrets, key, irs + 1, cookie, now).has_value());
}

void check_timestamp(Reader& in) {
  tcp::Handshake h;
  const std::uint32_t bits = in.u8();
  h.sack = (bits & 0x20) != 0;
  h.wscale = (bits & 0x10) != 0;
  h.snd_wscale = h.wscale ? static_cast<std::uint8_t>(std::min(bits & 15, 14u)) : std::uint8_t{0};  // rfc7323 2.3: a SYN with 15 says 14
  const std::uint32_t clock = in.u32();
  const std::uint32_t ts = tcp::cookie_timestamp(clock, h);
  FUZZ_CHECK(clock - ts < 2 * (tcp::cookie_ts_mask + 1));  // not after the clock, and near
  tcp::Handshake back;
  tcp::read_cookie_timestamp(ts, back);
  FUZZ_CHECK(back.sack == h.sack && back.wscale == h.wscale && back.snd_wscale == h.snd_wscale);
  // Nor does an echo that nobody sent say more.
  tcp::read_cookie_timestamp(in.u32(), back);
  FUZZ_CHECK(back.snd_wscale <= 14);
}

void check_fast_open(Reader& in, const tcp::Secrets& secrets, Time now) {
  const FlowKey key = read_key(in);
  tcp::FastOpenCookie cookie = tcp::make_fast_open_cookie(secrets, key, now);
  FUZZ_CHECK(tcp::check_fast_open_cookie(secrets, key, cookie, now) == tcp::FastOpenCheck::good);
  FlowKey other_port = key;
  other_port.ports ^= in.u16();  // rfc7413 4.1.2: it stands for the client's address, not for its port
  FUZZ_CHECK(tcp::check_fast_open_cookie(secrets, other_port, cookie, now) == tcp::FastOpenCheck::good);
  FUZZ_CHECK(tcp::check_fast_open_cookie(secrets, key, cookie, now + tcp::fast_open_period) == tcp::FastOpenCheck::ageing);
  const auto at = in.u8() % cookie.size();
  const auto change = static_cast<std::byte>(in.u8());
  cookie[at] ^= change;
  if (change != std::byte{0}) FUZZ_CHECK(tcp::check_fast_open_cookie(secrets, key, cookie, now) == tcp::FastOpenCheck::bad);
  FUZZ_CHECK(tcp::check_fast_open_cookie(secrets, key, std::span{cookie}.first(at), now) == tcp::FastOpenCheck::bad);
}

/// Every port of the range once before any comes again.
void check_ports(Reader& in, const tcp::Secrets& secrets) {
  const std::uint64_t destination = in.u64();
  const std::uint16_t first = in.u16();
  const auto last = static_cast<std::uint16_t>(std::min(0xffff, first + in.u8() % 16));
  const std::uint32_t range = std::uint32_t{last} - first + 1, start = in.u32() / range * range;
  std::uint32_t seen = 0;
  for (std::uint32_t n = 0; n < range; ++n) {
    const std::uint16_t port = tcp::nth_port(secrets, destination, start + n, first, last);
    FUZZ_CHECK(port >= first && port <= last && (seen & 1u << (port - first)) == 0);
    seen |= 1u << (port - first);
  }
}

}  // namespace
}  // namespace handfast::fuzz

using namespace handfast;
using namespace handfast::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Tally tally{"secrets"};
  Reader in{data, size};
  const unsigned what = in.u8();
  Rng rng{in.u16()};
  const tcp::Secrets secrets{rng, in.u8()};
  const Time now{Duration{static_cast<std::int64_t>(in.u64() >> 4)}};
  tally.add();
  switch (what & 7) {
    case 0: check_ports(in, secrets); break;
    case 1: check_timestamp(in); break;
    case 2:
    case 3: check_fast_open(in, secrets, now); break;
    default: check_syn_cookie(in, secrets, now); break;
  }
  return 0;
}
