// SPDX-License-Identifier: BSD-3-Clause
// One queue pair of one port, as the shard's loop sees it: frames in, frames out, buffers kept warm.
// Layer: dpdk, all inline, used by one thread. Must not know what the frames say, checksum fields aside.
#pragma once

#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>
#include <rte_tcp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "dpdk/port.hpp"
#include "ds/cache_line.hpp"
#include "wire/frame.hpp"

namespace handfast::dpdk {

/// Written by the owning thread, readable from any other.
class IoCounter {
 public:
  void add(std::uint64_t n) { value_.store(get() + n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct IoStats {
  IoCounter rx_frames;
  IoCounter rx_dropped;  ///< in several pieces that did not fit into one, or contradicted their total
  IoCounter tx_frames;
  IoCounter tx_refused;  ///< frames that a full queue did not take at once; the caller keeps them
  IoCounter tx_dropped;  ///< that the driver can never send (its tx_prepare said so)
  IoCounter pool_empty;  ///< allocate() found no buffer
};

class DpdkIo {
 public:
  static constexpr std::size_t max_burst = 64;     ///< larger bursts over large pools collapse under load
  static constexpr std::size_t cache_limit = 128;  ///< buffers kept for the next allocate()
  static constexpr unsigned refill = 32;
  static constexpr bool keeps_buffers = true;  ///< for the loop: see shard/io.hpp

  DpdkIo(const Port& port, std::uint16_t queue)
      : pool_(port.pool()),
        traits_(port.traits()),
        port_(port.id()),
        queue_(queue),
        mtu_(port.mtu()),
        max_frame_(pool_->frame_bytes()) {
    assert(queue < port.queues());
  }
  ~DpdkIo() { flush_cache(); }
  DpdkIo(const DpdkIo&) = delete;
  DpdkIo& operator=(const DpdkIo&) = delete;

  /// At most max_burst frames. Each must come back through release(), of this object or of another one.
  [[nodiscard]] std::size_t receive(std::span<wire::RxFrame> out) {
    std::array<rte_mbuf*, max_burst> burst;
    const auto room = static_cast<std::uint16_t>(std::min(out.size(), max_burst));
    const std::uint16_t got = rte_eth_rx_burst(port_, queue_, burst.data(), room);
    if (got == 0) return 0;
    for (std::uint16_t i = 0; i < std::min<std::uint16_t>(got, prefetch_ahead); ++i) rte_prefetch0(burst[i]);
    std::size_t kept = 0;
    for (std::uint16_t i = 0; i < got; ++i) {
      if (i + prefetch_ahead < got) rte_prefetch0(burst[i + prefetch_ahead]);
      rte_mbuf* const m = burst[i];
      if (m->nb_segs != 1 && !make_contiguous(m)) [[unlikely]]
        continue;
      fill(out[kept++], m);
    }
    stats_.rx_frames.add(kept);
    return kept;
  }

  /// Received frames are done with; the handles may come from another queue of the same process.
  void release(std::span<void* const> handles) {
    std::array<rte_mbuf*, max_burst> rest;
    unsigned count = 0;
    for (void* const handle : handles) {
      auto* const m = static_cast<rte_mbuf*>(handle);
      if (cached_ < cache_limit && reusable(m)) {
        cache_[cached_++] = m;
        continue;
      }
      rest[count++] = m;
      if (count == rest.size()) {
        rte_pktmbuf_free_bulk(rest.data(), count);
        count = 0;
      }
    }
    if (count != 0) rte_pktmbuf_free_bulk(rest.data(), count);
  }

  /// A buffer with max_frame() bytes of room; false when the pool is empty. Owned by the caller until it is
  /// given to discard() or taken by transmit().
  [[nodiscard, gnu::always_inline]] inline bool allocate(wire::TxFrame& out) {
    if (cached_ == 0 && !fill_cache()) [[unlikely]]
      return false;
    rte_mbuf* const m = cache_[--cached_];
    if (cached_ >= write_ahead) [[likely]] prefetch_frame(cache_[cached_ - write_ahead]);
    out.data = static_cast<std::byte*>(m->buf_addr) + RTE_PKTMBUF_HEADROOM;
    out.capacity = max_frame_;
    out.length = 0;
    out.segment_size = 0;
    out.offload = 0;
    out.tcp_header_length = 0;
    out.handle = m;
    return true;
  }

  /// Gives back a frame that will not be sent.
  void discard(wire::TxFrame& frame) {
    auto* const m = static_cast<rte_mbuf*>(frame.handle);
    frame.handle = nullptr;
    if (cached_ < cache_limit) {
      cache_[cached_++] = m;
    } else {
      rte_pktmbuf_free(m);
    }
  }

  /// Sends frames from the first on; returns how many were taken. The others stay the caller's, unchanged, to
  /// be offered again: nothing is dropped because a queue is full. `data` may have moved inside its buffer.
  [[nodiscard]] std::size_t transmit(std::span<wire::TxFrame> frames) {
    std::size_t done = 0;
    while (done < frames.size()) {
      const auto chunk = frames.subspan(done, std::min(frames.size() - done, max_burst));
      const std::size_t taken = transmit_chunk(chunk);
      done += taken;
      if (taken < chunk.size()) {
        stats_.tx_refused.add(frames.size() - done);
        break;
      }
    }
    return done;
  }

  /// wire::TxOffload bits that the port does; a frame must ask for no other.
  [[nodiscard]] std::uint8_t tx_offloads() const { return traits_.tx_offloads; }
  [[nodiscard]] std::uint32_t mtu() const { return mtu_; }              ///< bytes of an IP packet
  [[nodiscard]] std::uint32_t max_frame() const { return max_frame_; }  ///< room in one buffer
  [[nodiscard]] const IoStats& stats() const { return stats_; }
  [[nodiscard]] std::size_t cached() const { return cached_; }

  /// Gives the kept buffers back to the pool.
  void flush_cache() {
    rte_pktmbuf_free_bulk(cache_.data(), cached_);
    cached_ = 0;
  }

 private:
  static constexpr std::uint16_t prefetch_ahead = 4;
  static constexpr unsigned write_ahead = 4;

  /// What will be written of a buffer of our pool: the driver's fields, and the headers of a frame.
  static void prefetch_frame(rte_mbuf* m) {
    auto* const at = reinterpret_cast<std::byte*>(m);
    ds::prefetch_for_write(at);
    ds::prefetch_for_write(at + sizeof(rte_mbuf) + RTE_PKTMBUF_HEADROOM);
    ds::prefetch_for_write(at + sizeof(rte_mbuf) + RTE_PKTMBUF_HEADROOM + 64);
  }

  void fill(wire::RxFrame& out, rte_mbuf* m) const {
    auto* const data = rte_pktmbuf_mtod(m, std::byte*);
    rte_prefetch0(data);
    out.data = data;
    out.length = m->data_len;
    out.for_learning = out.looped_back = false;
    out.handle = m;
    // A ring hands over the sender's own buffer with the sender's flags: only ports whose receive offloads
    // are on are believed.
    out.ip_checksum = traits_.rx_ip_checksum ? checksum_state(m->ol_flags, RTE_MBUF_F_RX_IP_CKSUM_BAD,
                                                              RTE_MBUF_F_RX_IP_CKSUM_GOOD)
                                             : wire::ChecksumState::unknown;
    out.tcp_checksum = traits_.rx_tcp_checksum ? checksum_state(m->ol_flags, RTE_MBUF_F_RX_L4_CKSUM_BAD,
                                                                RTE_MBUF_F_RX_L4_CKSUM_GOOD)
                                               : wire::ChecksumState::unknown;
  }

  /// NONE is both bits: not correct in the data, integrity verified.
  [[nodiscard]] wire::ChecksumState checksum_state(std::uint64_t flags, std::uint64_t bad,
                                                   std::uint64_t good) const {
    const bool is_bad = (flags & bad) != 0;
    const bool is_good = (flags & good) != 0;
    if (is_good && (!is_bad || traits_.rx_none_is_good)) return wire::ChecksumState::good;
    return is_bad && !is_good ? wire::ChecksumState::bad : wire::ChecksumState::unknown;
  }

  [[nodiscard]] bool make_contiguous(rte_mbuf* m) {
    // Copied is what the pieces hold, room is made for what the chain says: they must agree.
    std::uint32_t bytes = 0;
    for (const rte_mbuf* piece = m; piece != nullptr; piece = piece->next) bytes += piece->data_len;
    if (bytes == m->pkt_len && rte_pktmbuf_linearize(m) == 0) return true;
    rte_pktmbuf_free(m);
    stats_.rx_dropped.add(1);
    return false;
  }

  /// Ours alone, whole, and of our pool: a ring's peer may have cloned it, another port's has another size.
  [[nodiscard]] bool reusable(const rte_mbuf* m) const {
    return m->pool == pool_->get() && rte_mbuf_refcnt_read(m) == 1 && m->nb_segs == 1 && RTE_MBUF_DIRECT(m);
  }

  [[nodiscard, gnu::noinline]] bool fill_cache() {
    if (rte_pktmbuf_alloc_bulk(pool_->get(), cache_.data(), refill) == 0) {
      cached_ = refill;
      return true;
    }
    // Fewer than a bulk are left: one by one, so that the last buffers are not lost to us.
    cache_[0] = rte_pktmbuf_alloc(pool_->get());
    if (cache_[0] == nullptr) {
      stats_.pool_empty.add(1);
      return false;
    }
    cached_ = 1;
    return true;
  }

  [[nodiscard]] std::size_t transmit_chunk(std::span<wire::TxFrame> frames) {
    std::array<rte_mbuf*, max_burst> burst;
    bool any_offload = false;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      burst[i] = prepare(frames[i]);
      any_offload |= frames[i].offload != 0;
    }
    auto count = static_cast<std::uint16_t>(frames.size());
    if (any_offload) [[unlikely]] {
      const std::uint16_t ready = rte_eth_tx_prepare(port_, queue_, burst.data(), count);
      if (ready < count) return transmit_around(burst, ready);
    }
    const std::uint16_t sent = rte_eth_tx_burst(port_, queue_, burst.data(), count);
    stats_.tx_frames.add(sent);
    return sent;
  }

  /// The driver will never take burst[bad]: without dropping it the queue would stand still for ever.
  [[nodiscard]] std::size_t transmit_around(std::array<rte_mbuf*, max_burst>& burst, std::uint16_t bad) {
    const std::uint16_t sent = bad == 0 ? 0 : rte_eth_tx_burst(port_, queue_, burst.data(), bad);
    stats_.tx_frames.add(sent);
    if (sent < bad) return sent;
    rte_pktmbuf_free(burst[bad]);
    stats_.tx_dropped.add(1);
    return std::size_t{bad} + 1;
  }

  /// Writes what the driver reads of a frame; may be done again for one that was not taken.
  [[nodiscard]] rte_mbuf* prepare(const wire::TxFrame& frame) const {
    auto* const m = static_cast<rte_mbuf*>(frame.handle);
    assert(frame.length <= frame.capacity && (frame.offload & ~traits_.tx_offloads) == 0);
    m->data_off = static_cast<std::uint16_t>(frame.data - static_cast<std::byte*>(m->buf_addr));
    m->data_len = static_cast<std::uint16_t>(frame.length);
    m->pkt_len = frame.length;
    m->ol_flags = 0;
    if (frame.offload != 0) prepare_offload(m, frame);
    return m;
  }

  /// Drivers want the pseudo-header's sum in the TCP field, and zero in IP's.
  void prepare_offload(rte_mbuf* m, const wire::TxFrame& frame) const {
    constexpr std::byte vlan_first{0x81};
    const std::uint64_t l2 = frame.data[12] == vlan_first && frame.data[13] == std::byte{0} ? 18 : 14;
    auto* const ip = reinterpret_cast<rte_ipv4_hdr*>(frame.data + l2);
    const std::uint64_t l3 = rte_ipv4_hdr_len(ip);
    auto* const tcp = reinterpret_cast<rte_tcp_hdr*>(frame.data + l2 + l3);
    const bool segment = (frame.offload & wire::tx_tcp_segmentation) != 0;
    std::uint64_t flags = RTE_MBUF_F_TX_IPV4;
    if ((frame.offload & wire::tx_ip_checksum) != 0) {
      flags |= RTE_MBUF_F_TX_IP_CKSUM;
      ip->hdr_checksum = 0;
    }
    if (segment) flags |= RTE_MBUF_F_TX_TCP_SEG;
    if (segment || (frame.offload & wire::tx_tcp_checksum) != 0) {
      flags |= RTE_MBUF_F_TX_TCP_CKSUM;
      tcp->cksum = rte_ipv4_phdr_cksum(ip, flags);
    }
    const std::uint64_t l4 = static_cast<std::uint64_t>(tcp->data_off >> 4) * 4;
    m->tx_offload = rte_mbuf_tx_offload(l2, l3, l4, segment ? frame.segment_size : 0, 0, 0, 0);
    m->ol_flags = flags;
  }

  std::shared_ptr<PacketPool> pool_;
  PortTraits traits_;
  std::uint16_t port_;
  std::uint16_t queue_;
  std::uint32_t mtu_;
  std::uint32_t max_frame_;
  unsigned cached_ = 0;
  IoStats stats_;
  std::array<rte_mbuf*, cache_limit> cache_;
};

}  // namespace handfast::dpdk
