// SPDX-License-Identifier: BSD-3-Clause
// One stack and up to four peers that the fuzzer plays, in virtual time; kept for thousands of programs and brought back
// to nothing after each. Layer: fuzz.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/rng.hpp"
#include "fuzz/application.hpp"
#include "fuzz/inside.hpp"
#include "fuzz/program.hpp"
#include "handfast/frame_port.hpp"
#include "support/packet.hpp"

namespace handfast::fuzz {

/// How the configurations differ.
inline constexpr unsigned variants = 20;
[[nodiscard]] CoreConfig config_of(unsigned variant);

/// What the peers see of the link, and what they send.
class World {
 public:
  explicit World(unsigned variant);
  World(const World&) = delete;

  void begin(const Program& program);
  void run(const Op& op);
  /// Ends everything, lets what is left run out and checks that nothing stays behind.
  void finish();
  /// The stack goes as it stands: whoever has a connection is told. Nothing can be done with it afterwards.
  void drop();
  /// Programs so far, and whether the clock has run too far for another.
  [[nodiscard]] bool is_worn() const;

 private:
  struct Peer {
    Endpoint self, stack;
    std::uint32_t iss = 0;            ///< of the last SYN it sent
    std::uint32_t irs = 0, sent = 0;  ///< what the stack has sent: its SYN's number, one past the last octet
    std::uint32_t ts = 0;             ///< last TSval of the stack's
    std::array<std::byte, 16> cookie{};
    std::uint8_t cookie_length = 0;
    std::uint8_t shift = 0;
    State before = State::closed;     ///< of the tuple, at the last look
  };
  /// What the next segment's numbers may count from.
  struct Live {
    State state = State::closed;
    std::uint32_t rcv_nxt = 0, rcv_adv = 0, snd_una = 0, snd_nxt = 0, iss = 0, irs = 0, middle = 0, beyond = 0;
    bool timestamps = false;
  };

  [[nodiscard]] Live look(const Peer& peer);
  [[nodiscard]] std::uint32_t slot_of(const Peer& peer);
  void look_at_all(const Op& op);

  void segment(Peer& peer, const Op& op);
  void orderly(Peer& peer, const Op& op, std::uint8_t flags);
  void handshake(Peer& peer, const Op& op);
  void send(Peer& peer, test::Packet& packet, const Op& op, std::uint32_t length);
  void add_options(Peer& peer, const Live& live, test::Packet& packet, const Op& op);
  void icmp(Peer& peer, const Op& op);
  void raw(const Op& op);
  void arp(Peer& peer, const Op& op);
  void listen(const Op& op);
  void misuse(const Op& op);
  void connect(Peer& peer, const Op& op);
  void with_conn(Peer& peer, const Op& op);
  void settings(Conn& c, const Op& op);
  void core_task(const Op& op);
  void hoard(const Op& op);
  void jump(const Op& op);

  void poll();
  void advance(Duration d);
  void inject(std::span<const std::byte> frame) { static_cast<void>(stack_->receive(frame)); }
  void on_frame(std::span<const std::byte> frame);
  void on_segment(const test::Packet& packet);
  void answer_arp(std::span<const std::byte> frame);

  CoreConfig config_;
  Time now_;
  std::uint32_t next_port_ = 0;  ///< of a peer
  bool answers_arp_ = true;
  std::unique_ptr<FrameStack> stack_;
  Application app_;
  HandlerRef handler_;
  ListenerId listener_;
  bool listening_ = false, drains_ = false;
  Inside inside_;
  std::array<Peer, 4> peers_;
  struct Task {
    World* world = nullptr;
    std::size_t number = 0;
  };
  std::array<Task, 8> task_of_{};
  std::array<Time, 8> tasks_{};  ///< not before; zero: none
  std::vector<TxBuf> hoard_;
  Rng rng_{1};
};

}  // namespace handfast::fuzz
