// SPDX-License-Identifier: BSD-3-Clause
// What runs on an end: it does everything that an application may, in every callback, and checks what it is
// told. Layer: simulator. Knows Conn and nothing below it.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "handfast/core.hpp"
#include "sim/ledger.hpp"

namespace handfast::sim {

class Application {
 public:
  static constexpr std::uint32_t nobody = 2;  ///< as a side: nothing of it counts
  struct State {
    std::uint32_t talk = 0xffffffff;
    std::uint32_t side = 0;
  };
  Application(Ledger& ledger, const Plan& plan, unsigned end) : ledger_(&ledger), plan_(&plan), end_(end) {}

  void on_accept(Conn& c, State& s);
  void on_connect(Conn& c, State& s);
  std::size_t on_data(Conn& c, State& s, const RxView& in);
  void on_sent(Conn& c, State& s, std::size_t acked);
  void on_writable(Conn& c, State& s);
  void on_peer_fin(Conn& c, State& s);
  void on_timer(Conn& c, State& s);
  void on_urgent(Conn& c, State& s);
  void on_unresponsive(Conn& c, State& s);
  void on_closed(ConnId id, State& s, CloseReason reason);

  /// Buffers that were taken over and are still held.
  std::vector<RxBuf> held;
  /// send_ref's that were not released yet.
  std::uint32_t references = 0;
  bool crashing = false;  ///< what ends now vanishes with its stack
  bool draining = false;  ///< the stack says FIN where the application did not
  /// A client's connection has ended; called from within on_closed.
  std::function<void(std::uint32_t talk)> ended;
  std::uint64_t calls = 0;  ///< callbacks, for what they may make the stack say

 private:
  enum class Call : std::uint8_t {
    accept = 1,
    connect,
    data,
    sent,
    writable,
    peer_fin,
    timer,
    urgent,
    unresponsive,
    closed
  };
  /// The side that is called; null where nothing more is to be done (it ends at this callback, or never was).
  Side* enter(Conn& c, State& s, Call call);
  void start(Conn& c, Side& side, const Talk& talk);
  void feed(Conn& c, State& s, Side& side);
  std::size_t send(Conn& c, const Talk& talk, unsigned side, std::size_t n);
  [[nodiscard]] std::uint64_t may_write(const Talk& talk, unsigned side) const;
  [[nodiscard]] bool may_leave(const Conn& c) const;
  void finish_writing(Conn& c, Side& side);
  void close(Conn& c, Side& side);
  void abort(Conn& c, Side& side);

  Ledger* ledger_;
  const Plan* plan_;
  unsigned end_;
};

}  // namespace handfast::sim
