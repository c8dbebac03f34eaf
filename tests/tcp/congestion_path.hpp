// SPDX-License-Identifier: BSD-3-Clause
// A path with one bottleneck in virtual time, and senders of which only the volumes are modelled: what an algorithm
// makes of a rate, a delay and a buffer, with neither segments nor a stack. Layer: tests of the protocol.
// Every packet has a number of its own and is acknowledged; three numbers further it counts as lost.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <vector>

#include "congestion_bench.hpp"

namespace handfast::test {

struct PathRules {
  std::uint64_t rate = 12'500'000;          ///< bytes a second
  Duration rtt = 40ms;                      ///< without any queue
  std::uint32_t buffer = 500'000;           ///< bytes
  std::uint32_t mark_above = 0xffffffff;    ///< bytes queued from which packets are marked
  std::function<bool(int flow, std::uint64_t packet)> lose{};
};

class Path {
 public:
  class Flow;
  explicit Path(PathRules r, CoreConfig config = tiny_config()) : cx(config, Time{} + 4290s), rules(std::move(r)) {}

  Flow& add(const tcp::CongestionOps& algorithm);
  void run_for(Duration d);
  [[nodiscard]] Flow& operator[](std::size_t i) { return *flows_[i]; }
  [[nodiscard]] std::uint32_t queued() const;
  [[nodiscard]] std::uint32_t bdp() const {
    return static_cast<std::uint32_t>(rules.rate * static_cast<std::uint64_t>(rules.rtt / 1us) / 1'000'000);
  }

  tcp::Context cx;
  PathRules rules;

 private:
  friend class Flow;
  struct Event {
    Time at;
    std::uint64_t order;
    int flow;
    std::uint64_t packet;  // an ACK's; wake-ups have none
    bool marked;
    bool operator>(const Event& o) const { return at != o.at ? at > o.at : order > o.order; }
  };
  static constexpr std::uint64_t no_packet = ~std::uint64_t{0};
  void schedule(Time at, int flow, std::uint64_t packet, bool marked) {
    events_.push({at, order_++, flow, packet, marked});
  }
  std::vector<std::unique_ptr<Flow>> flows_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t order_ = 0;
  Time free_at_{};
};

class Path::Flow {
 public:
  Flow(Path& path, int index, const tcp::CongestionOps& algorithm);

  bool on = true;                 ///< has data to send
  std::uint64_t app_rate = 0;     ///< bytes a second that the application gives; 0: without end
  std::uint64_t delivered = 0;    ///< bytes that arrived
  std::uint64_t lost = 0, recoveries = 0, timeouts = 0;
  std::function<void()> on_event = {};  ///< after each ACK
  tcp::Tcb tcb;
  tcp::Flight flight;

  [[nodiscard]] std::uint32_t in_flight() const { return in_flight_; }
  void try_send();

 private:
  friend class Path;
  struct Packet {
    tcp::Sent sent;
    Time at;
    enum class Fate : std::uint8_t { out, arrived, lost } fate = Fate::out;
  };
  void send_one();
  void acknowledged(std::uint64_t number, bool marked);
  std::uint32_t detect_losses(std::uint64_t number, tcp::AckEvent& event);
  void fill_rate(const Packet& packet, tcp::AckEvent& event);
  void react(std::uint32_t lost_now, bool ece);
  void check_timer();
  [[nodiscard]] bool has_data() const;

  Path& path_;
  const int index_;
  const tcp::CongestionOps& ops_;
  std::deque<Packet> packets_;
  std::uint64_t first_ = 0;       // number of the first in packets_
  std::uint32_t in_flight_ = 0;
  std::uint64_t sent_bytes_ = 0;
  Time began_;
  Time last_ack_{};
  bool cwnd_limited_ = false, wake_set_ = false;
};

}  // namespace handfast::test
