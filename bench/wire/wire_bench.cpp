// SPDX-License-Identifier: BSD-3-Clause
// What the formats cost: checksums, the hot parser, the writer, the keyed hash. One frame, in the first
// cache.
#include <benchmark/benchmark.h>

#include <array>
#include <vector>

#include "base/rng.hpp"
#include "base/siphash.hpp"
#include "wire/ethernet.hpp"
#include "wire/fast_parse.hpp"
#include "wire/tcp_writer.hpp"

namespace {

using namespace handfast;
using namespace handfast::wire;

std::vector<std::byte> random_bytes(std::size_t size) {
  std::vector<std::byte> bytes(size);
  Rng rng{1};
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(rng.next());
  return bytes;
}

TcpHeaderFields fields() {
  TcpHeaderFields f;
  f.flow = FlowKey{{{10, 0, 0, 1}, 40000}, {{10, 0, 0, 2}, 80}};
  f.flow_sum = flow_sum(f.flow);
  f.source_mac = MacAddress{{2, 0, 0, 0, 0, 1}};
  f.destination_mac = MacAddress{{2, 0, 0, 0, 0, 2}};
  f.window = 65535;
  f.flags = ack;
  return f;
}

void sum_bytes_of(benchmark::State& state) {
  const auto bytes = random_bytes(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    benchmark::DoNotOptimize(bytes.data());
    benchmark::ClobberMemory();
    benchmark::DoNotOptimize(finish(sum_bytes(bytes)));
  }
}
BENCHMARK(sum_bytes_of)->Arg(20)->Arg(60)->Arg(64)->Arg(128)->Arg(512)->Arg(1460);

void copy_and_sum_of(benchmark::State& state) {
  const auto from = random_bytes(static_cast<std::size_t>(state.range(0)));
  std::vector<std::byte> to(from.size());
  for (auto _ : state) {
    benchmark::ClobberMemory();
    benchmark::DoNotOptimize(copy_and_sum(to.data(), from));
  }
}
BENCHMARK(copy_and_sum_of)->Arg(64)->Arg(1460);

/// A frame of as many payload bytes, with room behind it.
std::vector<std::byte> frame_of(std::size_t payload) {
  std::vector<std::byte> frame(tcp_frame_header_length + 12);
  TcpOptions options;
  options.has_timestamps = true;
  (void)write_options(frame.data() + tcp_frame_header_length, options);
  const auto data = random_bytes(payload);
  frame.insert(frame.end(), data.begin(), data.end());
  std::byte* const place = frame.data() + tcp_frame_header_length;
  (void)write_tcp_frame(frame.data(), fields(), {place, 12}, static_cast<std::uint32_t>(payload),
                        sum_bytes(data), 0);
  return frame;
}

void parse(benchmark::State& state, ChecksumState checksum) {
  const auto bytes = frame_of(static_cast<std::size_t>(state.range(0)));
  const RxFrame frame{bytes.data(), static_cast<std::uint32_t>(bytes.size()), checksum, checksum, nullptr};
  Segment segment;
  for (auto _ : state) {
    benchmark::ClobberMemory();
    const FastVerdict verdict = parse_tcp_frame(frame, segment);
    if (!verdict.common_shape || verdict.drop != Drop::none) state.SkipWithError("not parsed");
    benchmark::DoNotOptimize(segment);
  }
}
BENCHMARK_CAPTURE(parse, verified, ChecksumState::unknown)->Arg(0)->Arg(64)->Arg(1448);
BENCHMARK_CAPTURE(parse, trusted, ChecksumState::good)->Arg(0)->Arg(1448);

void parse_layered(benchmark::State& state) {
  const auto bytes = frame_of(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    benchmark::ClobberMemory();
    EthernetFrame ethernet;
    Ipv4Packet packet;
    Segment segment;
    benchmark::DoNotOptimize(parse_ethernet(bytes, ethernet));
    benchmark::DoNotOptimize(parse_ipv4(ethernet.payload, ChecksumState::unknown, packet));
    benchmark::DoNotOptimize(parse_tcp_packet(packet, ChecksumState::unknown, segment));
    benchmark::DoNotOptimize(segment);
  }
}
BENCHMARK(parse_layered)->Arg(0);

void write_headers(benchmark::State& state, std::size_t options_length, bool sum_kept, int offload) {
  alignas(64) std::array<std::byte, 128> frame{};
  TcpHeaderFields f = fields();
  if (!sum_kept) f.flow_sum = 0;
  const auto options = random_bytes(options_length);
  for (auto _ : state) {
    f.seq += 1;
    benchmark::DoNotOptimize(f);
    const std::uint32_t length =
        write_tcp_frame(frame.data(), f, options, 0, 0, static_cast<std::uint8_t>(offload));
    benchmark::DoNotOptimize(length);
    benchmark::ClobberMemory();
  }
}
BENCHMARK_CAPTURE(write_headers, plain, 0, true, 0);
BENCHMARK_CAPTURE(write_headers, plain_without_kept_sum, 0, false, 0);
BENCHMARK_CAPTURE(write_headers, with_timestamps, 12, true, 0);
BENCHMARK_CAPTURE(write_headers, offloaded, 0, true, tx_ip_checksum | tx_tcp_checksum);

void write_options_of(benchmark::State& state, bool of_syn) {
  std::array<std::byte, max_tcp_options_length> room{};
  TcpOptions options;
  options.has_timestamps = true;
  options.has_mss = options.sack_permitted = options.has_window_scale = of_syn;
  for (auto _ : state) {
    benchmark::DoNotOptimize(options);
    benchmark::DoNotOptimize(write_options(room.data(), options));
    benchmark::ClobberMemory();
  }
}
BENCHMARK_CAPTURE(write_options_of, syn, true);
BENCHMARK_CAPTURE(write_options_of, timestamps, false);

void parse_options_of(benchmark::State& state, bool of_syn) {
  std::array<std::byte, max_tcp_options_length> room{};
  TcpOptions options;
  options.has_timestamps = true;
  options.has_mss = options.sack_permitted = options.has_window_scale = of_syn;
  const std::size_t length = write_options(room.data(), options);
  const std::span<const std::byte> bytes{room.data(), length};
  for (auto _ : state) {
    benchmark::ClobberMemory();
    const bool fine = parse_timestamp_only(bytes, options) || parse_tcp_options(bytes, options);
    benchmark::DoNotOptimize(fine);
    benchmark::DoNotOptimize(options);
  }
}
BENCHMARK_CAPTURE(parse_options_of, syn, true);
BENCHMARK_CAPTURE(parse_options_of, timestamps, false);

void siphash13_of_two_words(benchmark::State& state) {
  std::uint64_t a = 1;
  for (auto _ : state) a = siphash13(SipKey{1, 2}, a, 3);  // each waits for the one before: latency
  benchmark::DoNotOptimize(a);
}
BENCHMARK(siphash13_of_two_words);

void siphash24_of_two_words(benchmark::State& state) {
  std::uint64_t a = 1;
  for (auto _ : state) a = siphash24(SipKey{1, 2}, a, 3);
  benchmark::DoNotOptimize(a);
}
BENCHMARK(siphash24_of_two_words);

}  // namespace

BENCHMARK_MAIN();
