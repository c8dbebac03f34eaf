// SPDX-License-Identifier: BSD-3-Clause
// A FrameStack in virtual time with a scripted peer on the other end of its wire; a test reads as a trace.
// Layer: test support. Numbers are relative: a sequence number counts from its sender's initial one, which is
// random and close to the wrap. The peer answers ARP by itself.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "handfast/frame_port.hpp"
#include "support/app.hpp"
#include "support/packet.hpp"
#include "support/recorder.hpp"

namespace handfast::test {

class Trace;
class Peer;

/// A segment on its way from the peer: leaves at the end of the full expression. What is not said is what an
/// orderly peer would send next.
class Send {
 public:
  Send(Peer& peer, std::uint8_t flags);
  Send(Send&&) = delete;
  ~Send();
  Send& seq(std::uint32_t relative);
  Send& ack(std::uint32_t relative);  ///< sets the ACK flag too
  Send& no_ack();
  Send& window(std::uint32_t field);
  Send& data(std::string bytes);
  Send& fin();
  Send& mss(std::uint16_t value);
  Send& wscale(std::uint8_t shift);
  Send& sack_ok();
  Send& ts(std::uint32_t value, std::uint32_t echo);
  Send& sack(std::vector<Block> relative);  ///< to the stack's initial number
  Send& user_timeout(std::uint16_t field);
  Send& cookie(std::string bytes);
  Send& options(std::vector<std::uint8_t> raw);
  Send& urgent(std::uint16_t pointer);
  Send& flags(std::uint8_t all);
  Send& no_poll();  ///< waits in the stack's queue: the next one makes a burst of it
  Send& broken_checksum();

 private:
  Peer& peer_;
  Packet packet_;
  bool own_seq_ = true, poll_ = true, broken_ = false;
};

/// What the stack has sent, checked piece by piece. Taking it tells the peer what has arrived in order.
class Expect {
 public:
  Expect(const Peer& peer, std::optional<Packet> packet) : peer_(peer), packet_(std::move(packet)) {}
  /// Flags, exactly; PSH is looked at by none of these.
  const Expect& flags(std::uint8_t wanted) const;
  const Expect& syn() const { return flags(SYN); }
  const Expect& syn_ack() const { return flags(SYN | ACK); }
  const Expect& pure_ack() const { return flags(ACK).data(""); }
  const Expect& fin() const { return flags(FIN | ACK); }
  const Expect& rst() const { return flags(RST); }
  const Expect& rst_ack() const { return flags(RST | ACK); }
  const Expect& seq(std::uint32_t relative) const;
  const Expect& ack(std::uint32_t relative) const;
  const Expect& raw_seq(std::uint32_t absolute) const;
  const Expect& data(const std::string& bytes) const;
  const Expect& length(std::size_t payload) const;
  const Expect& window(std::uint32_t field) const;
  const Expect& sack(const std::vector<Block>& relative) const;
  const Expect& at(Duration since_start) const;
  [[nodiscard]] const Packet& packet() const { return packet_ ? *packet_ : none_; }
  [[nodiscard]] bool came() const { return packet_.has_value(); }

 private:
  const Peer& peer_;
  std::optional<Packet> packet_;
  static inline const Packet none_{};
};

struct Handshake {
  std::optional<std::uint16_t> mss = 1460;
  std::optional<std::uint8_t> wscale = std::nullopt;
  bool ts = false, sack = false;
};
/// Everything that a present-day peer offers.
inline constexpr Handshake modern{1460, 7, true, true};
inline constexpr Handshake with_sack{1460, std::nullopt, false, true};
inline constexpr Handshake with_ts{1460, std::nullopt, true, false};

class Peer {
 public:
  Peer(Trace& trace, Endpoint self, Endpoint stack);
  ~Peer();
  Peer(const Peer&) = delete;

  Send segment(std::uint8_t flags) { return Send{*this, flags}; }
  Send syn() { return Send{*this, SYN}; }
  Send syn_ack() { return Send{*this, SYN | ACK}; }
  Send ack() { return Send{*this, ACK}; }
  Send fin() { return Send{*this, FIN | ACK}; }
  Send rst() { return Send{*this, RST}; }
  /// The next segment that the stack has sent to this peer; a failure if there is none.
  Expect expect();
  /// The same if there is one.
  std::optional<Packet> poll();
  [[nodiscard]] bool quiet() const { return in.empty(); }

  /// Passive open of the stack: SYN, SYN-ACK, ACK.
  void open(Handshake h = {});
  /// Answers the stack's SYN, which must be on its way.
  void answer_open(Handshake h = {});
  /// The options of `h` on a SYN.
  void offer(Send& syn, const Handshake& h) const;
  /// FIN to FIN: the stack has sent its FIN already or does it now; ends in TIME-WAIT or CLOSED.
  void finish_after_fin();

  void take(const Packet& packet) { in.push_back(packet); }

  Trace& trace;
  Endpoint self, stack;
  std::uint32_t iss, irs = 0;
  bool irs_known = false;
  std::uint32_t snd_nxt = 0, rcv_nxt = 0;  ///< relative
  std::uint32_t window = 65535;            ///< the field
  bool ts_on = false;                      ///< timestamps on everything that leaves
  std::uint32_t ts_base, ts_recent = 0;
  std::deque<Packet> in;
  [[nodiscard]] std::uint32_t ts_now() const;
};

[[nodiscard]] CoreConfig small_config();

class Trace {
 public:
  /// The stack's initial number lies `below_wrap` below 2^32; 0: up to 300, any.
  explicit Trace(CoreConfig config = small_config(), std::uint32_t below_wrap = 0);
  /// Ends everything and checks that nothing is left behind.
  ~Trace();
  Trace(const Trace&) = delete;

  [[nodiscard]] Core& core() { return stack_->core(); }
  [[nodiscard]] FrameStack& stack() { return *stack_; }
  [[nodiscard]] CoreStats stats() { return core().stats(); }
  [[nodiscard]] std::uint64_t drops(Drop reason) { return stats().drops[static_cast<std::size_t>(reason)]; }
  [[nodiscard]] Time now() const { return now_; }
  [[nodiscard]] Duration elapsed() const { return now_ - start_; }
  [[nodiscard]] Rng& rng() { return rng_; }

  ListenerId listen(Port port = 80, ListenOptions options = {});
  /// From the address and port that `peer` expects, to the peer.
  ConnId connect();
  /// connect() and the peer's answer.
  ConnId open_active(Handshake h = {});
  /// The connection that was opened last; it must be there.
  Conn conn();
  [[nodiscard]] State state();  ///< of that connection, CLOSED when it is gone
  /// Calls f(Conn) on it and lets the stack send.
  template <class F>
  void with(F&& f) {
    Conn c = conn();
    f(c);
    poll();
  }

  void poll();
  /// Time passes, every deadline on the way is met.
  void advance(Duration d);
  /// Until the stack sends something (to anyone); says how long it took, or fails.
  Duration advance_to_frame(Duration limit);
  void expect_nothing() { expect_nothing_until(Duration{0}); }
  /// Nothing is sent for so long from now.
  void expect_nothing_until(Duration d);
  /// No frame that the test has not taken.
  [[nodiscard]] bool quiet() const;

  std::unique_ptr<Peer> another_peer(Port port, Ipv4Address address = {10, 0, 0, 2});
  void inject(std::span<const std::byte> frame, bool poll_now = true);
  void inject(const Packet& packet) { inject(build(packet)); }

  App app;
  HandlerRef handler;
  bool answer_arp = true;
  std::function<void(bool is_over)> around_inject;  ///< called before and after each frame that a test sends
  std::vector<std::vector<std::byte>> other_frames;  ///< that were neither TCP to a peer nor answered ARP
  static constexpr MacAddress stack_mac{{0x02, 0x68, 0x66, 0, 0, 1}};
  static constexpr MacAddress peer_mac{{0x02, 0, 0, 0, 0, 2}};
  static constexpr Ipv4Address stack_address{10, 0, 0, 1};
  static constexpr Ipv4Address peer_address{10, 0, 0, 2};

 private:
  friend class Peer;
  void on_frame(std::span<const std::byte> frame);
  bool answer_as_peer(std::span<const std::byte> frame);
  void check_that_all_is_gone();

  Rng rng_;
  CoreConfig config_;
  Time start_, now_;
  std::vector<Peer*> peers_;
  Recorder recorder_;
  std::size_t frames_out_ = 0;
  std::unique_ptr<FrameStack> stack_;

 public:
  Peer peer;
};

}  // namespace handfast::test
