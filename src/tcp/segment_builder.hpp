// SPDX-License-Identifier: BSD-3-Clause
// What all segments of a synchronised connection have in common. Layer: tcp, private to output and replies.
#pragma once

#include "tcp/context.hpp"
#include "tcp/output.hpp"
#include "tcp/receive_window.hpp"
#include "wire/bytes.hpp"
#include "wire/tcp_writer.hpp"

namespace handfast::tcp {

inline constexpr std::uint32_t timestamp_option_bytes = 12;  // with its padding

/// SACK blocks that the next segment would carry (RFC 2018 section 3): at most 3 beside timestamps, 4 alone, and no more than
/// leave half of a small segment to its data (MUST-16).
[[nodiscard]] inline std::uint32_t sack_blocks_due(const Tcb& tcb) {
  if (tcb.receive == nullptr || tcb.receive->beyond.empty() || !has(tcb, sack_enabled)) return 0;
  const std::uint32_t most = std::min(has(tcb, ts_enabled) ? 3u : 4u, (tcb.snd_mss / 2u - 4) / 8);
  return std::min(static_cast<std::uint32_t>(tcb.receive->beyond.size()), most);
}

/// What `dressed` stands for (dress.cpp): bytes of options beside `other_options`, and putting all of it on.
[[nodiscard]] std::uint32_t extra_option_bytes(const Tcb& tcb, std::uint32_t other_options);
void dress_segment(const Context& cx, Tcb& tcb, TxSegment& segment);

/// Payload that fits beside the options of the next segment.
[[nodiscard]] inline std::uint32_t segment_room(const Tcb& tcb) {
  const std::uint32_t blocks = sack_blocks_due(tcb);
  std::uint32_t options = blocks == 0 ? 0 : 4 + 8 * blocks;
  if (has(tcb, dressed)) [[unlikely]]
    options += extra_option_bytes(tcb, options + (has(tcb, ts_enabled) ? timestamp_option_bytes : 0));
  return tcb.snd_mss > options + 8 ? tcb.snd_mss - options : 8;
}

/// Fills everything but payload, FIN and PSH; null when the queue is full. Nothing is sent before commit_segment.
/// `duplicate` is what the first SACK block reports as having come again (rfc2883 4).
[[nodiscard]] inline TxSegment* begin_segment(Context& cx, Tcb& tcb, Seq seq, std::uint8_t flags,
                                              const ds::Range* duplicate = nullptr) {
  TxSegment* segment = cx.out.next();
  if (segment == nullptr) return nullptr;
  segment->flow = tcb.key;
  segment->flow_sum = tcb.flow_sum;
  segment->seq = seq;
  segment->ack = tcb.rcv_nxt;
  segment->window = window_field(cx, tcb);
  segment->flags = flags;
  segment->pieces = 0;
  segment->tos = tos_of(tcb);
  segment->payload_length = 0;
  segment->options_length = 0;
  const std::uint32_t blocks = sack_blocks_due(tcb);
  if (blocks != 0 || duplicate != nullptr) {
    wire::TcpOptions options;
    options.has_timestamps = has(tcb, ts_enabled);
    options.ts_val = ts_now(cx, tcb);
    options.ts_ecr = tcb.ts_recent;
    std::array<ds::Range, 4> ranges;
    unsigned n = 0;
    if (duplicate != nullptr) ranges[n++] = *duplicate;
    const unsigned most = options.has_timestamps ? 3 : 4;
    if (blocks != 0) n += tcb.receive->blocks_to_report(std::span{ranges}.subspan(n, most - n));
    options.sack_count = static_cast<std::uint8_t>(n);
    for (std::size_t i = 0; i < options.sack_count; ++i) options.sack[i] = {ranges[i].left, ranges[i].right};
    segment->options_length = wire::write_options(segment->options.data(), options);
  } else if (has(tcb, ts_enabled)) {
    wire::store32(segment->options.data(), 0x0101080a);  // NOP, NOP, timestamps, 10 bytes
    wire::store32(segment->options.data() + 4, ts_now(cx, tcb));
    wire::store32(segment->options.data() + 8, tcb.ts_recent);
    segment->options_length = timestamp_option_bytes;
  }
  if (has(tcb, dressed)) [[unlikely]] dress_segment(cx, tcb, *segment);
  return segment;
}

/// Lets a segment of more than `size` bytes be cut into such of that size. Returns how many it will be.
inline std::uint32_t allow_cutting(TxSegment& segment, std::uint32_t size) {
  if (segment.payload_length <= size) return 1;
  segment.segment_size = static_cast<std::uint16_t>(size);
  return (segment.payload_length + size - 1) / size;
}

/// Counts the segment as sent, as `frames`. It carries an ACK, so none is due any more.
inline void commit_segment(Context& cx, Tcb& tcb, std::uint32_t frames = 1) {
  cx.out.commit(frames);
  cx.stats.segments_out += frames;
  tcb.last_ack_sent = tcb.rcv_nxt;
  clear(tcb, ack_now | ack_delayed);
  tcb.ack_deadline = never;
}

}  // namespace handfast::tcp
