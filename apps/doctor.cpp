// SPDX-License-Identifier: BSD-3-Clause
// `handfast doctor`: what works on this machine for this user, and what to type for what does not. Changes
// nothing. Layer: apps.
#include <fmt/format.h>

#include <numeric>

#include "commands.hpp"
#include "common/duration_text.hpp"
#include "dpdk/machine.hpp"
#include "memory_plan.hpp"
#include "stack_options.hpp"

namespace handfast::apps {
namespace {

using dpdk::MachineFacts;

enum class Mark : std::uint8_t { yes, slower, no };

void line(Mark mark, std::string_view what, const std::string& found, std::string_view remedy = {}) {
  constexpr std::string_view words[] = {"yes", "slower", "no"};
  fmt::print("  {:<7} {:<18} {}\n", words[static_cast<std::size_t>(mark)], what, found);
  if (mark != Mark::yes && !remedy.empty()) fmt::print("  {:<7} {:<18} -> {}\n", "", "", remedy);
}

void processors(const MachineFacts& facts) {
  const std::size_t n = facts.cpus.size();
  line(n >= 2 ? Mark::yes : Mark::slower, "processors", fmt::format("{} for this process", n),
       "client and server share one; give the process a second (taskset, docker --cpus)");
  line(facts.isolated_cpus.empty() ? Mark::slower : Mark::yes, "isolated ones",
       fmt::format("{}", facts.isolated_cpus.size()),
       "for steady figures, boot with isolcpus= and the numbers of those that Handfast shall have");
  line(facts.tsc_invariant ? Mark::yes : Mark::slower, "steady counter",
       facts.tsc_invariant ? "the time stamp counter has one rate"
                           : "the time stamp counter may change its rate",
       "times in reports may be off; nothing to type, it is the processor's (or the hypervisor's)");
}

void memory(const MachineFacts& facts) {
  fmt::print("  {:<7} {:<18} {} of {} available\n", "", "memory", size_text(facts.memory_available_bytes),
             size_text(facts.memory_total_bytes));
  const std::uint64_t huge = facts.free_2m_bytes();
  constexpr std::uint64_t enough = 256ull << 20;
  line(huge >= enough ? Mark::yes : Mark::slower, "huge pages", size_text(huge) + " free, in pages of 2 MiB",
       huge >= enough ? "" : "ordinary pages are used; for huge ones, as root: sysctl vm.nr_hugepages=256");
}

void ports(const MachineFacts& facts) {
  const std::string inside = facts.user_namespaces
                                 ? "unshare -Urn sh -c '...': a network of its own, without being root"
                                 : "run as root, or: sysctl kernel.unprivileged_userns_clone=1";
  line(Mark::yes, "ring, demo", "nothing is needed");
  line(Mark::yes, "memif: vhost: virtio: pcap: null", "nothing is needed");
  const bool tap = facts.tun_usable && facts.cap_net_admin;
  line(tap ? Mark::yes : Mark::no, "tap:NAME",
       !facts.tun_present    ? "/dev/net/tun is missing"
       : !facts.tun_usable   ? "/dev/net/tun cannot be opened"
       : facts.cap_net_admin ? "/dev/net/tun and CAP_NET_ADMIN"
                             : "CAP_NET_ADMIN is missing",
       !facts.tun_present ? "modprobe tun, as root; in a container: --device /dev/net/tun" : inside);
  line(facts.cap_net_raw ? Mark::yes : Mark::no, "veth:IF",
       facts.cap_net_raw ? "CAP_NET_RAW" : "CAP_NET_RAW is missing", inside);
  line(facts.user_namespaces ? Mark::yes : Mark::no, "user namespaces",
       facts.user_namespaces ? "unshare -Urn works" : "unshare -Urn does not work",
       "sysctl kernel.unprivileged_userns_clone=1, as root; not needed by root itself");
  line(facts.is_root ? Mark::yes : Mark::no, "pci:ADDR",
       facts.is_root ? "root; the card must be bound to vfio-pci"
                     : "needs root, and a card that is bound to vfio-pci",
       "dpdk-devbind.py --bind=vfio-pci 0000:03:00.0, as root");
}

void print_plan(const StackConfig& config, const PlanWishes& wishes, const MemoryPlan& plan) {
  fmt::print("Memory for {} connections on {} core{}, all of it in use\n", count_text(wishes.connections), config.cores,
             config.cores == 1 ? "" : "s");
  const auto mib = [](std::uint64_t bytes) { return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20)); };
  for (const MemoryPlan::Row& row : plan.rows)
    fmt::print("  {:<24} {:>14} {:>13}  {}\n", row.what, row.count == 0 ? "" : count_text(row.count), mib(row.bytes), row.remark);
  fmt::print("  {:<24} {:>14} {:>13}\n\n", "in all", "", mib(plan.total_bytes));
  if (plan.time_wait_life < plan.time_wait_wanted)
    fmt::print("TIME-WAIT is too small for {} connections per second: an entry is cut short after {}, not {}.\n",
               count_text(wishes.rate), duration_text(plan.time_wait_life), duration_text(plan.time_wait_wanted));
  else if (wishes.rate != 0)
    fmt::print("TIME-WAIT lasts its {} at {} connections per second.\n", duration_text(plan.time_wait_wanted), count_text(wishes.rate));
  else
    fmt::print("TIME-WAIT lasts its {} up to {:.0f} connections per second; beyond, entries are cut short (see --rate).\n",
               duration_text(plan.time_wait_wanted),
               static_cast<double>(plan.limits.time_wait) * config.cores / std::chrono::duration<double>(plan.time_wait_wanted).count());
  fmt::print("To type: --connections {} --half-open {} --time-wait {}\n", plan.limits.connections, plan.limits.half_open,
             plan.limits.time_wait);
}

class Doctor final : public Command {
 public:
  explicit Doctor(CLI::App& app) : Command(app) {
    constexpr std::uint64_t most = std::uint64_t{64} << 28;  // on the most cores
    add_number(app, "--plan", wishes_.connections, 1, most, "Instead: what so many connections take in memory, 10M");
    add_number(app, "--rate", wishes_.rate, 1, 1'000'000'000, "With --plan: so many of them end here in a second, 100k")
        ->needs("--plan");
  }
  int run(StackConfig config) override {
    if (wishes_.connections != 0) return plan(config);
    const MachineFacts facts = dpdk::probe_machine();
    fmt::print("Processors and memory\n");
    processors(facts);
    memory(facts);
    fmt::print("\nPorts, by the word after --dev\n");
    ports(facts);
    fmt::print("\nTo see it work: handfast demo\n");
    return 0;
  }

 private:
  int plan(const StackConfig& config) {
    wishes_.time_wait_given = stack_option_given("--time-wait");
    const auto planned = plan_memory(config, wishes_);
    if (!planned) {
      fmt::print(stderr, "handfast: {}\n", sentences(planned.error()));
      return exit_usage;
    }
    print_plan(config, wishes_, *planned);
    const MachineFacts facts = dpdk::probe_resources();
    const bool enough = planned->total_bytes <= facts.memory_available_bytes;
    fmt::print("This machine has {} available: {}.\n", size_text(facts.memory_available_bytes), enough ? "enough" : "not enough");
    return enough ? 0 : exit_not_enough_memory;
  }

  PlanWishes wishes_;
};

}  // namespace

std::unique_ptr<Command> add_doctor(CLI::App& program) {
  return std::make_unique<Doctor>(
      *program.add_subcommand("doctor", "What works on this machine, and what to type for what does not")
           ->fallthrough());
}

}  // namespace handfast::apps
