// SPDX-License-Identifier: BSD-3-Clause
// What a range of seeds did, in words; see report.hpp. Layer: simulator.
#include "sim/report.hpp"

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

namespace handfast::sim {

void print_stats(const Progress& p) {
  const CoreStats& s = p.stats;
  const auto line = [](std::string_view what, std::uint64_t n) {
    std::printf("  %-24s %llu\n", std::string{what}.c_str(), static_cast<unsigned long long>(n));
  };
  for (std::size_t i = 0; i < s.closed.size(); ++i)
    line("closed " + std::string{name(static_cast<CloseReason>(i))}, s.closed[i]);
  const std::pair<std::string_view, std::uint64_t> counters[] = {
      {"active opens", s.active_opens},
      {"accepted", s.accepted},
      {"retransmits", s.retransmits},
      {"fast retransmits", s.fast_retransmits},
      {"time-outs", s.timeouts},
      {"tail loss probes", s.tail_loss_probes},
      {"recoveries undone", s.recoveries_undone},
      {"SACK reneging", s.sack_reneging},
      {"ECN reductions", s.ecn_reductions},
      {"flights exhausted", s.flights_exhausted},
      {"resets in", s.resets_in},
      {"resets out", s.resets_out},
      {"challenge ACKs", s.challenge_acks},
      {"cookies accepted", s.syn_cookies_accepted},
      {"time-wait reused", s.time_wait_reused},
      {"time-wait cut short", s.time_wait_cut_short},
      {"out of order", s.out_of_order},
      {"D-SACKs sent", s.dsacks_sent},
      {"windows grown", s.receive_windows_grown},
      {"windows held", s.receive_windows_held},
      {"zero-window probes", s.zero_window_probes},
      {"keep-alive probes", s.keepalive_probes},
      {"half-open expired", s.half_open_expired},
      {"path MTU reduced", s.path_mtu_reduced},
      {"black holes", s.path_black_holes},
      {"path probes", s.path_probes},
      {"path probes failed", s.path_probes_failed},
      {"unresponsive", s.unresponsive},
      {"fast opens sent", s.fast_open_sent},
      {"fast opens taken", s.fast_open_taken}};
  for (const auto& [what, n] : counters) line(what, n);
  for (std::size_t i = 1; i < drop_count; ++i)
    line("drop " + std::string{name(static_cast<Drop>(i))}, s.drops[i]);
  std::printf("  state changes, as seen between two polls (from CLOSED: new connections):\n");
  for (std::size_t i = 0; i < state_count; ++i)
    for (std::size_t j = 0; j < state_count; ++j)
      if (p.transitions[i][j] != 0)
        line(std::string{handfast::name(static_cast<State>(i))} + " > " +
                 std::string{handfast::name(static_cast<State>(j))},
             p.transitions[i][j]);
}

void print_summary(const Options& options, const Progress& p, double real_seconds) {
  const auto n = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  const double virtual_seconds = std::chrono::duration<double>(p.virtual_time).count();
  const std::string range = options.pinned.empty()
                                ? std::to_string(options.first) + ":" + std::to_string(options.count)
                                : std::to_string(options.pinned.size()) + " pinned";
  std::printf(
      "seeds %s: %llu run (%llu twice, %llu blind), %llu events, %llu frames, longest healing %.1f s (seed "
      "%llu), "
      "hash %016llx, %llu failures\n",
      range.c_str(), n(p.done), n(p.twice), n(p.blind), n(p.events), n(p.frames),
      std::chrono::duration<double>(p.longest_healing).count(), n(p.slowest), n(p.hash), n(p.failures));
  std::printf("ledger: | %s | %llu | %llu | %.0f | %.0f | %.0f | %016llx | %s |\n", range.c_str(), n(p.done),
              n(p.failures), virtual_seconds, real_seconds, virtual_seconds / std::max(real_seconds, 0.001),
              n(p.hash), options.commit.c_str());
}

}  // namespace handfast::sim
