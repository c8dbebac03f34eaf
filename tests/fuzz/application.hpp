// SPDX-License-Identifier: BSD-3-Clause
// The application of the stateful targets: does in each callback what its manners say, checks the callbacks' grammar
// and every byte that it is given. Layer: fuzz. No memory is allocated in a callback.
#pragma once

#include <array>
#include <cstdint>

#include "fuzz/content.hpp"
#include "fuzz/fuzz.hpp"
#include "handfast/core.hpp"
#include "shard/shard.hpp"

namespace handfast::fuzz {

/// What is done in callbacks; any of them together.
enum Manner : std::uint8_t {
  takes_half = 1 << 0,     ///< of what on_data shows; with takes_none: one byte
  takes_none = 1 << 1,
  answers = 1 << 2,        ///< writes what it was given, as many bytes
  closes_on_data = 1 << 3,
  closes_on_fin = 1 << 4,
  aborts_on_data = 1 << 5,
  keeps_buffers = 1 << 6,  ///< takes views over, and sends the last one on or drops it
  pauses = 1 << 7,
};

class Application {
 public:
  struct State {
    std::uint32_t in = 0, out = 0;  ///< sequence numbers of the next byte to take and to write, while `opened`
    bool in_known = false, out_known = false;
    bool opened = false, fin = false, left = false, written = false;
    std::uint32_t mark = living_mark;
    static constexpr std::uint32_t living_mark = 0x6c697665;
    static inline long living = 0;
    State() { ++living; }
    ~State() {
      --living;
      mark = 0;
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
  };

  std::uint8_t manners = 0;
  long references = 0;           ///< send_ref that was not released
  std::uint64_t received = 0, closed = 0;
  /// Of the connections that ended "finished": the target may want to know more.
  void (*on_end)(void* ctx, const State& state, ConnId id, CloseReason why) = nullptr;
  void* ctx = nullptr;

  void on_accept(Conn& c, State& s) { open(c, s); }
  void on_connect(Conn& c, State& s) { open(c, s); }
  std::size_t on_data(Conn& c, State& s, const RxView& view) {
    enter(c, s, s.opened && !s.fin && !s.left);
    FUZZ_CHECK(view.size() != 0 && is_content(s.in, view.bytes()));
    if ((manners & aborts_on_data) != 0) return leave(c, s, true), 0;
    if ((manners & keeps_buffers) != 0) return keep(c, s, view);
    std::size_t n = view.size();
    if ((manners & takes_half) != 0) n = (n + 1) / 2;
    if ((manners & takes_none) != 0) n = (manners & takes_half) != 0 ? 1 : 0;
    took(s, n);
    if ((manners & answers) != 0) write(c, s, static_cast<std::uint32_t>(n), 0);
    if ((manners & pauses) != 0) c.pause_rx();
    if ((manners & closes_on_data) != 0) leave(c, s, false);
    return n;
  }
  void on_sent(Conn& c, State& s, std::size_t n) { enter(c, s, s.opened && n != 0); }
  void on_writable(Conn& c, State& s) {
    enter(c, s, s.opened || s.out_known);  // who wrote while the SYN is out may be told before on_connect
    if ((manners & answers) != 0) write(c, s, 100, 0);
  }
  void on_peer_fin(Conn& c, State& s) {
    enter(c, s, s.opened && !s.fin && !s.left);
    s.fin = true;
    if ((manners & closes_on_fin) != 0) leave(c, s, false);
  }
  void on_timer(Conn& c, State& s) { enter(c, s, true); }  // it may be armed while the SYN is out
  void on_urgent(Conn& c, State& s) { enter(c, s, s.opened); }
  void on_unresponsive(Conn& c, State& s) { enter(c, s, true); }
  void on_closed(ConnId id, State& s, CloseReason why) {
    FUZZ_CHECK(s.mark == State::living_mark);
    ++closed;
    if (on_end != nullptr) on_end(ctx, s, id, why);
  }

  /// Writes `n` bytes in one of the ways there are; what is taken is content.
  void write(Conn& c, State& s, std::uint32_t n, unsigned way) {
    learn(c, s);
    if (s.left || s.written) return;
    const auto bytes = content(s.out, n < 32768 ? n : 32768);
    std::size_t taken = 0;
    switch (way % 5) {
      case 0: taken = c.send(bytes); break;
      case 1: taken = c.send_static(bytes); break;
      case 2:
        if (!bytes.empty() && c.send_ref(bytes, this, &Application::released)) {
          ++references;
          taken = bytes.size();
        }
        break;
      case 3: taken = c.send_urgent(bytes); break;
      default:
        if (TxBuf buffer = c.core().allocate()) {
          const std::size_t some = bytes.size() < buffer.room().size() ? bytes.size() : buffer.room().size();
          std::memcpy(buffer.room().data(), bytes.data(), some);
          buffer.resize(some);
          if (some != 0 && c.send(std::move(buffer))) taken = some;
        }
    }
    s.out += static_cast<std::uint32_t>(taken);
  }
  void read(Conn& c, State& s, std::uint32_t n) {
    learn(c, s);
    took(s, c.consume(n));
  }
  void leave(Conn& c, State& s, bool hard) {
    s.left = true;
    hard ? c.abort() : c.close();
  }
  void shut(Conn& c, State& s) {
    c.shutdown_write();
    s.written = true;
  }
  void drop_buffers() {
    for (RxBuf& buffer : kept_) buffer = RxBuf{};
  }
  /// Where the streams of a connection begin: ours from connect() on, the peer's once it is open.
  void learn(Conn& c, State& s) {
    const tcp::Tcb& tcb = c.core().shard().tcp().tcbs[c.id().slot];
    if (!s.out_known) s.out = tcb.iss.raw() + 1;
    s.out_known = true;
    if (!s.in_known && s.opened) s.in = tcb.irs.raw() + 1;
    s.in_known = s.opened;
  }

 private:
  void enter(Conn& c, State& s, bool grammatical) {
    FUZZ_CHECK(grammatical && s.mark == State::living_mark);
    FUZZ_CHECK(&c.user<State>() == &s);
  }
  void open(Conn& c, State& s) {
    enter(c, s, !s.opened);
    s.opened = true;
    learn(c, s);
  }
  void took(State& s, std::size_t n) {
    s.in += static_cast<std::uint32_t>(n);
    received += n;
  }
  std::size_t keep(Conn& c, State& s, const RxView& view) {
    RxBuf buffer = view.take();
    took(s, view.size());
    RxBuf& place = kept_[next_++ % kept_.size()];
    if (!buffer.empty()) std::swap(place, buffer);
    static_cast<void>(c);
    return view.size();
  }
  static void released(void* self, std::span<const std::byte>) { --static_cast<Application*>(self)->references; }

  std::array<RxBuf, 4> kept_;
  unsigned next_ = 0;
};

}  // namespace handfast::fuzz
