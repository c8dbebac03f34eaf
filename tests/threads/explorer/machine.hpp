// SPDX-License-Identifier: BSD-3-Clause
// A machine with C++'s memory model, one access at a time: which thread goes next, and which of the values
// that a load may return it returns, are choices; all of them are tried, up to a number of preemptions and of
// old values. Layer: test of threads. Knows nothing of what runs on it. What is modelled: docs/threads.md.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "fibers.hpp"

namespace handfast::explorer {

struct Bounds {
  int preemptions = 2;                    ///< times that a thread is stopped although it could go on
  int stale = 1;                          ///< loads that return something else than the newest value
  std::uint64_t executions = 20'000'000;  ///< and then it gives up, and says so
};

/// What happened to one operation of a scenario: for the judge of histories.
struct Operation {
  static constexpr std::uint64_t running = ~std::uint64_t{0};
  int thread = 0;
  std::uint32_t kind = 0, argument = 0;
  std::uint64_t result = 0;
  std::uint64_t begun = 0, ended = running;        // in steps of the machine
  std::array<std::uint32_t, Fibers::most> knew{};  // of each thread, how far this one had seen when it began
  std::uint32_t clock_at_end = 0;
};

struct Outcome {
  std::uint64_t executions = 0;
  std::uint64_t steps = 0;
  bool exhausted = false;  ///< every schedule within the bounds was tried
  std::string failure;     ///< of the first execution that went wrong; empty: none did
};

class Machine {
 public:
  static constexpr std::size_t most_locations = 96;

  Machine();
  Machine(const Machine&) = delete;

  /// What accesses are to reach while an exploration runs.
  static Machine* active;

  /// Runs threads 0 to n-1 again and again. `prepare` puts everything into its first state, and must do so in
  /// the same memory each time; `judge` says what is wrong with what `history()` holds, or nothing.
  Outcome explore(int threads, Bounds bounds, const std::function<void()>& prepare,
                  const std::function<void(int)>& body, const std::function<std::string()>& judge);

  // For the bodies.
  /// An operation begins; returns its number in the history.
  std::size_t begin(std::uint32_t kind, std::uint32_t argument = 0);
  void end(std::size_t operation, std::uint64_t result);
  /// Something that must never be is.
  void fail(const std::string& what);

  [[nodiscard]] const std::vector<Operation>& history() const { return history_; }
  /// Whether a was over, for b's thread, when b began: in time, or, where loads may return old values, by
  /// what b's thread had been told.
  [[nodiscard]] bool precedes(const Operation& a, const Operation& b) const;

  // For the seam.
  std::uint64_t load(void* address, unsigned size, std::memory_order order);
  void store(void* address, unsigned size, std::uint64_t value, std::memory_order order);
  /// Returns what was there; stored if that was `expected`.
  std::uint64_t compare_exchange(void* address, unsigned size, std::uint64_t expected, std::uint64_t value,
                                 std::memory_order order);
  void plain_read(const void* address);
  void plain_write(void* address);
  void pause();

 private:
  /// What a thread, or a message, knows: of each location the oldest value that may still be read, of each
  /// thread how far.
  struct View {
    std::array<std::uint16_t, most_locations> seen{};
    std::array<std::uint32_t, Fibers::most> clock{};
    void join(const View& other, std::size_t locations);
  };
  struct Message {
    std::uint64_t value = 0;
    bool carries = false;  // `view` is what an acquiring reader learns
    View view;
  };
  struct Location {
    void* address = nullptr;
    unsigned size = 0;
    std::uint32_t stamp = 0;  // execution in which `messages` was begun
    std::size_t count = 0;
    std::vector<Message> messages;
    // Of plain accesses: who wrote last, and how far each thread was when it read last.
    int writer = Fibers::nobody;
    std::uint32_t written = 0;
    std::array<std::uint32_t, Fibers::most> read{};
  };
  struct Thread {
    enum class State : std::uint8_t { ready, waiting, ended } state = State::ready;
    std::uint64_t waits_since = 0;  // stores there had been
    View view;
  };
  struct Choice {
    std::uint8_t chosen, count;
  };

  unsigned choose(unsigned count);
  [[nodiscard]] bool next_trail();
  void run_once(const std::function<void(int)>& body);
  [[nodiscard]] int next_thread(bool may_go_on);
  void reschedule();
  Location* shared(void* address, unsigned size, bool stored);
  void append(Location& at, std::uint64_t value, std::memory_order order, const View* inherited);
  void undo();

  Fibers fibers_;
  int threads_ = 0;
  Bounds bounds_;
  std::array<Thread, Fibers::most> thread_;
  int current_ = 0;
  int preemptions_ = 0, stale_ = 0, wakes_ = 0;
  std::uint64_t step_ = 0, stores_ = 0, all_steps_ = 0;
  std::uint32_t execution_ = 0;
  std::vector<Choice> trail_;
  std::size_t at_ = 0;
  bool running_ = false, grown_ = false;
  std::unordered_map<const void*, std::size_t> index_;
  std::vector<Location> locations_;
  std::vector<Operation> history_;
  std::string failure_;
};

}  // namespace handfast::explorer
