// SPDX-License-Identifier: BSD-3-Clause
// The outer loop, the one template over the I/O: receive, process, time, describe, write, send. Layer: shard.
// Nothing is decided here that concerns the protocol.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "shard/cut_segment.hpp"
#include "shard/shard.hpp"
#include "wire/checksum.hpp"
#include "wire/ethernet.hpp"
#include "wire/tcp_writer.hpp"

namespace handfast::shard {

template <Io I>
class Loop {
 public:
  /// Both outlive the loop.
  Loop(Shard& shard, I& io) : shard_(shard), io_(io), backlog_(shard.tcp().out.written()) {
    looped_.reserve(max_looped);
    shard_.tcp().out.on_full([](void* self) { static_cast<Loop*>(self)->write_segments(); },
                             [](void* self, std::uint32_t remote) { return static_cast<Loop*>(self)->take_frame(remote); }, this);
  }
  ~Loop() { shard_.tcp().out.on_full(nullptr, nullptr, nullptr); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// One round. Returns how many frames came in or left: 0 means that there was nothing to do.
  std::size_t poll(Time now) {
    shard_.begin(now);
    shard_.run_posts();
    std::size_t work = send_backlog();
    const FrameSource source{this, [](void* self, wire::TxFrame& frame) { return static_cast<Loop*>(self)->allocate(frame); }};
    // With frames that the port does not take there is no point in making more: its receive queue is the brake. But where it
    // takes none at all, the other end may be waiting in just that way, and would do so for ever.
    if (backlog_.size() < backlog_limit || work == 0) {
      work += receive(source);
      if (Mesh* mesh = shard_.mesh()) work += receive_handed_over(*mesh, source);
    }
    shard_.run_timers(source, backlog_.size() < backlog_limit ? max_timers : max_timers_jammed);
    write_segments();  // of timers: their bytes may be gone after the next callbacks
    shard_.finish_ended();
    release_done();  // before what answers it is written: those buffers are the ones in the cache
    shard_.describe_output();
    write_segments();
    work += send_backlog();
    release_done();
    if constexpr (!requires { I::keeps_buffers; }) give_back_prepared();
    return work;
  }

  /// Ends the shard and gives every buffer back: the last call.
  void stop() {
    shard_.end_all();
    give_back_prepared();
    for (wire::TxFrame& frame : backlog_.frames()) io_.discard(frame);
    backlog_.drop_front(backlog_.size());
    release_done();
    if (Mesh* mesh = shard_.mesh()) release_handed_over(*mesh);
  }

  /// Frames that the port has not taken yet.
  [[nodiscard]] std::size_t backlog() const { return backlog_.size(); }

 private:
  static constexpr std::size_t backlog_limit = 1024;

  std::size_t receive(FrameSource source) {
    const std::size_t n = io_.receive(burst_);
    if (n != 0) shard_.input(std::span{burst_}.first(n), source);
    if (shard_.looped().empty()) return n;
    // What we sent to ourselves in the last round.
    std::swap(looped_, shard_.looped());
    for (std::size_t i = 0; i < looped_.size(); i += max_burst)
      shard_.input(std::span{looped_}.subspan(i, std::min(max_burst, looped_.size() - i)), source);
    const std::size_t looped = looped_.size();
    looped_.clear();
    return n + looped;
  }

  std::size_t receive_handed_over(Mesh& mesh, FrameSource source) {
    std::size_t total = 0;
    const std::uint16_t self = shard_.core().shard_index();
    for (std::uint16_t from = 0; from < mesh.steering().shards(); ++from) {
      if (from == self) continue;
      const std::size_t n = mesh.ring(from, self).pop(std::span{burst_});
      if (n != 0) shard_.input(std::span{burst_}.first(n), source);
      total += n;
    }
    return total;
  }

  /// What other shards left for this one: nobody will look at it.
  void release_handed_over(Mesh& mesh) {
    const std::uint16_t self = shard_.core().shard_index();
    wire::RxFrame frame;
    for (std::uint16_t from = 0; from < mesh.steering().shards(); ++from)
      while (from != self && mesh.ring(from, self).pop(frame)) io_.release(std::span<void* const>{&frame.handle, 1});
  }

  /// Every described segment becomes a frame: sent, held until its neighbour is known, or received by ourselves.
  [[gnu::noinline]] void write_segments() {
    tcp::Context& cx = shard_.tcp();
    if (cx.out.segments().empty()) return;
    take_ready();  // first: frames that were held must not be overtaken by later ones of their connection
    const FrameSource source{this, [](void* self, wire::TxFrame& frame) { return static_cast<Loop*>(self)->allocate(frame); }};
    const std::uint8_t offloads = io_.tx_offloads();
    for (const tcp::TxSegment& segment : cx.out.segments()) write_segment(segment, offloads, source);
    cx.out.clear();
  }

  /// TxQueue::frame().
  wire::TxFrame* take_frame(std::uint32_t remote) {
    if (!shard_.tcp().out.segments().empty()) [[unlikely]] write_segments();
    take_ready();
    const std::uint64_t mac = shard_.known_route(Ipv4Address{remote});
    if (mac == 0 || backlog_.is_full() || !shard_.ready().empty()) [[unlikely]] return nullptr;
    if (backlog_.prepared().empty()) prepare();
    return backlog_.take_and_remember(remote, mac, shard_.own_mac());
  }

  /// Buffers for the next frames.
  void prepare() {
    const std::uint8_t offload = io_.tx_offloads() & (wire::tx_ip_checksum | wire::tx_tcp_checksum);
    std::size_t n = 0;
    for (wire::TxFrame& buffer : backlog_.places()) {
      if (!io_.allocate(buffer)) break;
      buffer.offload = offload;
      ++n;
    }
    backlog_.set_prepared(n);
  }
  /// A buffer for any frame: what was put aside for the plainest is there for the others, too, where nothing else is left.
  [[gnu::always_inline]] inline bool allocate(wire::TxFrame& frame) {
    return io_.allocate(frame) || (!backlog_.prepared().empty() && take_back(frame));
  }
  [[gnu::noinline]] bool take_back(wire::TxFrame& frame) {
    frame = backlog_.unprepare();
    frame.offload = 0;
    return true;
  }
  void give_back_prepared() {
    for (wire::TxFrame& buffer : backlog_.prepared()) io_.discard(buffer);
    backlog_.set_prepared(0);
  }

  void write_segment(const tcp::TxSegment& segment, std::uint8_t offloads, FrameSource source) {
    if (!is_large(segment)) [[likely]] {
      write_part(segment, offloads & (wire::tx_ip_checksum | wire::tx_tcp_checksum), source);
      return;
    }
    SegmentCutter cutter{segment, most_of_a_part(segment, offloads)};
    if ((offloads & wire::tx_whole) != 0) offloads &= static_cast<std::uint8_t>(~wire::tx_tcp_segmentation);
    while (const tcp::TxSegment* part = cutter.next()) {
      const auto cut = static_cast<std::uint8_t>(is_large(*part) ? wire::tx_tcp_segmentation : 0);
      write_part(*part, offloads & (wire::tx_ip_checksum | wire::tx_tcp_checksum | cut), source);
    }
  }

  /// As much as a buffer takes, where the port cuts it or the other end takes it whole; else what a frame takes.
  [[nodiscard]] std::uint32_t most_of_a_part(const tcp::TxSegment& segment, std::uint8_t offloads) const {
    if constexpr (requires { io_.max_frame(); }) {
      constexpr std::uint8_t any = wire::tx_tcp_segmentation | wire::tx_whole;
      const std::uint32_t headers = wire::tcp_frame_header_length + segment.options_length;
      const std::uint32_t room = std::min<std::uint32_t>(io_.max_frame(), wire::ethernet_header_length + 65535u);
      if ((offloads & any) != 0) return payload_of_a_part(segment, room - headers);
    }
    return segment.segment_size;
  }

  /// One frame. `offloads`: those that it asks for.
  [[gnu::always_inline]] void write_part(const tcp::TxSegment& segment, std::uint8_t offloads, FrameSource source) {
    const std::uint64_t mac = shard_.known_route(Ipv4Address{segment.flow.remote_address});
    if (mac == 0 || backlog_.is_full()) [[unlikely]]
      return write_elsewhere(segment, offloads, source);
    // Straight into its place in the backlog.
    wire::TxFrame& frame = backlog_.next();
    if (!allocate(frame)) [[unlikely]] {
      tcp::count(shard_.tcp(), Drop::tx_no_buffer);  // as if it had been lost on the way
      return;
    }
    write_frame(segment, mac, offloads, frame);
    backlog_.commit();
  }

  /// Held until its neighbour is known, or to ourselves, or dropped.
  [[gnu::noinline]] void write_elsewhere(const tcp::TxSegment& segment, std::uint8_t offloads, FrameSource source) {
    tcp::Context& cx = shard_.tcp();
    const Ipv4Address remote{segment.flow.remote_address};
    if (backlog_.is_full()) {
      tcp::count(cx, Drop::tx_no_buffer);
      return;
    }
    MacAddress mac;
    const Shard::Route route = shard_.route(remote, mac, source);
    if (route == Shard::Route::drop) return;
    wire::TxFrame frame;
    if (!allocate(frame)) {
      tcp::count(cx, Drop::tx_no_buffer);
      return;
    }
    if (route == Shard::Route::loop_back) offloads = 0;
    write_frame(segment, wire::mac_word(mac), offloads, frame);
    switch (route) {
      case Shard::Route::send: backlog_.push(frame); return;
      case Shard::Route::hold: shard_.held().push_back({frame, shard_.next_hop(remote)}); return;
      case Shard::Route::loop_back: loop_back(frame); return;
      case Shard::Route::drop: return;
    }
  }

  void loop_back(wire::TxFrame& frame) {
    if (shard_.looped().size() == max_looped) {
      io_.discard(frame);
      tcp::count(shard_.tcp(), Drop::tx_no_buffer);
      return;
    }
    wire::RxFrame in{frame.data, frame.length, wire::ChecksumState::good, wire::ChecksumState::good, frame.handle};
    in.looped_back = true;
    shard_.looped().push_back(in);
  }

  /// The pieces of the payload, behind each other. Returns their sum where software is to know it.
  static std::uint64_t put_payload(const tcp::TxSegment& segment, std::byte* to, bool software) {
    std::uint64_t sum = 0;
    std::size_t offset = 0;
    for (std::uint8_t i = 0; i < segment.pieces; ++i) {
      const std::span<const std::byte> bytes{segment.piece[i].data, segment.piece[i].length};
      if (software) {
        const std::uint64_t piece = wire::copy_and_sum(to + offset, bytes);
        sum += (offset & 1) != 0 ? wire::sum_at_odd_offset(piece) : piece;
      } else {
        std::memcpy(to + offset, bytes.data(), bytes.size());
      }
      offset += bytes.size();
    }
    return sum;
  }

  [[gnu::always_inline]] void write_frame(const tcp::TxSegment& segment, std::uint64_t mac, std::uint8_t offload, wire::TxFrame& frame) {
    std::byte* const ip = frame.data + wire::ethernet_header_length;
    std::uint64_t sum = 0;
    if (segment.pieces != 0) {
      std::byte* to = frame.data + wire::tcp_frame_header_length + segment.options_length;
      sum = put_payload(segment, to, (offload & wire::tx_tcp_checksum) == 0);
    }
    wire::TcpPacketFields fields;
    fields.flow = segment.flow;
    fields.flow_sum = segment.flow_sum;
    fields.seq = segment.seq;
    fields.ack = segment.ack;
    fields.window = segment.window;
    fields.flags = segment.flags;
    fields.urgent = (segment.flags & wire::urg) != 0 ? segment.urgent : std::uint16_t{0};
    fields.tos = segment.tos;
    fields.ttl = shard_.tcp().config.link.ttl;  // MUST-49
    wire::write_ethernet(frame.data, mac, shard_.own_mac(), wire::ether_type_ipv4);
    const std::uint32_t length = wire::write_tcp_packet(ip, fields, {segment.options.data(), segment.options_length},
                                                        segment.payload_length, sum, offload);
    frame.length = static_cast<std::uint32_t>(wire::ethernet_header_length) + length;
    frame.offload = offload;
    frame.segment_size = (offload & wire::tx_tcp_segmentation) != 0 ? segment.segment_size : std::uint16_t{0};
    frame.tcp_header_length = static_cast<std::uint8_t>(wire::tcp_header_length + segment.options_length);
  }

  void take_ready() {
    if (!shard_.ready().empty()) [[unlikely]] move_ready();
  }
  [[gnu::noinline]] void move_ready() {
    auto& ready = shard_.ready();
    const auto n = static_cast<std::ptrdiff_t>(std::min(ready.size(), max_backlog - std::min(max_backlog, backlog_.size())));
    for (std::ptrdiff_t i = 0; i < n; ++i) backlog_.push(ready[static_cast<std::size_t>(i)]);
    ready.erase(ready.begin(), ready.begin() + n);
  }

  std::size_t send_backlog() {
    take_ready();
    if (backlog_.size() == 0) return 0;
    const std::span<wire::TxFrame> frames = backlog_.frames();
    const std::size_t sent = io_.transmit(frames);
    std::uint64_t bytes = 0;
    for (const wire::TxFrame& frame : frames.first(sent)) bytes += frame.length;
    tcp::Context& cx = shard_.tcp();
    cx.stats.frames_out += sent;
    cx.stats.bytes_out += bytes;
    backlog_.drop_front(sent);
    return sent;
  }

  void release_done() {
    auto& done = shard_.done();
    if (done.empty()) return;
    io_.release(std::span<void* const>{done});
    done.clear();
  }

  Shard& shard_;
  I& io_;
  std::array<wire::RxFrame, max_burst> burst_;
  tcp::TxFrames& backlog_;
  std::vector<wire::RxFrame> looped_;
};

}  // namespace handfast::shard
