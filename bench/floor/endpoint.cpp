// SPDX-License-Identifier: BSD-3-Clause
// The yardstick's state machine; see endpoint.hpp. In stages over a burst: packets, places, connections, work;
// a received buffer carries its own answer. Layer: bench.
#include "endpoint.hpp"

namespace floor_bench {
namespace {

constexpr std::uint8_t fin = RTE_TCP_FIN_FLAG, syn = RTE_TCP_SYN_FLAG, psh = RTE_TCP_PSH_FLAG, ack = RTE_TCP_ACK_FLAG;
constexpr std::uint16_t window = 60'000;
constexpr std::uint8_t time_to_live = 64;

Packet make_template() {
  Packet p{};
  p.ethernet.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
  p.ip.version_ihl = RTE_IPV4_VHL_DEF;
  p.ip.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
  p.ip.time_to_live = time_to_live;
  p.ip.next_proto_id = IPPROTO_TCP;
  p.tcp.data_off = sizeof(rte_tcp_hdr) / 4 << 4;
  p.tcp.rx_win = RTE_BE16(window);
  return p;
}

Packet& packet_in(rte_mbuf* m) { return *rte_pktmbuf_mtod(m, Packet*); }

Tuple tuple_of(const Packet& p) { return {p.ip.dst_addr, p.ip.src_addr, p.tcp.dst_port, p.tcp.src_port}; }

/// A client's: of 2^20 addresses in 10.0.0.0/12, or of 2^24 in 11.0.0.0/8, all ports above 1023; the server's is fixed.
Tuple client_tuple(std::uint32_t address, std::uint16_t port) {
  return {rte_cpu_to_be_32(address), rte_cpu_to_be_32(0x0a630001), rte_cpu_to_be_16(port), rte_cpu_to_be_16(80)};
}

}  // namespace

Tuple idle_tuple(std::uint32_t n) {
  // An odd factor permutes the 32 bits; the ports' lower half of them is spread by the upper.
  const std::uint32_t mixed = n * 2654435761u;
  return client_tuple(0x0b000000 | mixed >> 8, static_cast<std::uint16_t>(1024 + (mixed & 0xff) * 251));
}

Endpoint::Endpoint(const EndpointOptions& options, rte_mempool* pool)
    : options_(options),
      pool_(pool),
      table_(options.idle + most_in_flight),
      random_(options.seed),
      template_(make_template()) {
  payload_.fill('x');
  payload_sum_ = sum_words(payload_.data(), payload_.size());
  for (std::uint32_t i = 0; i < options.idle; ++i) {
    const Tuple tuple = options.role == Role::client ? idle_tuple(i) : idle_tuple(i).mirrored();
    table_.insert(hash_of(tuple), tuple);
  }
}

void Endpoint::open(unsigned n) {
  for (unsigned i = 0; i < n; ++i) {
    Tuple tuple;
    std::uint32_t hash;
    do {
      const std::uint64_t drawn = random_.next();
      tuple = client_tuple(0x0a000000 | static_cast<std::uint32_t>(drawn >> 44),
                           static_cast<std::uint16_t>(1024 + (drawn & 0x7fff)));
      hash = hash_of(tuple);
    } while (table_.find(hash, tuple) != nullptr);  // once in a hundred million
    rte_mbuf* m = rte_pktmbuf_alloc(pool_);
    if (m == nullptr) {
      ++bad_;
      continue;
    }
    Connection& c = table_.insert(hash, tuple);
    c.snd_nxt = initial_sequence_ += 64'000;
    c.rcv_nxt = 0;
    c.stage = Stage::syn_sent;
    ++opened_;
    send(m, c, syn, 0);
  }
  flush();
}

unsigned Endpoint::poll() {
  std::array<rte_mbuf*, max_burst> in;
  std::array<std::uint32_t, max_burst> hashes;
  const auto n = rte_eth_rx_burst(options_.port, 0, in.data(), static_cast<std::uint16_t>(options_.receive_burst));
  if (n == 0) return 0;
  for (unsigned i = 0; i < n; ++i) rte_prefetch0(&packet_in(in[i]));
  for (unsigned i = 0; i < n; ++i) {
    hashes[i] = hash_of(tuple_of(packet_in(in[i])));
    table_.prefetch_place(hashes[i]);
  }
  for (unsigned i = 0; i < n; ++i) table_.prefetch_connection(hashes[i]);
  for (unsigned i = 0; i < n; ++i) handle(in[i], hashes[i]);
  received_ += n;
  if (spent_count_ != 0) rte_pktmbuf_free_bulk(spent_.data(), spent_count_);
  spent_count_ = 0;
  flush();
  return n;
}

inline void Endpoint::handle(rte_mbuf* m, std::uint32_t hash) {
  const Packet& p = packet_in(m);
  if (options_.verify && !sums_are_right(p)) {
    ++bad_;
    return give_back(m);
  }
  const Tuple tuple = tuple_of(p);
  if (Connection* c = table_.find(hash, tuple)) [[likely]] {
    if (advance(*c, m, p)) return;
  } else if (options_.role == Role::server && p.tcp.tcp_flags == syn) {
    Connection& fresh = table_.insert(hash, tuple);
    fresh.snd_nxt = initial_sequence_ += 64'000;
    fresh.rcv_nxt = rte_be_to_cpu_32(p.tcp.sent_seq) + 1;
    fresh.stage = Stage::syn_received;
    return send(m, fresh, syn | ack, 0);
  }
  ++bad_;
  give_back(m);
}

/// False: the packet is not the one that has to come now.
inline bool Endpoint::advance(Connection& c, rte_mbuf* m, const Packet& p) {
  const std::uint32_t sequence = rte_be_to_cpu_32(p.tcp.sent_seq), acknowledged = rte_be_to_cpu_32(p.tcp.recv_ack);
  const auto payload = static_cast<std::uint16_t>(rte_be_to_cpu_16(p.ip.total_length) - header_bytes);
  if (c.stage != Stage::syn_sent && sequence != c.rcv_nxt) return false;
  if ((p.tcp.tcp_flags & ack) != 0 && acknowledged != c.snd_nxt) return false;
  c.snd_una = acknowledged;
  switch (c.stage) {
    case Stage::syn_sent:
      c.rcv_nxt = sequence + 1;
      c.stage = Stage::request_sent;
      send(m, c, ack | psh, payload_bytes);
      return true;
    case Stage::syn_received:
      c.rcv_nxt = sequence + payload;
      c.stage = Stage::response_sent;
      send(m, c, ack | psh | fin, payload_bytes);
      return true;
    case Stage::request_sent:
      c.rcv_nxt = sequence + payload + 1;
      c.stage = Stage::fin_sent;
      send(m, c, ack | fin, 0);
      return true;
    case Stage::response_sent:
      c.rcv_nxt = sequence + 1;
      send(m, c, ack, 0);
      break;
    case Stage::fin_sent: give_back(m); break;
  }
  table_.erase(c);
  ++done_;
  return true;
}

inline void Endpoint::send(rte_mbuf* m, Connection& c, std::uint8_t flags, std::uint16_t payload) {
  Packet& p = packet_in(m);
  p = template_;
  m->data_len = static_cast<std::uint16_t>(sizeof p + payload);
  m->pkt_len = m->data_len;
  p.ip.src_addr = c.tuple.local;
  p.ip.dst_addr = c.tuple.remote;
  p.ip.total_length = rte_cpu_to_be_16(static_cast<std::uint16_t>(header_bytes + payload));
  p.ip.packet_id = identification_++;
  p.tcp.src_port = c.tuple.local_port;
  p.tcp.dst_port = c.tuple.remote_port;
  p.tcp.sent_seq = rte_cpu_to_be_32(c.snd_nxt);
  p.tcp.recv_ack = rte_cpu_to_be_32(c.rcv_nxt);
  p.tcp.tcp_flags = flags;
  std::uint64_t sum = std::uint64_t{c.tuple_sum} + p.tcp.sent_seq + p.tcp.recv_ack + RTE_BE16(window) +
                      rte_cpu_to_be_16(static_cast<std::uint16_t>(sizeof p.tcp + payload)) +
                      (std::uint32_t{p.tcp.data_off} | std::uint32_t{flags} << 8);
  if (payload != 0) {
    std::memcpy(&p + 1, payload_.data(), payload_.size());
    sum += payload_sum_;
  }
  p.tcp.cksum = static_cast<std::uint16_t>(~fold(sum));
  const std::uint64_t ip = std::uint64_t{c.tuple.local} + c.tuple.remote + p.ip.total_length + p.ip.packet_id +
                           RTE_BE16(RTE_IPV4_VHL_DEF << 8) + RTE_BE16(RTE_IPV4_HDR_DF_FLAG) +
                           RTE_BE16(time_to_live << 8 | IPPROTO_TCP);
  p.ip.hdr_checksum = static_cast<std::uint16_t>(~fold(ip));
  c.snd_nxt += payload + ((flags & (syn | fin)) != 0 ? 1 : 0);
  out_[out_count_++] = m;
  if (out_count_ == send_burst) flush();
}

void Endpoint::flush() {
  if (out_count_ == 0) return;
  const unsigned took = rte_eth_tx_burst(options_.port, 0, out_.data(), static_cast<std::uint16_t>(out_count_));
  sent_ += took;
  bad_ += out_count_ - took;
  if (took < out_count_) rte_pktmbuf_free_bulk(out_.data() + took, out_count_ - took);
  out_count_ = 0;
}

}  // namespace floor_bench
