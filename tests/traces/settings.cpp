// SPDX-License-Identifier: BSD-3-Clause
// The `option` lines of a trace script: names of TcpConfig's fields. Layer: tests.
#include <functional>

#include "traces/runner.hpp"

namespace handfast::traces {
namespace {

bool yes_or_no(const Option& o) {
  if (o.value == "on") return true;
  if (o.value == "off") return false;
  throw ScriptError(o.line, "expected on or off after '" + o.name + "'");
}

CongestionControl algorithm(const Option& o) {
  if (o.value == "new_reno") return CongestionControl::new_reno;
  throw ScriptError(o.line, "no such congestion control: '" + o.value + "'");
}

PathMtuDiscovery discovery(const Option& o) {
  for (const auto& [name, value] : {std::pair{"off", PathMtuDiscovery::off},
                                    {"icmp", PathMtuDiscovery::icmp},
                                    {"black_hole", PathMtuDiscovery::black_hole}})
    if (o.value == name) return value;
  throw ScriptError(o.line, "expected off, icmp or black_hole after '" + o.name + "'");
}

using Setter = std::function<void(Settings&, const Option&)>;

template <class T>
Setter number(T TcpConfig::*field) {
  return [field](Settings& s, const Option& o) {
    s.config.tcp.*field = static_cast<T>(integer(o.value, o.line));
  };
}
Setter time(Duration TcpConfig::*field) {
  return [field](Settings& s, const Option& o) { s.config.tcp.*field = seconds(o.value, o.line); };
}
Setter flag(bool TcpConfig::*field) {
  return [field](Settings& s, const Option& o) { s.config.tcp.*field = yes_or_no(o); };
}

const std::map<std::string, Setter>& setters() {
  using T = TcpConfig;
  static const std::map<std::string, Setter> table{
      {"mss", number(&T::mss)},
      {"initial_window", number(&T::initial_window)},
      {"min_send_mss", number(&T::min_send_mss)},
      {"rto_initial", time(&T::rto_initial)},
      {"rto_min", time(&T::rto_min)},
      {"rto_max", time(&T::rto_max)},
      {"connect_timeout", time(&T::connect_timeout)},
      {"syn_ack_retries", number(&T::syn_ack_retries)},
      {"r2_timeout", time(&T::r2_timeout)},
      {"delayed_ack", time(&T::delayed_ack)},
      {"nagle", flag(&T::nagle)},
      {"override_timeout", time(&T::override_timeout)},
      {"timestamps", flag(&T::timestamps)},
      {"window_scale", flag(&T::window_scale)},
      {"sack", flag(&T::sack)},
      {"ecn", flag(&T::ecn)},
      {"receive_buffer", number(&T::receive_buffer)},
      {"send_buffer", number(&T::send_buffer)},
      {"keepalive", flag(&T::keepalive)},
      {"keepalive_idle", time(&T::keepalive_idle)},
      {"keepalive_interval", time(&T::keepalive_interval)},
      {"keepalive_probes", number(&T::keepalive_probes)},
      {"msl", time(&T::msl)},
      {"fin_wait_2_timeout", time(&T::fin_wait_2_timeout)},
      {"orphan_retries", number(&T::orphan_retries)},
      {"rfc1337", flag(&T::rfc1337)},
      {"syn_cookies", flag(&T::syn_cookies)},
      {"challenge_acks_per_second", number(&T::challenge_acks_per_second)},
      {"resets_per_second", number(&T::resets_per_second)},
      {"congestion", [](Settings& s, const Option& o) { s.config.tcp.congestion_control = algorithm(o); }},
      {"path_mtu_discovery",
       [](Settings& s, const Option& o) { s.config.tcp.path_mtu_discovery = discovery(o); }},
      {"mtu",
       [](Settings& s, const Option& o) {
         s.config.link.mtu = static_cast<std::uint16_t>(integer(o.value, o.line));
       }},
      {"below_wrap",
       [](Settings& s, const Option& o) {
         s.below_wrap = static_cast<std::uint32_t>(integer(o.value, o.line));
       }},
      {"peer_below_wrap",
       [](Settings& s, const Option& o) {
         s.peer_below_wrap = static_cast<std::uint32_t>(integer(o.value, o.line));
       }},
  };
  return table;
}

}  // namespace

Settings settings_of(const Script& script) {
  Settings settings;
  settings.config.tcp.congestion_control = CongestionControl::new_reno;
  settings.config.tcp.path_mtu_discovery =
      PathMtuDiscovery::icmp;  // the sizes of retransmissions are the script's
  for (const Option& o : script.options) {
    const auto found = setters().find(o.name);
    if (found == setters().end()) {
      std::string names;
      for (const auto& [name, setter] : setters()) names += " " + name;
      throw ScriptError(o.line, "unknown option '" + o.name + "'; expected one of:" + names);
    }
    found->second(settings, o);
  }
  return settings;
}

}  // namespace handfast::traces
