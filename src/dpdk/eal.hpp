// SPDX-License-Identifier: BSD-3-Clause
// DPDK's environment (EAL), started once per process with arguments chosen for this machine.
// Layer: dpdk. Must not know which ports will be made, only whether PCI is looked at.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dpdk/machine.hpp"
#include "handfast/error.hpp"

namespace handfast::dpdk {

enum class MemoryMode : std::uint8_t { automatic, huge_pages, ordinary_pages };

struct EalOptions {
  unsigned cores = 1;              ///< threads that poll; more than there are processors is allowed
  std::uint32_t memory_mib = 256;  ///< for packet buffers and queues, all of it
  MemoryMode memory = MemoryMode::automatic;
  std::vector<std::string> pci{};    ///< addresses to take over; empty: the PCI bus is not looked at
  bool telemetry = false;            ///< open DPDK's telemetry socket
  bool verbose = false;              ///< leave EAL's own words alone
  std::string file_prefix{};         ///< empty: one of this process's own
  std::vector<std::string> extra{};  ///< the user's own EAL arguments, appended last; they win
};

/// The arguments for EAL, without the program's name. Pure: the same options and facts give the same words.
[[nodiscard]] std::vector<std::string> eal_arguments(const EalOptions& options, const MachineFacts& facts,
                                                     const std::string& default_prefix);

/// The processor of each core in turn: isolated ones where there are enough, else those of the process,
/// starting again at the first when they run out.
[[nodiscard]] std::vector<unsigned> choose_cpus(unsigned cores, const MachineFacts& facts);

/// EAL, from start to the end of the scope. Ports must be gone before it is.
/// Starting it pins the calling thread to the first core, and makes the process ignore SIGPIPE (a virtio
/// socket whose other end is gone would otherwise end the process without a word).
class Eal {
 public:
  /// Once per process, whatever became of the first attempt.
  [[nodiscard]] static Expected<Eal> start(const EalOptions& options);

  Eal(Eal&& other) noexcept;
  Eal& operator=(Eal&&) = delete;
  Eal(const Eal&) = delete;
  ~Eal();

  [[nodiscard]] const std::vector<std::string>& arguments() const { return arguments_; }
  /// Polling threads that EAL made; the calling thread is the first of them.
  [[nodiscard]] unsigned cores() const;

 private:
  Eal() = default;

  std::vector<std::string> arguments_;
  std::string remove_at_end_;  ///< a runtime directory that is ours alone
  bool running_ = false;
};

}  // namespace handfast::dpdk
