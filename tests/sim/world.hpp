// SPDX-License-Identifier: BSD-3-Clause
// One run of one seed: ends, network and applications in virtual time; chaos, then healing, then silence.
// Layer: simulator. The stacks are the production core, seen through FrameStack.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/application.hpp"
#include "sim/capture.hpp"
#include "sim/conduct.hpp"
#include "sim/drought.hpp"
#include "sim/ledger.hpp"
#include "sim/network.hpp"
#include "sim/oracle.hpp"
#include "sim/plan.hpp"
#include "sim/stack.hpp"

namespace handfast::sim {

struct Result {
  std::string failure;  ///< empty: none
  Duration virtual_time{};
  std::uint64_t events = 0, frames = 0, hash = 0;
  CoreStats stats;                   ///< of all ends and all their lives
  Duration healing{};                ///< from the end of the chaos to the end of the last connection
  std::string seen;                  ///< what the applications saw, without times
  std::vector<std::uint64_t> polls;  ///< of each end, until all had ended
};

/// From the `keep`-th allocation of that poll on there is nothing left in that pool, until the poll ends.
struct Famine {
  unsigned end = 0;
  std::uint64_t poll = 0;
  Pool pool = Pool::chunks;
  std::uint32_t keep = 0;
};

class World {
 public:
  explicit World(const Plan& plan, std::size_t frames_kept);
  ~World();
  World(const World&) = delete;

  Result run();
  std::optional<Famine> famine;
  [[nodiscard]] const Capture& capture() const { return capture_; }
  [[nodiscard]] const Ledger& ledger() const { return ledger_; }

 private:
  struct End {
    World* world = nullptr;
    unsigned index = 0;
    std::unique_ptr<Application> app;
    std::unique_ptr<HostStack> stack;  ///< null while it is down
    // By shard:
    std::vector<HandlerRef> handlers;
    std::vector<ListenerId> listeners;
    std::vector<InsideOracle> oracles;
    std::vector<std::unique_ptr<Drought>> droughts;
    Conduct conduct;  ///< of an end of one core
    CoreConfig config;
    Duration clock_offset{}, tick{1};  ///< its clock against the world's; how coarse it is
    Duration step_back{};              ///< for one poll
    Duration batch{};                  ///< frames wait so long for a poll
    Time last_poll = Time::min();
    Time wanted = Time::max();  ///< a poll is due for what has arrived
    Time stalled_until = Time::min();
    std::uint32_t lives = 0, busy = 0;
    std::uint64_t polls = 0, segments_in = 0;
    Traffic traffic;
    CoreStats past;  ///< of its former lives
    std::optional<Time> drains_until;
  };

  void start(End& end);
  void listen(End& end);
  void stop(End& end);
  void crash(End& end);
  void drain(End& end);
  void go_on_draining(End& end);
  void begin_drought(End& end, std::uint32_t which, std::uint32_t keep);
  void end_droughts(End& end);
  void disturb_port(End& end, Rng& rng);
  void disturb_link(End& end, Rng& rng);
  void disturb_listener(End& end, std::uint32_t which);
  void reopen(std::uint32_t talk);
  void connect(const Exchange& exchange, unsigned number);
  struct Opening {
    unsigned from, to;
    Port local, remote;
    std::uint64_t seed;
    std::uint32_t again = 0;
  };
  /// False: no connection came of it, and none will.
  bool connect_one(const Exchange& exchange, const Opening& opening);
  void disturb(End& end);
  void attack();
  void schedule_chaos();
  void heal();
  void at(Time when, std::function<void()> what) { agenda_.emplace(when, std::move(what)); }

  bool step(Time limit);
  [[nodiscard]] Time due(const End& end) const;
  [[nodiscard]] Time local(const End& end) const;
  void poll(End& end);
  [[nodiscard]] bool judges(const End& end) const;
  void on_frame(End& from, std::span<const std::byte> frame);

  [[nodiscard]] bool all_ended() const;
  [[nodiscard]] std::string what_is_left();
  [[nodiscard]] Duration healing_bound() const;
  void check_amplification(const End& end);
  void check_silence();
  void check_nothing_left();
  void check_nothing_left(End& end, std::uint16_t shard);

  const Plan& plan_;
  Ledger ledger_;
  Network network_;
  WireOracle wire_;
  Capture capture_;
  std::vector<std::unique_ptr<End>> ends_;
  std::multimap<Time, std::function<void()>> agenda_;
  Rng faults_, attacks_, lives_, ports_;
  Time now_;
  CoreStats stats_;
  std::uint64_t events_ = 0;
  bool healed_ = false;
};

}  // namespace handfast::sim
