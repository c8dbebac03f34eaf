// SPDX-License-Identifier: BSD-3-Clause
// Sizes of the types that the tables are made of, times the limits; see memory_plan.hpp. Layer: apps.
#include "memory_plan.hpp"

#include <algorithm>

#include "common/duration_text.hpp"
#include "tcp/context.hpp"

namespace handfast::apps {
namespace {

constexpr std::uint64_t most_entries = std::uint64_t{1} << 28;  // of any table (config.hpp)
// Of a port's pool and of what DPDK needs besides, as Stack asks EAL for it.
constexpr std::uint64_t packet_bytes_by_core = std::uint64_t{48} << 20, large_packet_bytes_by_core = std::uint64_t{112} << 20,
                        packet_bytes_besides = std::uint64_t{128} << 20;

std::uint64_t divided(std::uint64_t n, std::uint64_t by) { return (n + by - 1) / by; }

tl::unexpected<Error> too_many(const std::string& what, std::uint64_t each) {
  return tl::unexpected(Error{ErrorKind::usage, what + " would be " + count_text(each) + " a core, and a table holds " +
                                                    count_text(most_entries),
                              "Give it more --cores, or ask for less"});
}

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

/// Sizes the tables; an error where one cannot be.
Expected<void> size_limits(MemoryPlan& plan, const StackConfig& config, const PlanWishes& wishes) {
  Limits& limits = plan.limits;
  limits = config.core.limits;
  const std::uint64_t connections = divided(wishes.connections, config.cores);
  if (connections > most_entries) return too_many("connections", connections);
  limits.connections = static_cast<std::uint32_t>(connections);
  plan.time_wait_wanted = plan.time_wait_life = 2 * config.core.tcp.msl;
  if (wishes.rate == 0) return {};
  const double wanted = static_cast<double>(wishes.rate) * seconds(plan.time_wait_wanted) / config.cores;
  if (!wishes.time_wait_given) {
    if (wanted > static_cast<double>(most_entries)) return too_many("TIME-WAIT entries", static_cast<std::uint64_t>(wanted));
    limits.time_wait = static_cast<std::uint32_t>(std::max(1.0, wanted));
  } else if (wanted > limits.time_wait) {
    const double life = static_cast<double>(limits.time_wait) * config.cores / static_cast<double>(wishes.rate);
    plan.time_wait_life = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(life));
  }
  return {};
}

}  // namespace

Expected<MemoryPlan> plan_memory(const StackConfig& config, const PlanWishes& wishes) {
  MemoryPlan plan;
  if (auto sized = size_limits(plan, config, wishes); !sized) return tl::unexpected(sized.error());
  const Limits& l = plan.limits;
  const std::uint64_t cores = config.cores;
  const auto add = [&](std::string what, std::uint64_t each, std::uint64_t bytes, std::string remark = {}) {
    plan.rows.push_back({std::move(what), each * cores, each * bytes * cores, std::move(remark)});
  };
  const std::uint64_t flows = std::uint64_t{l.connections} + l.half_open + l.time_wait;
  add("control blocks", l.connections, sizeof(tcp::Tcb));
  add("their rarer half", l.connections, sizeof(tcp::Rare), "only those that bulk, urgent data or keep-alives of their own need");
  add("application's state", l.connections, (l.state_bytes + 7) / 8 * 8, "only if the handlers have a State");
  plan.rows.push_back({"flow table", flows * cores, ds::FlowTable<tcp::KeyOf>::bytes_for(static_cast<std::uint32_t>(flows)) * cores, {}});
  add("lists of work", l.connections, 8 * sizeof(std::uint32_t) + sizeof(ConnId), "as much as one burst had to do");
  add("half-open", l.half_open, sizeof(tcp::HalfOpen), "SYN cookies answer beyond");
  add("TIME-WAIT", l.time_wait, sizeof(tcp::TimeWait));
  add("buffers, 2 KiB each", l.buffer_memory / tcp::chunk_bytes, tcp::chunk_bytes, "what is copied, or waits to be read");
  add("queued pieces", l.send_extents, sizeof(tcp::Extent));
  add("recovery and reassembly", l.recovery_blocks, sizeof(tcp::Flight) + sizeof(tcp::ReceiveBuffer), "while more than one segment is out");
  const std::uint64_t packets = packet_bytes_besides + cores * (config.segmentation ? large_packet_bytes_by_core : packet_bytes_by_core);
  plan.rows.push_back({"packets and DPDK", 0, packets, "huge pages, where there are enough"});
  for (const MemoryPlan::Row& row : plan.rows) plan.total_bytes += row.bytes;
  return plan;
}

}  // namespace handfast::apps
