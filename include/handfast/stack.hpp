// SPDX-License-Identifier: BSD-3-Clause
// The stack on DPDK: one port, one shard a core. Layer: public; names no type of DPDK's.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "handfast/core.hpp"

namespace handfast {

/// What Stack::create needs beyond the core's config.
struct StackConfig {
  /// The port, by its word: ring[:NAME], vhost:PATH, virtio:PATH, memif:PATH, tap:NAME, veth:IF, xdp:IF, pcap:IN,OUT, null,
  /// pci:ADDR; further `,key=value` are passed to the driver.
  std::string dev = "tap:hf0";
  std::uint16_t cores = 1;           ///< shards, each with its own queue pair; 1..64
  CoreConfig core;                   ///< of each shard; mac, mtu and seed are completed by create() where they are left
                                     ///< as they are (seed 0: drawn from the operating system)
  bool mac_given = false;            ///< core.link.mac is the user's, not to be replaced by the port's
  std::vector<std::string> eal_args; ///< given to EAL last, so they win
  bool telemetry = false;            ///< DPDK's telemetry socket
  /// The port cuts large TCP segments, where it can (TSO); over a ring pair they are handed over whole. Its buffers are
  /// 16 KiB then, 4096 of them for each core.
  bool segmentation = false;

  /// --dev, --address, --gateway, --cores, --mac, --mtu, and after `--` EAL's own. Prints nothing.
  [[nodiscard]] static Expected<StackConfig> from_args(int argc, const char* const* argv);
};

/// How Stack::run ends, and what it does meanwhile.
struct RunOptions {
  bool handle_signals = true;              ///< SIGINT and SIGTERM stop; a second one ends without draining
  Duration drain_limit = 2s;               ///< how long connections have to end by FIN before they get RST
  std::function<bool()> tick = {};         ///< on the calling thread, between polls; false stops
  Duration tick_every = 1s;
};

/// One process' stack. Several may exist (demo has two); EAL is started with the first.
class Stack {
 public:
  [[nodiscard]] static Expected<std::unique_ptr<Stack>> create(const StackConfig& config);
  /// Both ends of a ring pair: what one sends the other receives (`dev` of both is ignored, and `cores` must be equal).
  /// With share_core both run on the first's threads.
  [[nodiscard]] static Expected<std::pair<std::unique_ptr<Stack>, std::unique_ptr<Stack>>> create_pair(
      const StackConfig& a, const StackConfig& b, bool share_core = false);
  ~Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  [[nodiscard]] std::uint16_t cores() const;
  [[nodiscard]] Core& core(std::uint16_t index);
  [[nodiscard]] const StackConfig& config() const;  ///< as completed

  /// One round of one core, for an application with a loop of its own; from one thread at a time for each core. Returns
  /// frames in and out. `now()` is the stack's clock.
  std::size_t poll(std::uint16_t index);
  [[nodiscard]] Time now() const;

  /// What one stack does on each of its cores, once, before the first poll.
  using Setup = std::function<Expected<void>(Core&)>;
  /// Runs `setup` on every core, then polls until stop(), a signal or tick; then drains: listeners close, connections get
  /// FIN, what is left after drain_limit RST. Returns 0, or report()'s code when a setup failed. Core 0 runs on the calling
  /// thread.
  int run(const Setup& setup, const RunOptions& options = {});
  /// The same for a callable that returns what Core::listen returns (or any Expected).
  template <class F>
  int run(F&& setup)
    requires(!std::is_same_v<std::remove_cvref_t<F>, Setup>)
  {
    return run(Setup{[&setup](Core& core) -> Expected<void> {
      auto result = setup(core);
      if (!result) return tl::unexpected(result.error());
      return {};
    }});
  }
  /// Several stacks of one process at once, one after the other on as many threads as EAL was given cores.
  struct Part {
    Stack* stack;
    Setup setup;
  };
  static int run_together(const std::vector<Part>& parts, const RunOptions& options = {});

  /// From any thread or a signal handler.
  void stop();

  /// Sums over the cores; from any thread.
  [[nodiscard]] CoreStats stats() const;
  /// Every connection at some instant each, TIME-WAIT and half-open ones too; from any thread, while the cores run.
  [[nodiscard]] std::vector<ConnInfo> connections() const;
  /// "ring", "net_tap", offloads, queues: for people.
  [[nodiscard]] std::string describe() const;

 private:
  struct Inside;
  explicit Stack(std::unique_ptr<Inside> inside);
  std::unique_ptr<Inside> inside_;
};

/// Prints the error as two sentences on stderr and returns its exit code: 2 usage, 3 everything else.
int report(const Error& error);

}  // namespace handfast
