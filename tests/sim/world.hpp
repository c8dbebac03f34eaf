// SPDX-License-Identifier: BSD-3-Clause
// One run of one seed: ends, network and applications in virtual time; chaos, then healing, then silence.
// Layer: simulator. The stacks are the production core, seen through FrameStack.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "handfast/frame_port.hpp"
#include "sim/application.hpp"
#include "sim/capture.hpp"
#include "sim/conduct.hpp"
#include "sim/ledger.hpp"
#include "sim/network.hpp"
#include "sim/oracle.hpp"
#include "sim/plan.hpp"

namespace handfast::sim {

struct Result {
  std::string failure;  ///< empty: none
  Duration virtual_time{};
  std::uint64_t events = 0, frames = 0, hash = 0;
  CoreStats stats;     ///< of all ends and all their lives
  Duration healing{};  ///< from the end of the chaos to the end of the last connection
};

class World {
 public:
  explicit World(const Plan& plan, std::size_t frames_kept);
  ~World();
  World(const World&) = delete;

  Result run();
  [[nodiscard]] const Capture& capture() const { return capture_; }
  [[nodiscard]] const Ledger& ledger() const { return ledger_; }

 private:
  struct End {
    World* world = nullptr;
    unsigned index = 0;
    std::unique_ptr<Application> app;
    std::unique_ptr<FrameStack> stack;  ///< null while it is down
    HandlerRef handler;
    ListenerId listener;
    InsideOracle oracle;
    Conduct conduct;
    CoreConfig config;
    Duration clock_offset{}, tick{1};  ///< its clock against the world's; how coarse it is
    Duration step_back{};              ///< for one poll
    Duration batch{};                  ///< frames wait so long for a poll
    Time last_poll = Time::min();
    Time wanted = Time::max();  ///< a poll is due for what has arrived
    Time stalled_until = Time::min();
    std::size_t ring = ~std::size_t{0};
    std::uint32_t lives = 0, busy = 0;
  };

  void start(End& end);
  void listen(End& end);
  void crash(End& end);
  void connect(const Exchange& exchange, unsigned number);
  void connect_one(const Exchange& exchange, unsigned from, unsigned to, Port local, Port remote,
                   std::uint64_t seed);
  void disturb(End& end);
  void attack();
  void schedule_chaos();
  void heal();
  void at(Time when, std::function<void()> what) { agenda_.emplace(when, std::move(what)); }

  bool step(Time limit);
  [[nodiscard]] Time due(const End& end) const;
  [[nodiscard]] Time local(const End& end) const;
  void poll(End& end);
  void on_frame(End& from, std::span<const std::byte> frame);

  [[nodiscard]] bool all_ended() const;
  [[nodiscard]] std::string what_is_left();
  [[nodiscard]] Duration healing_bound() const;
  void check_silence();
  void check_nothing_left();

  const Plan& plan_;
  Ledger ledger_;
  Network network_;
  WireOracle wire_;
  Capture capture_;
  std::vector<std::unique_ptr<End>> ends_;
  std::multimap<Time, std::function<void()>> agenda_;
  Rng faults_, attacks_, lives_;
  Time now_;
  CoreStats stats_;
  std::uint64_t events_ = 0;
  bool healed_ = false;
};

}  // namespace handfast::sim
