// SPDX-License-Identifier: BSD-3-Clause
// Reads /proc and /sys, and tries a user namespace in a child. Layer: dpdk, no rte_*.
// Must not change anything on the machine.
#include "dpdk/machine.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <limits>

namespace handfast::dpdk {

namespace {

constexpr unsigned cap_net_admin_bit = 12;  // capability.h
constexpr unsigned cap_net_raw_bit = 13;
constexpr unsigned most_cpus_listed = 8192;

std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::uint64_t read_number(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::uint64_t value = 0;
  in >> value;
  return in ? value : 0;
}

/// The number after "key:" in a file of such lines; 0 where it is absent.
std::uint64_t field(const std::string& text, const std::string& key, int base = 10) {
  const auto at = text.find("\n" + key + ":");
  if (at == std::string::npos) return 0;
  auto from = at + key.size() + 2;
  while (from < text.size() && (text[from] == ' ' || text[from] == '\t')) ++from;
  std::uint64_t value = 0;
  std::from_chars(text.data() + from, text.data() + text.size(), value, base);
  return value;
}

std::vector<HugePages> probe_huge_pages() {
  std::vector<HugePages> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/kernel/mm/hugepages", ignored)) {
    const std::string name = entry.path().filename();  // hugepages-2048kB
    const auto dash = name.find('-');
    if (dash == std::string::npos) continue;
    HugePages pages;
    std::uint64_t kib = 0;
    std::from_chars(name.data() + dash + 1, name.data() + name.size(), kib);
    pages.size_bytes = kib * 1024;
    pages.total = read_number(entry.path() / "nr_hugepages");
    const auto free = read_number(entry.path() / "free_hugepages");
    const auto reserved = read_number(entry.path() / "resv_hugepages");
    pages.free = free > reserved ? free - reserved : 0;
    found.push_back(pages);
  }
  std::sort(found.begin(), found.end(), [](auto& a, auto& b) { return a.size_bytes < b.size_bytes; });
  return found;
}

std::vector<unsigned> probe_cpus() {
  std::vector<unsigned> cpus;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return {0};
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

bool try_user_namespace() {
  const pid_t child = fork();
  if (child < 0) return false;
  if (child == 0) _exit(unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 ? 0 : 1);
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return false;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

std::uint64_t MachineFacts::free_2m_bytes() const {
  constexpr std::uint64_t two_mib = 2u << 20;
  for (const auto& pages : huge_pages) {
    if (pages.size_bytes == two_mib) return pages.free * two_mib;
  }
  return 0;
}

std::vector<unsigned> parse_cpu_list(const std::string& text) {
  std::vector<unsigned> cpus;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    unsigned first = 0;
    auto parsed = std::from_chars(at, end, first);
    if (parsed.ec != std::errc{}) break;
    unsigned last = first;
    if (parsed.ptr < end && *parsed.ptr == '-') {
      parsed = std::from_chars(parsed.ptr + 1, end, last);
      if (parsed.ec != std::errc{}) break;
    }
    if (last < first || last >= most_cpus_listed) break;
    for (unsigned cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
    if (parsed.ptr >= end || *parsed.ptr != ',') break;
    at = parsed.ptr + 1;
  }
  return cpus;
}

MachineFacts probe_resources() {
  MachineFacts facts;
  facts.huge_pages = probe_huge_pages();
  facts.cpus = probe_cpus();
  facts.isolated_cpus = parse_cpu_list(read_text("/sys/devices/system/cpu/isolated"));

  const auto memory = "\n" + read_text("/proc/meminfo");
  facts.memory_total_bytes = field(memory, "MemTotal") * 1024;
  facts.memory_available_bytes = field(memory, "MemAvailable") * 1024;
  rlimit limit{};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
    facts.memlock_limit_bytes =
        limit.rlim_cur == RLIM_INFINITY ? std::numeric_limits<std::uint64_t>::max() : limit.rlim_cur;
  }
  facts.is_root = geteuid() == 0;
  const auto effective = field("\n" + read_text("/proc/self/status"), "CapEff", 16);
  facts.cap_net_admin = (effective >> cap_net_admin_bit & 1) != 0;
  facts.cap_net_raw = (effective >> cap_net_raw_bit & 1) != 0;

  facts.tun_present = access("/dev/net/tun", F_OK) == 0;
  if (const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC); fd >= 0) {
    facts.tun_usable = true;
    close(fd);
  }
  const auto cpu = read_text("/proc/cpuinfo");
  facts.tsc_invariant =
      cpu.find(" constant_tsc") != std::string::npos && cpu.find(" nonstop_tsc") != std::string::npos;
  return facts;
}

MachineFacts probe_machine() {
  auto facts = probe_resources();
  facts.user_namespaces = try_user_namespace();
  return facts;
}

}  // namespace handfast::dpdk
