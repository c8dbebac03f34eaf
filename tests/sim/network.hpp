// SPDX-License-Identifier: BSD-3-Clause
// The switch between the ends, and its weather: one emulated direction for each pair, old frames that come
// again, a router that says "too big". Layer: simulator.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "emulator/direction.hpp"
#include "sim/plan.hpp"

namespace handfast::sim {

class Network {
 public:
  using Arrive = std::function<void(unsigned to, std::span<const std::byte> frame)>;
  explicit Network(const Plan& plan);

  /// A frame that leaves `from`; who gets it says its destination.
  void push(Time now, unsigned from, std::span<const std::byte> frame);
  /// The end has another card from now on; its number is Plan's mac_of's `life`.
  void change_card(unsigned end) { ++cards_[end]; }
  [[nodiscard]] MacAddress mac(unsigned end) const { return mac_of(end, cards_[end]); }
  /// Nothing of this end's arrives, and nothing for it, until then.
  void take_down(unsigned end, Time until) { down_until_[end] = until; }
  void lose_arp(Time until) { no_arp_until_ = until; }
  /// This direction is dead from now on, for ever.
  void sever(unsigned from, unsigned to) { severed_ = from * ends_ + to; }
  /// A frame of somebody who is no end.
  void inject(Time now, unsigned to, std::span<const std::byte> frame) { late_[to]->push(now, frame); }
  [[nodiscard]] std::optional<Time> next() const;
  void deliver(Time now, const Arrive& arrive);
  /// New weather in every direction.
  void change_weather();
  void heal();
  [[nodiscard]] std::uint64_t frames() const { return frames_; }

 private:
  [[nodiscard]] emulator::Direction& way(unsigned from, unsigned to) { return *ways_[from * ends_ + to]; }
  void send_to(Time now, unsigned from, unsigned to, std::span<const std::byte> frame);
  void choose_targets(emulator::Rules& rules);
  void garble(std::vector<std::byte>& frame);
  void say_too_big(Time now, unsigned from, std::size_t mtu, std::span<const std::byte> frame);

  const Plan& plan_;
  unsigned ends_;
  std::vector<std::unique_ptr<emulator::Direction>> ways_;
  std::vector<std::unique_ptr<emulator::Direction>> late_;  ///< by destination: replayed, forged, of routers
  Rng weather_, replays_, garbling_;
  std::vector<std::uint8_t> cards_;
  std::vector<Time> down_until_;
  Time no_arp_until_ = Time::min();
  std::optional<unsigned> severed_;
  bool healed_ = false;
  std::uint64_t frames_ = 0;
};

}  // namespace handfast::sim
