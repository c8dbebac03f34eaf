// SPDX-License-Identifier: BSD-3-Clause
// F6: two stacks with applications that write and close, and a link on which the fuzzer decides about each frame. After
// each step both stacks' invariants and those between them hold; in the end the link heals, and everything ends: who was
// told "finished" has got every byte. Layer: fuzz.
// Input: four bytes for the configuration, then a schedule of two bytes for each step.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "fuzz/reading.hpp"
#include "fuzz/world.hpp"
#include "wire/arp.hpp"
#include "wire/ethernet.hpp"

namespace handfast::fuzz {
namespace {

constexpr std::size_t most_in_flight = 64, most_steps = 400, talks = 3;
constexpr Duration heal_limit = 30min;

Ipv4Address address(unsigned end) { return {10, 0, 0, static_cast<std::uint8_t>(end + 1)}; }
MacAddress mac(unsigned end) { return {{0x02, 0x68, 0x66, 0, 0, static_cast<std::uint8_t>(end + 1)}}; }

class Pair {
 public:
  explicit Pair(unsigned variant) {
    for (unsigned i = 0; i < 2; ++i) {
      End& end = ends_[i];
      CoreConfig config = config_of(variant);
      config.link.address = {address(i), 24};
      config.link.mac = mac(i);
      config.seed += i * 77;
      garbage_ = config.tcp.keepalive_garbage;
      end.pair = this;
      auto made = FrameStack::create(config, now_, &Pair::on_frame, &end);
      FUZZ_CHECK(made.has_value());
      end.stack = std::move(*made);
      end.handler = *end.stack->core().add_handler_ref(end.app);
      end.app.on_end = &Pair::on_end;
      end.app.ctx = &end;
      for (auto& frame : end.queue) frame.reserve(1514);
    }
  }

  void run(std::span<const std::uint8_t> data) {
    now_ += 20min;
    corrupted_ = false;
    for (End& end : ends_) end.count = 0;
    const Program header = read_header(data);
    ends_[0].app.manners = header.manners & static_cast<std::uint8_t>(~(aborts_on_data | keeps_buffers));
    ends_[1].app.manners = header.setup & static_cast<std::uint8_t>(~(aborts_on_data | keeps_buffers));
    for (unsigned i = 0; i < 2; ++i) {
      const auto id = ends_[i].stack->core().listen_with({any, 80}, ends_[i].handler, {.backlog = 8, .fast_open = 2});
      FUZZ_CHECK(id.has_value());
      ends_[i].listener = *id;
    }
    if ((header.spare & 1) != 0) meet();
    mtu_ = (header.spare >> 1 & 7) == 0 ? 0 : 1500u - 150u * (header.spare >> 1 & 7);
    Reader in{data.data() + header_bytes, data.size() - header_bytes};
    for (std::size_t n = 0; n < most_steps && in.left() >= 2; ++n) {
      const unsigned what = in.u8(), value = in.u8();
      step(what, value);
      check();
      ++steps;
    }
    heal();
  }
  [[nodiscard]] bool is_worn() const { return now_ > Time{Duration{std::int64_t{1} << 60}}; }
  std::uint64_t steps = 0;

 private:
  /// A connection that was told "finished", and how far its streams had come. One tuple may have had several.
  struct Finished {
    std::uint32_t iss = 0, irs = 0, in = 0, out = 0;
  };
  struct End {
    Pair* pair = nullptr;
    std::unique_ptr<FrameStack> stack;
    Application app;
    HandlerRef handler;
    ListenerId listener;
    Inside inside;
    std::array<std::vector<std::byte>, most_in_flight> queue;  // of what it has sent, oldest first
    std::size_t queued = 0;
    std::array<Finished, 64> finished;
    std::size_t count = 0;
  };

  static void on_frame(void* ctx, std::span<const std::byte> frame) {
    End& from = *static_cast<End*>(ctx);
    if (get(frame, 12, 2) == wire::ether_type_ipv4) {
      std::string why;
      const auto packet = test::parse_strictly(frame, why);
      if (!packet) finding(why.c_str(), __FILE__, __LINE__);
      const auto bytes = std::as_bytes(std::span{packet->payload.data(), packet->payload.size()});
      FUZZ_CHECK((from.pair->garbage_ && bytes.size() == 1) || is_content(packet->seq + (packet->has(test::SYN) ? 1u : 0u), bytes));
    }
    if (from.pair->mtu_ != 0 && frame.size() > wire::ethernet_header_length + from.pair->mtu_) return;  // a black hole
    if (from.queued == most_in_flight) return;  // a full queue: lost
    from.queue[from.queued++].assign(frame.begin(), frame.end());
  }
  static void on_end(void* ctx, const Application::State& state, ConnId id, CloseReason why) {
    End& end = *static_cast<End*>(ctx);
    if (why != CloseReason::finished || !state.in_known || !state.out_known || end.count == end.finished.size()) return;
    const tcp::Tcb& tcb = end.stack->core().shard().tcp().tcbs[id.slot];
    end.finished[end.count++] = {tcb.iss.raw(), tcb.irs.raw(), state.in, state.out};
  }

  /// Both ARP questions answered, so that the first frames are segments.
  void meet() {
    for (unsigned i = 0; i < 2; ++i) static_cast<void>(ends_[i].stack->core().resolve(address(1 - i)));
    for (int i = 0; i < 4; ++i) {
      poll();
      deliver_all();
    }
  }

  void poll() {
    for (End& end : ends_) end.stack->poll(now_);
  }
  void take_out(End& from, std::size_t at) {
    std::rotate(from.queue.begin() + static_cast<std::ptrdiff_t>(at), from.queue.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                from.queue.begin() + static_cast<std::ptrdiff_t>(from.queued));
    --from.queued;
  }
  void deliver(unsigned from, std::size_t at, bool keep) {
    End& end = ends_[from];
    if (end.queued == 0) return;
    at = std::min(at, end.queued - 1);
    static_cast<void>(ends_[1 - from].stack->receive(end.queue[at]));
    if (!keep) take_out(end, at);
    ends_[1 - from].stack->poll(now_);
  }
  /// What each end has sent by now, or the first of it: a link of a rate.
  void deliver_all(std::size_t most = most_in_flight) {
    for (unsigned from = 0; from < 2; ++from) {
      End& end = ends_[from];
      for (std::size_t n = std::min(end.queued, most); n != 0; --n) deliver(from, 0, false);
    }
  }
  /// Up to the next deadline of either, or so far.
  void pass(Duration most) {
    Time to = now_ + most;
    for (End& end : ends_)
      if (const auto next = end.stack->next_deadline()) to = std::min(to, std::max(*next, now_));
    now_ = to;
    poll();
  }

  static Duration delay_of(unsigned value) { return 1us * (std::int64_t{value & 15} << (value >> 4)); }
  /// So far, whatever is due on the way.
  void run_on(Duration d) {
    const Time end = now_ + d;
    for (int guard = 0; guard < 64 && now_ < end; ++guard) pass(end - now_);
    now_ = end;
    poll();
  }

  [[nodiscard]] std::optional<Conn> conn(unsigned side, unsigned talk) {
    const auto port = static_cast<Port>(30000 + talk);
    const Endpoint client{address(0), port}, server{address(1), 80};
    const FlowKey key = side == 0 ? FlowKey{client, server} : FlowKey{server, client};
    tcp::Context& cx = ends_[side].stack->core().shard().tcp();
    const std::uint32_t slot = cx.flows.find(cx.hasher(key), key);
    if (slot == tcp::npos || tcp::FlowSlot::kind(slot) != tcp::FlowKind::connection) return std::nullopt;
    const std::uint32_t index = tcp::FlowSlot::index(slot);
    return ends_[side].stack->core().find({index, cx.tcbs.generation(index)});
  }

  void step(unsigned what, unsigned value) {
    const unsigned from = what & 1, talk = value % talks;
    switch (what >> 1 & 15) {
      case 0:
      case 1:
      case 2: deliver(from, 0, false); break;
      case 3: deliver(from, value, false); break;  // it overtakes
      case 4: deliver(from, value, true); break;   // twice
      case 5:                                      // lost
        if (ends_[from].queued != 0) take_out(ends_[from], value % ends_[from].queued);
        break;
      case 6: corrupt(from, value); break;
      case 7: value == 0 ? pass(1h) : run_on(delay_of(value)); break;
      case 8: pass(delay_of(value)); break;
      case 9: deliver_all(value == 0 ? most_in_flight : value); break;
      case 10: {
        static_cast<void>(ends_[0].stack->core().connect({address(1), 80}, ends_[0].handler,
                                                         {.local = {address(0), static_cast<Port>(30000 + talk)}, .fast_open = (value & 64) != 0}));
        break;
      }
      case 11: {
        static constexpr std::size_t limits[] = {0, 1, 2, std::numeric_limits<std::size_t>::max()};
        ends_[from].stack->limit_transmit(limits[value & 3]);
        break;
      }
      default:
        if (auto c = conn(from, talk)) use(ends_[from].app, *c, what >> 1 & 15, value);
    }
    poll();
  }

  static void use(Application& app, Conn& c, unsigned what, unsigned value) {
    auto& state = c.user<Application::State>();
    if (what == 12) app.write(c, state, value * 40, value >> 2);
    if (what == 13) app.read(c, state, value * 16);
    if (what == 14) (value & 4) != 0 ? app.shut(c, state) : app.leave(c, state, (value & 0x70) == 0x70);
    if (what == 15) (value & 4) != 0 ? c.pause_rx() : c.resume_rx();
  }

  /// One bit: the sum sees it, and the frame is as good as lost. In an address it may look like somebody else's.
  void corrupt(unsigned from, unsigned value) {
    End& end = ends_[from];
    if (end.queued == 0) return;
    auto& frame = end.queue[0];
    frame[14 + value % (frame.size() - 14)] ^= static_cast<std::byte>(1u << (value & 7));
    corrupted_ = corrupted_ || get(frame, 12, 2) != wire::ether_type_ipv4;
    deliver(from, 0, false);
  }

  /// A.snd_una <= B.rcv_nxt <= A.snd_nxt, of every connection that has both its ends.
  void check() {
    for (End& end : ends_) end.inside.check(end.stack->core());
    for (unsigned side = 0; side < 2; ++side) {
      for (unsigned talk = 0; talk < talks; ++talk) {
        const auto one = conn(side, talk), two = conn(1 - side, talk);
        if (!one || !two) continue;
        const tcp::Tcb& a = ends_[side].stack->core().shard().tcp().tcbs[one->id().slot];
        const tcp::Tcb& b = ends_[1 - side].stack->core().shard().tcp().tcbs[two->id().slot];
        const auto open = [](const tcp::Tcb& t) { return t.state != State::syn_sent && t.state != State::syn_received; };
        if (!open(a) || !open(b) || a.iss != b.irs || a.irs != b.iss) continue;
        FUZZ_CHECK(before_eq(a.snd_una, b.rcv_nxt) && before_eq(b.rcv_nxt, a.snd_nxt));
      }
    }
  }

  void heal() {
    mtu_ = 0;
    for (End& end : ends_) {
      end.stack->limit_transmit(std::numeric_limits<std::size_t>::max());
      end.app.manners = closes_on_fin;
    }
    // Those too that are complete, have left the table and wait to be read.
    for (End& end : ends_) {
      const tcp::Context& cx = end.stack->core().shard().tcp();
      for (std::uint32_t i = 0; i < cx.tcbs.high_water(); ++i) {
        auto c = end.stack->core().find({i, cx.tcbs.generation(i)});
        if (!c) continue;
        auto& state = c->user<Application::State>();
        c->resume_rx();
        end.app.read(*c, state, 1u << 20);
        if (!state.left) end.app.leave(*c, state, false);
      }
    }
    for (End& end : ends_) end.stack->core().close(end.listener);
    const Time limit = now_ + heal_limit;
    poll();
    for (int guard = 0; guard < 100000 && now_ < limit; ++guard) {
      deliver_all();
      if (ends_[0].queued != 0 || ends_[1].queued != 0) continue;
      if (is_idle()) break;
      now_ += 1us;  // the link's delay: nothing happens in no time
      pass(1min);
      check();
    }
    if (std::getenv("HANDFAST_FUZZ_TELL") != nullptr) tell();
    if (!corrupted_) FUZZ_CHECK(is_idle());
    for (const Finished& a : std::span{ends_[0].finished}.first(ends_[0].count))
      for (const Finished& b : std::span{ends_[1].finished}.first(ends_[1].count))
        if (a.iss == b.irs && a.irs == b.iss) FUZZ_CHECK(a.in == b.out && b.in == a.out);
    finish();
  }
  [[nodiscard]] bool is_idle() {
    return std::ranges::all_of(ends_, [](End& end) { return end.stack->core().shard().tcp().tcbs.size() == 0; });
  }

  /// For people who look for the reason of a finding.
  void tell() {
    for (End& end : ends_) {
      const tcp::Context& cx = end.stack->core().shard().tcp();
      for (std::uint32_t i = 0; i < cx.tcbs.high_water(); ++i) {
        const tcp::Tcb& t = cx.tcbs[i];
        if ((t.generation & 1) == 0) continue;
        std::fprintf(stderr, "%s > %s %s flags %#llx una+%u queued %u wnd %u mss %u cwnd %u unread %u backoff %u\n",
                     t.key.local().to_string().c_str(), t.key.remote().to_string().c_str(), name(t.state).data(),
                     static_cast<unsigned long long>(t.flags), distance(t.snd_una, t.snd_nxt), t.send_queued, t.snd_wnd, t.snd_mss, t.cwnd,
                     tcp::unread_bytes(t), t.backoff);
      }
    }
  }

  void finish() {
    for (End& end : ends_) end.stack->core().abort_all();
    for (int i = 0; i < 6; ++i) {
      poll();
      for (End& end : ends_) end.queued = 0;
      now_ += 1s;
    }
    poll();
    for (End& end : ends_) {
      end.queued = 0;
      Inside::check_nothing_held(end.stack->core());
      FUZZ_CHECK(end.stack->buffers_in_use() == 0 && end.app.references == 0);
    }
    FUZZ_CHECK(Application::State::living == 0);
  }

  Time now_{1h};
  std::size_t mtu_ = 0;  ///< of the path, of which nobody tells; 0: as the ends'
  bool garbage_ = false, corrupted_ = false;
  std::array<End, 2> ends_;
};

}  // namespace
}  // namespace handfast::fuzz

using namespace handfast;
using namespace handfast::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Tally programs{"schedules"}, steps{"steps"};
  static std::array<std::unique_ptr<Pair>, variants> pairs;
  static const bool fresh = std::getenv("HANDFAST_FUZZ_FRESH") != nullptr;
  if (size < header_bytes) return 0;
  auto& pair = pairs[data[0] % variants];
  if (!pair || fresh || pair->is_worn()) {
    pair = nullptr;
    pair = std::make_unique<Pair>(data[0] % variants);
  }
  const std::uint64_t before = pair->steps;
  pair->run({data, size});
  programs.add();
  steps.add(pair->steps - before);
  return 0;
}
