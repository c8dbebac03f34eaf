// SPDX-License-Identifier: BSD-3-Clause
// A burst's way in: parse all, prefetch the table, prefetch the connections, then one by one. Layer: shard.
#include <algorithm>
#include <cstring>

#include "shard/deliver_to.hpp"
#include "shard/shard.hpp"
#include "tcp/icmp_error.hpp"
#include "tcp/invariants.hpp"
#include "tcp/lifetime.hpp"
#include "tcp/prediction.hpp"
#include "wire/arp.hpp"
#include "wire/ethernet.hpp"
#include "wire/fast_parse.hpp"
#include "wire/icmpv4.hpp"

namespace handfast::shard {
namespace {

constexpr std::uint32_t icmp_replies_per_second = 1000;
/// Errors that are looked into. Routers limit what they send (RFC 1812 section 4.3.2.8); more than this is a flood.
constexpr std::uint32_t icmp_errors_per_second = 10000;
/// What other shards are given of an ARP frame: headers, a tag, the packet; padding teaches nothing.
constexpr std::uint32_t arp_copy_length = 64;

}  // namespace

/// The common frame, wholly in order: everything else is parse_rest()'s, which finds out what is wrong with it. Addresses and
/// ports are looked at where they belong to no connection (is_good_flow); those of a connection were when it began.
[[gnu::always_inline]] inline bool Shard::parse(const wire::RxFrame& frame, wire::Segment& segment, FrameSource source) {
  if (frame.length >= wire::ethernet_header_length && wire::is_addressed_to(frame, ours_.mac)) [[likely]] {
    const wire::FastVerdict fast = wire::parse_tcp_frame<wire::Ends::taken>(frame, segment);
    if (fast.common_shape && fast.drop == Drop::none) [[likely]] return true;
  }
  return parse_rest(frame, segment, source);
}

/// From a neighbour's or a far host's address to one of ours, and ports that there are.
[[gnu::always_inline]] inline bool Shard::is_good_flow(const FlowKey& flow) const {
  const std::uint32_t remote = flow.remote_address;
  const bool strange = remote - ours_.first < ours_.count || remote == ours_.broadcast || wire::is_martian_source(Ipv4Address{remote});
  return !strange && flow.local_address - ours_.first < ours_.count && (flow.ports & 0xffff) != 0 && flow.ports >> 16 != 0;
}

[[gnu::cold, gnu::noinline]] bool Shard::parse_rest(const wire::RxFrame& frame, wire::Segment& segment, FrameSource source) {
  bool is_tcp = false;
  slow_path(frame, segment, is_tcp, source);
  return is_tcp;
}

void Shard::slow_path(const wire::RxFrame& frame, wire::Segment& segment, bool& is_tcp, FrameSource source) {
  wire::EthernetFrame ethernet;
  Drop why = wire::parse_ethernet(frame.bytes(), ethernet);
  if (why != Drop::none) return drop(why);
  const bool unicast = ethernet.destination == cx_.config.link.mac;
  if (!unicast && ethernet.destination != broadcast_mac) return drop(Drop::eth_not_for_us);
  if (ethernet.type == wire::ether_type_arp) return arp_input(frame, ethernet.payload, source);
  if (ethernet.type != wire::ether_type_ipv4) return drop(Drop::eth_unknown_type);
  wire::Ipv4Packet packet;
  why = wire::parse_ipv4(ethernet.payload, frame.ip_checksum, packet);
  if (why != Drop::none) return drop(why);
  if (is_local(packet.source) && !frame.looped_back) return drop(Drop::ip_martian_source);
  if (cx_.config.link.address.is_broadcast(packet.source)) return drop(Drop::ip_martian_source);
  // rfc9293 MUST-57: nothing for broadcast or multicast addresses; an echo to them stays unanswered too.
  if (!unicast || !is_local(packet.destination)) return drop(Drop::ip_not_for_us);
  if (packet.protocol == wire::protocol_icmp) return icmp_input(frame, packet, source);
  if (packet.protocol != wire::protocol_tcp) return drop(Drop::ip_unknown_protocol);
  why = wire::parse_tcp_packet(packet, frame.tcp_checksum, segment);
  if (why != Drop::none) return drop(why);
  is_tcp = true;
}

bool Shard::hand_over(const wire::RxFrame& frame, std::uint16_t owner) {
  if (!mesh_->ring(cx_.config.shard, owner).push(frame)) {
    drop(Drop::steering_ring_full);
    return false;
  }
  ++cx_.stats.handed_over;
  return true;
}

/// For frames that this shard looks at itself, too. False: no buffer, or no room in the ring.
bool Shard::hand_over_copy(const wire::RxFrame& frame, std::uint32_t length, std::uint16_t other, bool for_learning,
                           FrameSource source) {
  wire::TxFrame copy;
  if (!source.allocate(source.io, copy)) {
    drop(Drop::tx_no_buffer);
    return false;
  }
  length = std::min({length, frame.length, copy.capacity});
  std::memcpy(copy.data, frame.data, length);
  wire::RxFrame handed{copy.data, length, frame.ip_checksum, frame.tcp_checksum, copy.handle};
  handed.for_learning = for_learning;
  if (mesh_->ring(cx_.config.shard, other).push(handed)) return true;
  drop(Drop::steering_ring_full);
  done_.push_back(copy.handle);
  return false;
}

/// A frame that is sent with the next ones, of which the peer will not notice if it is not.
void Shard::send_ready(const wire::TxFrame& frame) {
  cx_.out.written().forget_routes();  // it goes before what is written from here on
  if (ready_.size() < max_ready) return ready_.push_back(frame);
  done_.push_back(frame.handle);
  drop(Drop::tx_no_buffer);
}

/// A block in the table is that of its flow: what was the candidate when the burst came in still is, if so.
[[gnu::always_inline]] inline bool Shard::is_still(std::uint32_t slot, const FlowKey& flow) const {
  if (tcp::FlowSlot::kind(slot) != tcp::FlowKind::connection) return false;
  const tcp::Tcb& tcb = cx_.tcbs[tcp::FlowSlot::index(slot)];
  return tcb.key == flow && has(tcb, tcp::in_table);
}

[[gnu::always_inline]] inline void Shard::tcp_input(wire::Segment& segment, const Place& place, void*& handle, FrameSource source) {
  std::uint32_t slot = place.candidate;
  if (!is_still(slot, segment.flow)) [[unlikely]] {
    // parse_rest() says what is wrong; what was looped back is no lie.
    if (!is_good_flow(segment.flow) && !parse_rest(*place.frame, segment, source)) {
      --cx_.stats.segments_in;
      return;
    }
    slot = cx_.flows.find(place.hash, segment.flow, place.home);
    if (tcp::FlowSlot::kind(slot) != tcp::FlowKind::connection) return other_input(slot, segment, place.hash, handle);
  }
  tcp::Tcb& tcb = cx_.tcbs[tcp::FlowSlot::index(slot)];
  set(tcb, tcp::in_hand);
  tcp::Verdict verdict;
  if (tcp::predicted_arrival(cx_, tcb, segment, verdict)) [[likely]] {
    if constexpr (check_always) tcp::check_invariants(cx_, tcb);
    return deliver_to(tcb, verdict, handle);
  }
  if (has(tcb, tcp::to_self) && !place.frame->looped_back) [[unlikely]] {
    clear(tcb, tcp::in_hand);
    return drop(Drop::ip_martian_source);
  }
  verdict = tcp::segment_arrives(cx_, tcb, segment);
  if constexpr (check_always) tcp::check_invariants(cx_, tcb);
  deliver(verdict, handle);
}

void Shard::input(std::span<const wire::RxFrame> frames, FrameSource source) {
  auto& [segments, places, handles] = *burst_;
  std::size_t n = 0;
  std::uint64_t bytes = 0;
  const ds::FlowHasher hasher = cx_.hasher;
  for (const wire::RxFrame& frame : frames) {
    bytes += frame.length;
    if (!parse(frame, segments[n], source)) [[unlikely]] {
      done_.push_back(frame.handle);
      continue;
    }
    if (mesh_ != nullptr) [[unlikely]] {
      if (!is_good_flow(segments[n].flow) && !parse_rest(frame, segments[n], source)) {
        done_.push_back(frame.handle);
        continue;
      }
      const std::uint16_t owner = mesh_->steering().owner(segments[n].flow);
      if (owner != cx_.config.shard) {
        if (!hand_over(frame, owner)) done_.push_back(frame.handle);
        continue;
      }
    }
    const std::uint64_t hash = hasher(segments[n].flow);
    const ds::FlowBucket* const home = cx_.flows.home(hash);
    ds::prefetch(home);
    places[n] = {hash, home, &frame, tcp::npos};
    handles[n++] = frame.handle;
  }
  cx_.stats.frames_in += frames.size();
  cx_.stats.bytes_in += bytes;
  cx_.stats.segments_in += n;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t slot = cx_.flows.candidate(places[i].hash, places[i].home);
    if (slot == tcp::npos) continue;
    places[i].candidate = slot;
    const auto* line = reinterpret_cast<const std::byte*>(&cx_.key(slot));
    ds::prefetch(line);
    ds::prefetch(line + 64);
    ds::prefetch(line + 128);
    ds::prefetch(line + 192);
  }
  for (std::size_t i = 0; i < n; ++i) {
    tcp_input(segments[i], places[i], handles[i], source);
    if (handles[i] != nullptr) done_.push_back(handles[i]);
  }
}

/// Of no connection: half-open, in TIME-WAIT, or of no flow at all.
[[gnu::noinline]] void Shard::other_input(std::uint32_t slot, const wire::Segment& segment, std::uint64_t hash, void*& handle) {
  if (slot == tcp::npos) return segment_to_listener(segment, hash, {}, handle);
  const std::uint32_t index = tcp::FlowSlot::index(slot);
  if (tcp::FlowSlot::kind(slot) == tcp::FlowKind::half_open)
    return deliver(tcp::segment_arrives_half_open(cx_, cx_.half_opens[index], hash, segment), handle);
  const bool has_listener = segment.has(wire::syn) && find_listener(segment.flow) != 0xffff;
  const tcp::TimeWaitVerdict verdict = tcp::segment_arrives_time_wait(cx_, index, segment, has_listener);
  if (verdict.drop != Drop::none) drop(verdict.drop);
  if (verdict.reopen) segment_to_listener(segment, hash, verdict.reuse, handle);
}

void Shard::segment_to_listener(const wire::Segment& segment, std::uint64_t hash, tcp::Reuse reuse, void*& handle) {
  const std::uint16_t listener = find_listener(segment.flow);
  if (listener == 0xffff) return deliver(tcp::segment_arrives_closed(cx_, segment), handle);
  const Handler& handler = handlers_[cx_.listeners[listener].handler];
  if (handler.ops.on_syn != nullptr && (segment.flags & (wire::syn | wire::ack | wire::rst)) == wire::syn &&
      !handler.ops.on_syn(handler.object, {segment.flow.local(), segment.flow.remote(), cx_.now})) {
    drop(Drop::tcp_refused_by_handler);
    return;
  }
  deliver(tcp::segment_arrives_listen(cx_, listener, hash, segment, reuse), handle);
}

// --- ARP -------------------------------------------------------------------------------------------------------

void Shard::send_arp_request(Ipv4Address target, FrameSource source, MacAddress to) {
  wire::TxFrame frame;
  if (!source.allocate(source.io, frame)) return drop(Drop::tx_no_buffer);
  const LinkConfig& link = cx_.config.link;
  wire::write_ethernet(frame.data, to, link.mac, wire::ether_type_arp);
  wire::write_arp(frame.data + wire::ethernet_header_length,
                  {wire::ArpOperation::request, link.mac, link.address.address, MacAddress{}, target});
  frame.length = static_cast<std::uint32_t>(wire::ethernet_header_length + wire::arp_length);
  send_ready(frame);
}

void Shard::arp_input(const wire::RxFrame& frame, std::span<const std::byte> payload, FrameSource source) {
  wire::ArpPacket packet;
  Drop why = wire::parse_arp(payload, packet);
  if (why != Drop::none) return drop(why);
  const LinkConfig& link = cx_.config.link;
  if (is_local(packet.sender_address)) return drop(Drop::arp_conflict);
  // sec A18: nobody else has our Ethernet address, and nobody at all the broadcast address.
  if (packet.sender_mac == link.mac || link.address.is_broadcast(packet.sender_address)) return drop(Drop::arp_malformed);
  if (!link.address.contains(packet.sender_address) && !packet.sender_address.is_any()) return drop(Drop::arp_not_for_us);
  const bool ours = is_local(packet.target_address);
  cx_.out.written().forget_routes();
  why = neighbours_.learn(packet, ours, cx_.now);
  if (why != Drop::none) drop(why);
  else neighbour_resolved(packet.sender_address);
  // The other shards have caches of their own, and the port gives an answer to one queue only.
  if (mesh_ != nullptr && !frame.for_learning) {
    for (std::uint16_t other = 0; other < mesh_->steering().shards(); ++other)
      if (other != cx_.config.shard) hand_over_copy(frame, arp_copy_length, other, true, source);
  }
  if (!ours || packet.operation != wire::ArpOperation::request || frame.for_learning) return;
  wire::TxFrame reply;
  if (!source.allocate(source.io, reply)) return drop(Drop::tx_no_buffer);
  wire::write_ethernet(reply.data, packet.sender_mac, link.mac, wire::ether_type_arp);
  wire::write_arp(reply.data + wire::ethernet_header_length,
                  {wire::ArpOperation::reply, link.mac, packet.target_address, packet.sender_mac, packet.sender_address});
  reply.length = static_cast<std::uint32_t>(wire::ethernet_header_length + wire::arp_length);
  send_ready(reply);
}

void Shard::neighbour_resolved(Ipv4Address address) {
  if (held_.empty()) return;
  const MacAddress* mac = neighbours_.answer_of(address);
  if (mac == nullptr) return;
  std::erase_if(held_, [&](Held& held) {
    if (held.next_hop != address) return false;
    std::memcpy(held.frame.data, mac->bytes.data(), mac->bytes.size());
    ready_.push_back(held.frame);
    return true;
  });
}

/// A SYN that found no neighbour: its connection fails now, not after connect_timeout (RFC 1122 section 2.3.2.2 leaves it to
/// the host). One that is open already goes on: the neighbour may come back.
void Shard::fail_opening(const wire::TxFrame& frame) {
  constexpr std::size_t ip = wire::ethernet_header_length, transport = ip + wire::ipv4_header_length;
  const FlowKey key = FlowKey::make(wire::load32(frame.data + ip + 12), wire::load32(frame.data + ip + 16),
                                    wire::load32(frame.data + transport));
  const std::uint32_t slot = cx_.flows.find(cx_.hasher(key), key);
  if (slot == tcp::npos || tcp::FlowSlot::kind(slot) != tcp::FlowKind::connection) return;
  tcp::Tcb& tcb = cx_.tcbs[tcp::FlowSlot::index(slot)];
  if (tcb.state == State::syn_sent) tcp::end_connection(cx_, tcb, CloseReason::unreachable);
}

void Shard::drop_held(Ipv4Address address) {
  std::erase_if(held_, [&](const Held& held) {
    if (held.next_hop != address) return false;
    fail_opening(held.frame);
    done_.push_back(held.frame.handle);
    drop(Drop::neighbour_unreachable);
    return true;
  });
}

/// Their question was pushed out of the cache: as if they had been lost on the way. Whoever sends again asks again.
void Shard::drop_unasked() {
  std::erase_if(held_, [&](const Held& held) {
    if (neighbours_.is_asked(held.next_hop)) return false;
    done_.push_back(held.frame.handle);
    drop(Drop::neighbour_queue_full);
    return true;
  });
}

bool Shard::resolve(Ipv4Address remote) {
  if (is_local(remote)) return true;
  const Neighbours::Result found = neighbours_.find(next_hop(remote), cx_.now);
  // Beyond the limit the question is open all the same, and its first repetition is what is sent.
  if (found.what == Neighbours::Lookup::ask_and_wait && wanted_.size() < max_wanted) wanted_.push_back(next_hop(remote));
  return found.what == Neighbours::Lookup::known;
}

Shard::Route Shard::route(Ipv4Address remote, MacAddress& mac, FrameSource source) {
  if (is_local(remote)) {
    mac = cx_.config.link.mac;
    return Route::loop_back;
  }
  const Neighbours::Result found = neighbours_.find(next_hop(remote), cx_.now);
  switch (found.what) {
    case Neighbours::Lookup::known:
      mac = found.mac;
      if (found.refresh) send_arp_request(next_hop(remote), source, found.mac);
      return Route::send;
    case Neighbours::Lookup::ask_and_wait:
      send_arp_request(next_hop(remote), source);
      break;
    case Neighbours::Lookup::wait: break;
    case Neighbours::Lookup::unreachable: drop(Drop::neighbour_unreachable); return Route::drop;
  }
  if (held_.size() < cx_.config.limits.held_frames) return Route::hold;
  drop(Drop::neighbour_queue_full);
  return Route::drop;
}

// --- ICMP ------------------------------------------------------------------------------------------------------

void Shard::icmp_input(const wire::RxFrame& frame, const wire::Ipv4Packet& packet, FrameSource source) {
  wire::IcmpMessage message;
  const Drop why = wire::parse_icmp(packet.payload, message);
  if (why != Drop::none) return drop(why);
  const std::uint32_t second = cx_.now_ms / 1000;
  if (second != icmp_second_) {
    icmp_second_ = second;
    icmp_in_second_ = icmp_errors_in_second_ = 0;
  }
  if (message.type == wire::icmp::echo_request && message.code == 0) {
    if (++icmp_in_second_ > icmp_replies_per_second) return drop(Drop::icmp_rate_limited);
    MacAddress mac;
    const Route where = route(packet.source, mac, source);
    if (where == Route::drop) return;  // counted
    if (where != Route::send) return drop(Drop::neighbour_unreachable);
    wire::TxFrame reply;
    if (!source.allocate(source.io, reply)) return drop(Drop::tx_no_buffer);
    reply.length = wire::write_icmp_echo_reply({reply.data, reply.capacity}, mac, cx_.config.link.mac, packet, message);
    if (reply.length == 0) {
      done_.push_back(reply.handle);
      return drop(Drop::icmp_truncated);
    }
    send_ready(reply);
    return;
  }
  icmp_error_input(frame, message, source);
}

/// rfc9293 3.9.2.2, MUST-54: to the connection that it is about.
void Shard::icmp_error_input(const wire::RxFrame& frame, const wire::IcmpMessage& message, FrameSource source) {
  // Redirects are for routing, which we have none of; source quench is discarded (MUST-55, RFC 6633).
  if (message.type != wire::icmp::destination_unreachable && message.type != wire::icmp::time_exceeded &&
      message.type != wire::icmp::parameter_problem)
    return drop(Drop::icmp_unknown);
  if (++icmp_errors_in_second_ > icmp_errors_per_second) return drop(Drop::icmp_rate_limited);
  wire::IcmpQuote quote;
  const Drop bad_quote = wire::parse_icmp_quote(message, quote);
  if (bad_quote != Drop::none) return drop(bad_quote);
  if (mesh_ != nullptr) {
    const std::uint16_t owner = mesh_->steering().owner(quote.flow);
    if (owner != cx_.config.shard) {
      cx_.stats.handed_over += hand_over_copy(frame, frame.length, owner, false, source);
      return;
    }
  }
  const std::uint32_t slot = cx_.flows.find(cx_.hasher(quote.flow), quote.flow);
  if (slot == tcp::npos || tcp::FlowSlot::kind(slot) != tcp::FlowKind::connection) return drop(Drop::icmp_no_connection);
  tcp::Tcb& tcb = cx_.tcbs[tcp::FlowSlot::index(slot)];
  const Drop why = tcp::icmp_error_arrives(cx_, tcb, quote);
  if constexpr (check_always) tcp::check_invariants(cx_, tcb);
  if (why != Drop::none) drop(why);
}

}  // namespace handfast::shard
