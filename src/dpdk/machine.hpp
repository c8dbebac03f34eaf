// SPDX-License-Identifier: BSD-3-Clause
// What this machine and this user can do: memory, processors, rights. For `handfast doctor` and for EAL's
// start. Layer: dpdk, but no rte_* type. Must not change anything on the machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace handfast::dpdk {

struct HugePages {
  std::uint64_t size_bytes = 0;
  std::uint64_t total = 0;  ///< pages
  std::uint64_t free = 0;   ///< pages not in use and not reserved
};

struct MachineFacts {
  std::vector<HugePages> huge_pages;    ///< one entry for each size the kernel knows
  std::vector<unsigned> cpus;           ///< that this process may run on
  std::vector<unsigned> isolated_cpus;  ///< isolcpus= of the kernel's command line
  std::uint64_t memory_total_bytes = 0;
  std::uint64_t memory_available_bytes = 0;
  std::uint64_t memlock_limit_bytes = 0;  ///< UINT64_MAX: no limit
  bool is_root = false;                   ///< effective uid 0, in a user namespace too
  bool tun_present = false;               ///< /dev/net/tun is there
  bool tun_usable = false;                ///< and opens for reading and writing
  bool cap_net_admin = false;
  bool cap_net_raw = false;
  bool user_namespaces = false;  ///< `unshare -Urn` works for this process
  bool tsc_invariant = false;    ///< one rate, whatever the processor's frequency

  /// Bytes in free huge pages of 2 MiB.
  [[nodiscard]] std::uint64_t free_2m_bytes() const;
};

/// Everything. Forks a child to try a user namespace; some milliseconds.
[[nodiscard]] MachineFacts probe_machine();

/// The same without the fork: user_namespaces stays false.
[[nodiscard]] MachineFacts probe_resources();

/// The kernel's list format, "0-3,8,10-11"; what is malformed ends the list.
[[nodiscard]] std::vector<unsigned> parse_cpu_list(const std::string& text);

}  // namespace handfast::dpdk
