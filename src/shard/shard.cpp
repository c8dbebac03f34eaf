// SPDX-License-Identifier: BSD-3-Clause
// A shard's control side: handlers, listeners, connect, timers, drain, listings. Layer: shard.
// What arrives is in input.cpp, what the application is told in delivery.cpp.
#include "shard/shard.hpp"

#include <algorithm>

#include "tcp/invariants.hpp"
#include "tcp/flights.hpp"
#include "tcp/lifetime.hpp"
#include "tcp/output.hpp"
#include "tcp/prediction.hpp"
#include "tcp/timeouts.hpp"
#include "wire/ethernet.hpp"

namespace handfast::shard {
namespace {

constexpr std::uint16_t no_listener = 0xffff;
constexpr std::size_t scratch_bytes = 64 * 1024;
constexpr std::size_t aborts_per_poll = 64;

/// MUST-46: what no host on the other side of a wire can have.
bool cannot_be_a_peer(const LinkConfig& link, Ipv4Address address) {
  return address.is_this_network() || address.is_loopback() || address.is_multicast() || address.is_reserved() ||
         link.address.is_broadcast(address);
}

tl::unexpected<Error> error(ErrorKind kind, std::string what, std::string remedy) {
  return tl::unexpected(Error{kind, std::move(what), std::move(remedy)});
}

tl::unexpected<Error> no_such_dscp(std::uint8_t dscp) {
  return error(ErrorKind::usage, "there is no code point " + std::to_string(dscp), "give a dscp from 0 to 63");
}

}  // namespace

Shard::Ours::Ours(const LinkConfig& link)
    : mac(wire::mac_word(link.mac)),
      first(link.address.address.value),
      count(link.address_count),
      broadcast(link.address.length < 31 ? link.address.address.value | ~link.address.mask() : 0xffffffff) {}

Shard::Shard(const CoreConfig& config, Time start, Mesh* mesh)
    : cx_(config, start),
      ours_(config.link),
      core_(*this),
      mesh_(mesh),
      neighbours_(config.link, config.limits.neighbours),
      listener_by_port_(65536, no_listener),
      state_bytes_((config.limits.state_bytes + 7) / 8 * 8),
      states_(std::size_t{config.limits.connections} * state_bytes_),
      posts_(config.limits.posts),
      core_timers_(config.limits.timers),
      core_wheel_(start),
      scratch_(scratch_bytes) {
  handlers_.reserve(config.limits.handlers);
  const std::size_t bursts = (std::size_t{config.shard_count} + 1) * max_burst;
  done_.reserve(bursts + max_looped + max_ready + config.limits.held_frames + config.limits.send_extents);
  ready_.reserve(max_ready + config.limits.held_frames);
  held_.reserve(config.limits.held_frames);
  looped_.reserve(max_looped);
  redeliver_.reserve(2 * std::size_t{config.limits.connections} + bursts);
  wanted_.reserve(max_wanted);
  if (config.limits.prefault) states_.prefault();
}

Shard::~Shard() { end_all(); }

void Shard::end_all() {
  for (std::uint32_t i = 0; i < cx_.tcbs.high_water(); ++i) {
    tcp::Tcb& tcb = cx_.tcbs[i];
    if ((tcb.generation & 1) == 0) continue;
    set(tcb, tcp::in_hand);
    tcp::end_connection(cx_, tcb, CloseReason::stopped);
    if (has(tcb, tcp::accept_pending)) tcb.listener = no_listener;  // the application never knew of it
    clear(tcb, tcp::accept_pending);
    conclude(tcb);
  }
  release_sent();
  for (const Held& held : held_) done_.push_back(held.frame.handle);
  for (const wire::TxFrame& frame : ready_) done_.push_back(frame.handle);
  for (const wire::RxFrame& frame : looped_) done_.push_back(frame.handle);
  held_.clear();
  ready_.clear();
  looped_.clear();
}

Expected<HandlerRef> Shard::add_handler(const HandlerOps& ops, void* handler, std::shared_ptr<void> owner) {
  if (handlers_.size() >= cx_.config.limits.handlers)
    return error(ErrorKind::exhausted, "all " + std::to_string(handlers_.size()) + " places for handlers are taken",
                 "raise Limits::handlers, or share one handler between listeners");
  if (ops.state_bytes > state_bytes_)
    return error(ErrorKind::usage,
                 "the handler's State takes " + std::to_string(ops.state_bytes) + " bytes, and a connection has " +
                     std::to_string(state_bytes_),
                 "raise Limits::state_bytes, or keep a pointer in the State");
  handlers_.push_back({ops, handler, std::move(owner)});
  return HandlerRef{static_cast<std::uint16_t>(handlers_.size() - 1)};
}

Expected<ListenerId> Shard::listen(Endpoint local, HandlerRef handler, ListenOptions options) {
  if (handler.index >= handlers_.size()) return error(ErrorKind::usage, "no such handler", "pass what add_handler returned");
  if (local.port == 0) return error(ErrorKind::usage, "port 0 cannot be listened on", "choose a port from 1 to 65535");
  if (!local.address.is_any() && !is_local(local.address))
    return error(ErrorKind::usage, local.address.to_string() + " is not an address of this stack",
                 "listen on `any` or on one that --address gives");
  if (options.dscp > max_dscp) return no_such_dscp(options.dscp);
  // MUST-41: a listener of its own, or an error. MUST-42: connections from this port, in whatever state, do not matter.
  for (std::uint16_t i = listener_by_port_[local.port]; i != no_listener; i = cx_.listeners[i].next_same_port)
    if (cx_.listeners[i].local.address == local.address)
      return error(ErrorKind::address_in_use, local.to_string() + " has a listener already", "close that one first, or choose another port");
  const auto place = std::ranges::find_if(cx_.listeners, [](const tcp::Listener& l) { return !l.open && l.waiting == 0 && l.fast_open_pending == 0; });
  if (place == cx_.listeners.end())
    return error(ErrorKind::exhausted, "all " + std::to_string(cx_.listeners.size()) + " places for listeners are taken",
                 "raise Limits::listeners");
  *place = {};
  place->local = local;
  place->backlog = std::min(std::max(options.backlog, 1u), cx_.config.limits.somaxconn);
  place->handler = handler.index;
  place->open = true;
  place->paused = options.paused;
  place->dscp = options.dscp;
  place->congestion = options.congestion_control.value_or(cx_.config.tcp.congestion_control);
  place->fast_open = std::min(options.fast_open, cx_.config.limits.somaxconn);
  const auto index = static_cast<std::uint16_t>(place - cx_.listeners.begin());
  // A specific address is found before `any`.
  std::uint16_t& first = listener_by_port_[local.port];
  if (first != no_listener && local.address.is_any()) {
    std::uint16_t last = first;
    while (cx_.listeners[last].next_same_port != no_listener) last = cx_.listeners[last].next_same_port;
    cx_.listeners[last].next_same_port = index;
  } else {
    place->next_same_port = first;
    first = index;
  }
  ++open_listeners_;
  return ListenerId{index};
}

std::uint16_t Shard::find_listener(const FlowKey& key) const {
  for (std::uint16_t i = listener_by_port_[key.ports >> 16]; i != no_listener; i = cx_.listeners[i].next_same_port) {
    const Ipv4Address address = cx_.listeners[i].local.address;
    if (address.is_any() || address.value == key.local_address) return i;
  }
  return no_listener;
}

void Shard::close_listener(ListenerId id) {
  if (id.index >= cx_.listeners.size() || !cx_.listeners[id.index].open) return;
  tcp::Listener& listener = cx_.listeners[id.index];
  std::uint16_t* link = &listener_by_port_[listener.local.port];
  while (*link != id.index) link = &cx_.listeners[*link].next_same_port;
  *link = listener.next_same_port;
  listener.open = false;
  --open_listeners_;
  while (listener.half_open_head != tcp::npos) {
    tcp::HalfOpen& half = cx_.half_opens[listener.half_open_head];
    tcp::send_reset(cx_, half);
    tcp::remove_half_open(cx_, half);
  }
  // Who waits to be accepted never will be.
  for (std::uint32_t i = listener.accept_head; i != tcp::npos; i = cx_.tcbs[i].next_free)
    tcp::abort(cx_, cx_.tcbs[i]);
  set_paused(id, false);  // sweeps the queue
}

void Shard::set_paused(ListenerId id, bool paused) {
  if (id.index >= cx_.listeners.size()) return;
  tcp::Listener& listener = cx_.listeners[id.index];
  if (paused && !listener.open) return;  // its queue is being swept: nobody would resume it
  listener.paused = paused;
  if (paused) return;
  // Those that wait are handed over at the end of this poll, in their order: no callback from within a call.
  for (std::uint32_t i = listener.accept_head; i != tcp::npos; i = cx_.tcbs[i].next_free) redeliver_.push_back(id_of(cx_.tcbs[i]));
}

Expected<ConnId> Shard::connect(Endpoint remote, HandlerRef handler, ConnectOptions options) {
  if (handler.index >= handlers_.size()) return error(ErrorKind::usage, "no such handler", "pass what add_handler returned");
  if (remote.port == 0 || cannot_be_a_peer(cx_.config.link, remote.address))
    return error(ErrorKind::usage, remote.to_string() + " cannot be connected to", "give a unicast address and a port from 1 to 65535");
  if (!options.local.address.is_any() && !is_local(options.local.address))
    return error(ErrorKind::usage, options.local.address.to_string() + " is not an address of this stack", "use one that --address gives");
  if (options.dscp > max_dscp) return no_such_dscp(options.dscp);
  // MUST-43, MUST-44, MUST-45: the caller's local address, or one of ours; it is the connection's from here on.
  const auto key = choose_tuple(remote, options.local);
  if (!key)
    return error(options.local.port != 0 ? ErrorKind::address_in_use : ErrorKind::exhausted,
                 "no local address and port is free towards " + remote.to_string(),
                 options.local.port != 0 ? "choose another port, one whose answers come to this core, or leave it to be chosen"
                                         : "close connections, wait for TIME-WAIT, or give the stack more addresses (address_count)");
  tcp::Tcb* tcb = tcp::open_active(cx_, key->key, key->hash, handler.index);
  if (tcb == nullptr)
    return error(ErrorKind::exhausted, "the table of " + std::to_string(cx_.tcbs.capacity()) + " connections is full",
                 "raise Limits::connections");
  if (options.dscp != 0) tcp::set_dscp(*tcb, options.dscp);  // MUST-48
  if (options.congestion_control) tcb->congestion = *options.congestion_control;
  if (options.fast_open) set(*tcb, tcp::fast_open);
  if (!options.data.empty() && tcp::send_copy(cx_, *tcb, options.data) != options.data.size()) {
    set(*tcb, tcp::in_hand);
    tcp::end_connection(cx_, *tcb, CloseReason::no_memory);
    tcp::free_tcb(cx_, *tcb);
    return error(ErrorKind::exhausted, "the " + std::to_string(options.data.size()) + " bytes to send do not fit into the send buffer or memory",
                 "send them in parts from on_writable, or raise TcpConfig::send_buffer or Limits::buffer_memory");
  }
  start_state(*tcb);
  return id_of(*tcb);
}

tcp::Tcb* Shard::find(ConnId id) {
  if (!cx_.tcbs.is_live(id.slot, id.generation)) return nullptr;
  tcp::Tcb& tcb = cx_.tcbs[id.slot];
  return has(tcb, tcp::ended | tcp::accept_pending) ? nullptr : &tcb;
}

bool Shard::arm_core_timer(Duration delay, Core::Task fire, void* ctx) {
  CoreTimer* timer = core_timers_.allocate();
  if (timer == nullptr) return false;
  new (timer) CoreTimer{{}, fire, ctx};
  core_wheel_.arm(timer->node, cx_.now + delay);
  return true;
}

void Shard::deliver_later(tcp::Tcb& tcb) { redeliver_.push_back(id_of(tcb)); }

void Shard::begin(Time now) {
  if (now > cx_.now) cx_.set_now(now);
  cx_.out.written().forget_routes();
}

void Shard::run_posts() {
  Post post;
  for (std::size_t i = 0; i < max_burst && posts_.pop(post); ++i) post.task(post.ctx);
}

void Shard::run_timers(FrameSource source, std::size_t most) {
  cx_.tcb_wheel.advance(cx_.now, most, [this](ds::TimerNode& node) {
    auto& tcb = *reinterpret_cast<tcp::Tcb*>(reinterpret_cast<std::byte*>(&node) - tcp::tcb_timer_offset);
    const auto late = static_cast<std::uint64_t>((cx_.now - node.deadline).count());
    cx_.stats.timer_lag_max_ns = std::max(cx_.stats.timer_lag_max_ns, late);
    const bool application = tcp::connection_timer(cx_, tcb);
    if constexpr (check_always) tcp::check_invariants(cx_, tcb);
    const bool doubtful = has(tcb, tcp::notice) && has(tcb, tcp::unresponsive_due) && !has(tcb, tcp::ended);
    // rfc9293 3.8.3 (b): negative advice to the layer below.
    if (doubtful) {
      neighbours_.suspect(next_hop(Ipv4Address{tcb.key.remote_address}), cx_.now);
      cx_.out.written().forget_routes();
    }
    if (application) set(tcb, tcp::app_timer_due);
    if (application || doubtful) deliver_later(tcb);
  });
  cx_.half_open_wheel.advance(cx_.now, most, [this](ds::TimerNode& node) {
    tcp::half_open_timer(cx_, *reinterpret_cast<tcp::HalfOpen*>(reinterpret_cast<std::byte*>(&node) - tcp::half_open_timer_offset));
  });
  core_wheel_.advance(cx_.now, most, [this](ds::TimerNode& node) {
    auto& timer = reinterpret_cast<CoreTimer&>(node);
    const Core::Task fire = timer.fire;
    void* ctx = timer.ctx;
    core_timers_.free(&timer);
    fire(ctx);
  });
  tcp::expire_time_wait(cx_, max_timers);
  tcp::expire_flights(cx_, max_timers);
  for (const Ipv4Address address : wanted_) send_arp_request(address, source);
  wanted_.clear();
  for (std::size_t i = 0; i < max_questions; ++i) {
    const auto due = neighbours_.next_due(cx_.now);
    if (!due) break;
    if (due->failed)
      drop_held(due->ask);
    else
      send_arp_request(due->ask, source);
  }
  if (neighbours_.take_lost_question()) drop_unasked();
}

void Shard::wake_starving() {
  if (cx_.starving.empty() || !tcp::has_send_memory(cx_)) return;
  for (const std::uint32_t i : cx_.starving) {
    tcp::Tcb& tcb = cx_.tcbs[i];
    if ((tcb.generation & 1) == 0 || !has(tcb, tcp::starved)) continue;
    clear(tcb, tcp::starved);
    deliver_later(tcb);
  }
  cx_.starving.clear();
}

void Shard::finish_ended() {
  if (!tcp::has_send_memory(cx_)) [[unlikely]] shed_stuck();
  wake_starving();
  // Callbacks may end further connections and ask for further deliveries: those are next round's, or this loop's, in the
  // order in which they came.
  for (std::size_t i = 0; i < redeliver_.size(); ++i) {
    const ConnId id = redeliver_[i];
    if (!cx_.tcbs.is_live(id.slot, id.generation)) continue;
    tcp::Tcb& tcb = cx_.tcbs[id.slot];
    if (has(tcb, tcp::ended) && !has(tcb, tcp::accept_pending)) continue;
    void* none = nullptr;
    tcp::Verdict verdict;
    verdict.tcb = &tcb;
    verdict.readable = true;
    deliver(verdict, none);
  }
  redeliver_.clear();
  for (std::size_t i = 0; i < cx_.finished.size(); ++i) {
    tcp::Tcb& tcb = cx_.tcbs[cx_.finished[i]];
    // A delivery above, or a callback since, may have concluded it already; its slot may be in use again.
    if ((tcb.generation & 1) != 0 && has(tcb, tcp::ended) && !has(tcb, tcp::accept_pending)) conclude(tcb);
  }
  cx_.finished.clear();
  release_sent();
  if (aborting_) {
    std::size_t left = aborts_per_poll;
    for (std::uint32_t i = 0; i < cx_.tcbs.high_water() && left != 0; ++i) {
      tcp::Tcb& tcb = cx_.tcbs[i];
      if ((tcb.generation & 1) == 0 || has(tcb, tcp::ended)) continue;
      tcp::abort(cx_, tcb, CloseReason::stopped);
      --left;
    }
    if (left != 0) aborting_ = false;
  }
}

bool Shard::describe_output() {
  // What output() puts back (no room) is for the next round.
  const std::size_t n = cx_.dirty.size();
  for (std::size_t i = 0; i < n; ++i) {
    tcp::Tcb& tcb = cx_.dirty[i];
    if ((tcb.generation & 1) == 0 || !has(tcb, tcp::dirty)) continue;
    if (!tcp::predicted_output(cx_, tcb)) tcp::output(cx_, tcb);
    if constexpr (check_always) tcp::check_invariants(cx_, tcb);
  }
  cx_.dirty.drop_front(n);
  return cx_.dirty.empty();
}

Time Shard::next_deadline() const {
  Time next = Time::max();
  const auto consider = [&next](std::optional<Time> t) {
    if (t) next = std::min(next, *t);
  };
  consider(cx_.tcb_wheel.next_deadline());
  consider(cx_.half_open_wheel.next_deadline());
  consider(core_wheel_.next_deadline());
  if (cx_.time_waits.oldest() != tcp::npos) consider(cx_.time_waits[cx_.time_waits.oldest()].expires);
  consider(neighbours_.next_deadline());
  return has_work() || !posts_.empty() ? cx_.now : next;
}

void Shard::close_listeners() {
  draining_ = true;
  for (std::uint32_t i = 0; i < cx_.listeners.size(); ++i) close_listener({i});
}

/// FIN for whoever has said all: the rest are looked at again, some at each call. One that waits for on_writable is in the
/// middle of something; to end it there would cut an answer short.
bool Shard::drain() {
  const std::uint32_t all = cx_.tcbs.high_water();
  std::uint32_t looks = draining_ ? std::min(all, drain_looks) : all;
  if (!draining_) close_listeners();
  for (; looks != 0; --looks) {
    drain_at_ = drain_at_ + 1 < all ? drain_at_ + 1 : 0;
    tcp::Tcb& tcb = cx_.tcbs[drain_at_];
    if ((tcb.generation & 1) != 0 && !has(tcb, tcp::ended | tcp::want_writable)) tcp::shutdown_write(cx_, tcb);
  }
  return cx_.tcbs.size() == 0 && cx_.half_opens.size() == 0;
}

void Shard::abort_all() {
  close_listeners();  // and no FIN: what is aborted says RST and no more
  aborting_ = true;
}

CoreStats Shard::stats() const { return cx_.stats; }

std::vector<ConnInfo> Shard::connections() const {
  auto& cx = const_cast<tcp::Context&>(cx_);
  std::vector<ConnInfo> list;
  // What is read of a slot counts only while the table leads to it: it may be reused as soon as it does not.
  const auto line = [&cx](std::uint32_t slot) {
    const FlowKey key = tcp::observe(cx.key(slot));
    State state = State::time_wait;
    switch (tcp::FlowSlot::kind(slot)) {
      case tcp::FlowKind::connection: state = ds::Atomics::load(cx.tcbs[tcp::FlowSlot::index(slot)].state); break;
      case tcp::FlowKind::half_open: state = State::syn_received; break;
      case tcp::FlowKind::time_wait: break;
    }
    return ConnInfo{key.local(), key.remote(), state};
  };
  cx_.flows.snapshot(line, [&list](const ConnInfo& info) { list.push_back(info); });
  return list;
}

}  // namespace handfast::shard
