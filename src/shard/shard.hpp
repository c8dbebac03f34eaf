// SPDX-License-Identifier: BSD-3-Clause
// One core's world: listeners, neighbours, ports, connections, and the delivery of what happens to the application.
// Layer: shard. One thread; the loop (loop.hpp) alone knows where frames come from.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ds/mapping.hpp"
#include "ds/mpsc_ring.hpp"
#include "handfast/core.hpp"
#include "shard/io.hpp"
#include "shard/mesh.hpp"
#include "shard/neighbours.hpp"
#include "tcp/calls.hpp"
#include "tcp/context.hpp"
#include "tcp/segment_arrives.hpp"
#include "wire/icmpv4.hpp"
#include "wire/ipv4.hpp"

namespace handfast::shard {

/// Most received frames in one burst.
inline constexpr std::size_t max_burst = 64;
/// Most frames that wait for a port which takes none. Beyond it a frame is lost, as on a port without buffers, and is
/// counted as such (tx_no_buffer). The same for frames to ourselves, and for those built outside of the loop (ARP, ICMP).
inline constexpr std::size_t max_backlog = tcp::TxFrames::capacity, max_looped = 4096, max_ready = 4096;
/// Most neighbours that resolve() asks for at once, and most questions that are repeated in one poll; others come later.
inline constexpr std::size_t max_wanted = 1024, max_questions = 32;
/// Largest differentiated services code point (RFC 2474).
inline constexpr std::uint8_t max_dscp = 63;
/// Most connections' timers in one poll; more are late by a poll and counted.
inline constexpr std::size_t max_timers = 256;
/// While memory is used up: how often connections are looked at for those that are stuck, how many at once, and how many
/// timer expiries in a row without progress make one (with the least RTO about six seconds).
inline constexpr Duration shed_interval = 1ms;
inline constexpr std::uint32_t max_shed_looks = 256;
inline constexpr std::uint8_t shed_backoff = 5;
/// The same while frames wait for the port: what timers have to say waits with them, instead of being lost as the last of
/// max_backlog. Not none: time-outs that end a connection still come.
inline constexpr std::size_t max_timers_jammed = 8;

class Shard {
 public:
  /// `mesh` outlives the shard; null where there is one shard only.
  Shard(const CoreConfig& config, Time start, Mesh* mesh = nullptr);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  [[nodiscard]] Core& core() { return core_; }
  [[nodiscard]] tcp::Context& tcp() { return cx_; }

  // --- the application's calls (api/core.cpp, api/conn.cpp) ---
  Expected<HandlerRef> add_handler(const HandlerOps& ops, void* handler, std::shared_ptr<void> owner);
  Expected<ListenerId> listen(Endpoint local, HandlerRef handler, ListenOptions options);
  void close_listener(ListenerId id);
  void set_paused(ListenerId id, bool paused);
  Expected<ConnId> connect(Endpoint remote, HandlerRef handler, ConnectOptions options);
  [[nodiscard]] tcp::Tcb* find(ConnId id);
  [[nodiscard]] ConnId id_of(const tcp::Tcb& tcb) const { return {cx_.tcbs.index_of(tcb), tcb.generation}; }
  [[nodiscard]] void* state_of(const tcp::Tcb& tcb) {
    return static_cast<std::byte*>(states_.data()) + std::size_t{cx_.tcbs.index_of(tcb)} * state_bytes_;
  }
  bool arm_core_timer(Duration delay, Core::Task fire, void* ctx);
  bool post(Core::Task task, void* ctx) { return posts_.push({task, ctx}); }
  bool resolve(Ipv4Address remote);
  bool drain();
  void abort_all();
  [[nodiscard]] CoreStats stats() const;
  [[nodiscard]] std::vector<ConnInfo> connections() const;
  /// Urgent bytes that the application has not been shown; in a data callback those in view count.
  [[nodiscard]] std::uint32_t urgent_ahead(const tcp::Tcb& tcb) const;
  /// The application wants what is held for this connection (again): after the current callback, in this poll.
  void deliver_later(tcp::Tcb& tcb);
  /// A received buffer, or a chunk, that the application had and is done with.
  void give_back(void* port_handle) { done_.push_back(port_handle); }
  void give_back_chunk(void* chunk) { cx_.chunks.free(static_cast<tcp::Chunk*>(chunk)); }

  /// Ends every connection where it stands (on_closed(stopped), nothing is sent) and puts every frame held inside into
  /// done(). The last call before the I/O goes.
  void end_all();

  // --- the loop's parts, in the order in which poll() calls them ---
  void begin(Time now);
  void run_posts();
  /// Up to max_burst frames. Handles that are done with are in done() afterwards.
  void input(std::span<const wire::RxFrame> frames, FrameSource source);
  /// At most so many of each kind.
  void run_timers(FrameSource source, std::size_t most);
  void finish_ended();
  /// Describes everything that the dirty connections may send; false when some could not say all.
  bool describe_output();
  [[nodiscard]] Time next_deadline() const;

  /// Where a described segment goes: the frame's Ethernet destination is known, or it must wait, or never.
  enum class Route : std::uint8_t { send, hold, loop_back, drop };
  [[nodiscard]] Route route(Ipv4Address remote, MacAddress& mac, FrameSource source);
  /// The common case of route(): a neighbour whose address is fresh (wire::mac_word); 0 for all others.
  [[nodiscard]] std::uint64_t known_route(Ipv4Address remote) const { return neighbours_.fresh_word(next_hop(remote), cx_.now); }
  /// Our own Ethernet address (wire::mac_word).
  [[nodiscard]] std::uint64_t own_mac() const { return ours_.mac; }
  [[nodiscard]] bool is_local(Ipv4Address address) const {
    return address.value - cx_.config.link.address.address.value < cx_.config.link.address_count;
  }
  [[nodiscard]] Ipv4Address next_hop(Ipv4Address remote) const {
    const LinkConfig& link = cx_.config.link;
    return link.gateway && !link.address.contains(remote) ? *link.gateway : remote;
  }

  std::vector<void*>& done() { return done_; }
  /// Frames built outside of the loop's own writing (ARP, ICMP, resolved ones), to be sent with the rest.
  std::vector<wire::TxFrame>& ready() { return ready_; }
  struct Held {
    wire::TxFrame frame;
    Ipv4Address next_hop;
  };
  std::vector<Held>& held() { return held_; }
  std::vector<wire::RxFrame>& looped() { return looped_; }
  [[nodiscard]] Mesh* mesh() { return mesh_; }
  /// True when frames in flight inside the shard (looped back, more to say) want another poll at once.
  [[nodiscard]] bool has_work() const {
    return !looped_.empty() || !cx_.dirty.empty() || !cx_.finished.empty() || !redeliver_.empty() || !wanted_.empty();
  }

 private:
  struct Handler {
    HandlerOps ops;
    void* object = nullptr;
    std::shared_ptr<void> owner;
  };
  struct Post {
    Core::Task task = nullptr;
    void* ctx = nullptr;
  };
  /// The stages' working memory: a member, since clearing it for each burst would cost as much as a packet.
  struct Place {
    std::uint64_t hash;
    const ds::FlowBucket* home;
    const wire::RxFrame* frame;
    std::uint32_t candidate;  // slot that look-up will most likely find, or npos
  };
  struct Burst {
    std::array<wire::Segment, max_burst> segments;
    std::array<Place, max_burst> places;
    std::array<void*, max_burst> handles;
  };
  struct CoreTimer {
    ds::TimerNode node;
    Core::Task fire = nullptr;
    void* ctx = nullptr;
  };

  // input.cpp
  bool parse(const wire::RxFrame& frame, wire::Segment& segment, FrameSource source);
  bool parse_rest(const wire::RxFrame& frame, wire::Segment& segment, FrameSource source);
  void slow_path(const wire::RxFrame& frame, wire::Segment& segment, bool& is_tcp, FrameSource source);
  void arp_input(const wire::RxFrame& frame, std::span<const std::byte> payload, FrameSource source);
  void icmp_input(const wire::RxFrame& frame, const wire::Ipv4Packet& packet, FrameSource source);
  void icmp_error_input(const wire::RxFrame& frame, const wire::IcmpMessage& message, FrameSource source);
  bool is_still(std::uint32_t slot, const FlowKey& flow) const;
  bool is_good_flow(const FlowKey& flow) const;
  void tcp_input(wire::Segment& segment, const Place& place, void*& handle, FrameSource source);
  void other_input(std::uint32_t slot, const wire::Segment& segment, std::uint64_t hash, void*& handle);
  void segment_to_listener(const wire::Segment& segment, std::uint64_t hash, tcp::Reuse reuse, void*& handle);
  void send_arp_request(Ipv4Address target, FrameSource source, MacAddress to = broadcast_mac);
  void neighbour_resolved(Ipv4Address address);
  void drop_held(Ipv4Address address);
  void drop_unasked();
  void send_ready(const wire::TxFrame& frame);
  void fail_opening(const wire::TxFrame& frame);
  bool hand_over(const wire::RxFrame& frame, std::uint16_t owner);
  bool hand_over_copy(const wire::RxFrame& frame, std::uint32_t length, std::uint16_t other, bool for_learning, FrameSource source);
  [[nodiscard]] std::uint16_t find_listener(const FlowKey& key) const;
  void drop(Drop reason) { tcp::count(cx_, reason); }

  // shard.cpp
  void close_listeners();

  // shedding.cpp
  void shed_stuck();

  // delivery.cpp
  void deliver(const tcp::Verdict& verdict, void*& handle);
  void deliver_to(tcp::Tcb& tcb, const tcp::Verdict& verdict, void*& handle);
  bool deliver_seldom(tcp::Tcb& tcb, const tcp::Verdict& verdict);
  void deliver_flags(tcp::Tcb& tcb);
  void depart(tcp::Tcb& tcb);
  void deliver_established(tcp::Tcb& tcb);
  void deliver_notices(tcp::Tcb& tcb);
  void deliver_text(tcp::Tcb& tcb, std::span<const std::byte> text, void*& handle);
  void deliver_held(tcp::Tcb& tcb);
  void judge_unread(tcp::Tcb& tcb);
  void deliver_sent(tcp::Tcb& tcb, std::uint32_t acked);
  void deliver_timer(tcp::Tcb& tcb);
  void deliver_writable(tcp::Tcb& tcb);
  void wake_starving();
  void deliver_eof(tcp::Tcb& tcb);
  void conclude(tcp::Tcb& tcb);
  void accept(tcp::Tcb& tcb);
  void tell_accepted(tcp::Tcb& tcb);
  void start_state(tcp::Tcb& tcb);
  [[nodiscard]] bool can_receive(const tcp::Tcb& tcb) const;
  void release_sent();

  // ports.cpp
  struct Candidate {
    FlowKey key;
    std::uint64_t hash = 0;
  };
  [[nodiscard]] std::optional<Candidate> choose_tuple(Endpoint remote, Endpoint wanted);
  [[nodiscard]] std::optional<Candidate> choose_ephemeral(Endpoint remote, Ipv4Address base, std::uint32_t addresses);

  tcp::Context cx_;
  /// What every frame is compared with.
  const struct Ours {
    explicit Ours(const LinkConfig& link);
    std::uint64_t mac;               // wire::mac_word
    std::uint32_t first, count;      // addresses
    std::uint32_t broadcast;         // of the subnet
  } ours_;
  Core core_;
  Mesh* mesh_;
  Neighbours neighbours_;
  std::vector<Handler> handlers_;
  std::vector<std::uint16_t> listener_by_port_;  // first listener of a port; Listener::next_same_port leads on
  std::uint32_t open_listeners_ = 0;
  std::uint32_t state_bytes_;
  ds::Mapping states_;
  ds::MpscRing<Post> posts_;
  ds::ObjectPool<CoreTimer> core_timers_;
  ds::TimerWheel core_wheel_;
  std::array<std::uint32_t, 256> port_counters_{};  // by destination (RFC 6056 section 3.3.4's table)
  /// The next tuples to a destination, with their buckets on the way into the cache. `first` is the counter of the first.
  struct Upcoming {
    static constexpr std::uint32_t size = 4;
    Endpoint remote;
    Ipv4Address base;
    std::uint32_t addresses = 0, first = 0, count = 0;
    std::uint64_t destination = 0;
    std::array<Candidate, size> ring;
  };
  std::array<Upcoming, 8> upcoming_{};

  std::unique_ptr<Burst> burst_ = std::make_unique<Burst>();
  /// The connection whose text in the frame is about to be delivered, and how much; only where there is urgent data.
  struct {
    const tcp::Tcb* tcb = nullptr;
    std::uint32_t bytes = 0;
  } in_view_;

  std::vector<void*> done_;
  std::vector<wire::TxFrame> ready_;
  std::vector<Held> held_;
  std::vector<wire::RxFrame> looped_;
  std::vector<ConnId> redeliver_;
  std::vector<Ipv4Address> wanted_;  // resolve() was called: to be asked for with the next poll
  std::vector<std::byte> scratch_;
  std::uint32_t icmp_second_ = 0, icmp_in_second_ = 0, icmp_errors_in_second_ = 0;
  static constexpr std::uint32_t drain_looks = 4096;  // connections by call of drain(), but for the first
  std::uint32_t drain_at_ = 0;
  bool draining_ = false, aborting_ = false;
  std::uint32_t shed_at_ = 0;  // where the next look for stuck connections begins
  Time shed_next_ = Time::min();
};

}  // namespace handfast::shard
