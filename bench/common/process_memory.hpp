// SPDX-License-Identifier: BSD-3-Clause
// How much memory this process has in hand, and how much the machine could still give. Layer: bench. Reads /proc.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>

namespace handfast::bench {

/// The field of a file of lines "Name:   123 kB", in bytes; 0 where there is none.
inline std::uint64_t proc_field(const char* path, const std::string& name) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(name + ":")) return std::stoull("0" + line.substr(line.find_first_of("0123456789"))) * 1024;
  return 0;
}

inline std::uint64_t resident_bytes() { return proc_field("/proc/self/status", "VmRSS"); }
inline std::uint64_t available_bytes() { return proc_field("/proc/meminfo", "MemAvailable"); }

}  // namespace handfast::bench
