// SPDX-License-Identifier: BSD-3-Clause
// The load tester's handler: opens connections by rate or by concurrency, plays each to its end, and counts.
// One for each core, touched by that core alone; what others may read it publishes (publish()). Layer: apps.
// Knows nothing of ports, threads and command lines; the time is the core's.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "common/histogram.hpp"
#include "common/http_memo.hpp"
#include "common/rate.hpp"
#include "handfast/core.hpp"
#include "load_plan.hpp"

namespace handfast::apps {

/// Why a connection failed: a CloseReason, or what only the application sees.
inline constexpr std::size_t cause_closed_early =
    static_cast<std::size_t>(CloseReason::count_);  ///< before the answer
inline constexpr std::size_t cause_bad_answer =
    cause_closed_early + 1;  ///< no HTTP, or more than was asked for
inline constexpr std::size_t cause_count = cause_bad_answer + 1;
[[nodiscard]] std::string_view cause_name(std::size_t cause);

struct LoadCounters {
  std::uint64_t opened = 0, established = 0, closed = 0, requests = 0, not_started = 0;
  std::uint64_t not_ok = 0;  ///< answers with an HTTP status of 400 or above
  std::uint64_t bytes_in = 0, bytes_out = 0;
  std::array<std::uint64_t, cause_count> failed{};
};

/// Counters so far, and the latencies since the last one.
struct LoadSample {
  LoadCounters counters;
  CoreStats core;
  std::uint64_t open_now = 0;
  LatencyHistogram connect, life;
};

enum class LoadPhase : std::uint8_t {
  resolving,  ///< waits for the neighbour
  running,    ///< starts connections
  closing,    ///< starts no more, those that are open play to their end
  done        ///< none is open
};

class LoadClient {
 public:
  struct State {
    Time started{};                          // meant to (open loop), else the actual start
    std::unique_ptr<ResponseParser> parser;  // only while an answer comes in pieces
    std::uint64_t missing = 0;               // raw: bytes of the answer that are still to come
    std::uint32_t sent = 0;                  // bytes of the current request that are queued
    std::uint32_t requests_left = 0;         // the current one included
    std::uint8_t cause = 0;                  // set by us for the end that is to come: a cause, if not 0
    bool played = false;                     // every answer has come
  };
  static_assert(sizeof(State) <= 64);

  /// How long the neighbour may take before connections are started all the same, to fail under their own
  /// name.
  static constexpr Duration resolve_limit = 4s;

  explicit LoadClient(const LoadPlan& plan);
  LoadClient(const LoadClient&) = delete;
  LoadClient& operator=(const LoadClient&) = delete;

  // --- on the owning core ---
  /// Begins. The client outlives the core.
  Expected<void> start(Core& core);
  /// Starts no more connections.
  void stop();
  /// Hands the sample over, to be read with take() elsewhere.
  void publish();

  // --- from another thread ---
  /// Not again before the next publish() was asked for; null until then.
  [[nodiscard]] const LoadSample* take() { return published_.exchange(nullptr, std::memory_order_acquire); }
  [[nodiscard]] LoadPhase phase() const { return phase_.load(std::memory_order_acquire); }

  // --- once the core has stopped ---
  /// From the first start to the end of the last connection, or to when no more were to be started, whichever
  /// is first.
  [[nodiscard]] Duration ran_for() const { return ended_ - began_; }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  /// Connections were started although nobody had answered for the next hop.
  [[nodiscard]] bool unresolved() const { return unresolved_; }

  // --- the handler ---
  void on_connect(Conn& c, State& s) {
    ++counters_.established;
    active_->connect.record(core_->now() - s.started);
    send_request(c, s);
  }
  std::size_t on_data(Conn& c, State& s, const RxView& in) {
    counters_.bytes_in += in.size();
    if (s.played) return in.size();
    if (!plan_.http) return raw_answer(c, s, in.size());
    if (!s.parser) [[likely]] {
      if (const auto* known = memo_.find(in.bytes())) [[likely]] {
        answered(c, s, known->http_status);
        return in.size();
      }
    }
    return parse_answer(c, s, in.bytes());
  }
  void on_writable(Conn& c, State& s) { send_more(c, s); }
  void on_peer_fin(Conn& c, State& s);
  void on_closed(ConnId, State& s, CloseReason reason) {
    --open_now_;
    const bool as_planned =
        s.played && reason == (plan_.reset ? CloseReason::aborted : CloseReason::finished);
    if (as_planned) [[likely]] {
      ++counters_.closed;
      active_->life.record(core_->now() - s.started);
    } else {
      ++counters_.failed[cause_of(s, reason)];
    }
    if (refills_) [[likely]]
      refill();
    else if (open_now_ == 0 && phase() == LoadPhase::closing)
      finish();
  }

 private:
  void send_request(Conn& c, State& s) {
    s.sent = 0;
    if (!plan_.http) s.missing = plan_.answer_bytes;
    send_more(c, s);
  }
  void send_more(Conn& c, State& s) {
    const std::string_view request = s.requests_left == 1 ? plan_.last_request : plan_.request;
    if (s.sent < request.size()) {
      const std::size_t n = c.send_static(request.substr(s.sent));
      s.sent += static_cast<std::uint32_t>(n);
      counters_.bytes_out += n;
    }
    // Where no answer is expected the request is the whole exchange.
    if (!plan_.http && s.missing == 0 && s.sent == request.size() && !s.played) answered(c, s, 0);
  }
  void answered(Conn& c, State& s, std::uint16_t http_status) {
    ++counters_.requests;
    if (http_status >= 400) [[unlikely]]
      ++counters_.not_ok;
    if (--s.requests_left != 0) return send_request(c, s);
    s.played = true;
    if (plan_.server_closes) return;  // on_peer_fin
    plan_.reset ? c.abort() : c.close();
  }
  std::size_t raw_answer(Conn& c, State& s, std::size_t size);
  std::size_t parse_answer(Conn& c, State& s, std::span<const std::byte> bytes);
  void give_up(Conn& c, State& s, std::size_t cause);
  [[nodiscard]] static std::size_t cause_of(const State& s, CloseReason reason);

  bool open(Time intended);
  void refill() {
    if (core_->now() >= end_ || !open(core_->now())) [[unlikely]]
      ran_dry();
  }
  void ran_dry();
  void wake();
  void wake_in(Duration delay);
  void begin();
  void pace();
  void fill();
  void end_starting();
  void finish();

  LoadPlan plan_;
  Core* core_ = nullptr;
  HandlerRef handler_;
  LoadCounters counters_;
  ResponseMemo memo_;
  std::uint64_t open_now_ = 0;
  LoadSample* active_;
  bool refills_ = false;  // closed loop, running, and nothing in the way: a new one for each that ends
  bool waking_ = false;   // a timer of ours is armed
  bool unresolved_ = false;
  Time end_ = Time::max();
  Time resolve_since_{}, began_{}, ended_{};
  std::optional<Pacer> pacer_;
  std::optional<Error> error_;
  std::atomic<LoadPhase> phase_{LoadPhase::resolving};
  std::atomic<const LoadSample*> published_{nullptr};
  std::array<std::unique_ptr<LoadSample>, 2> samples_;  // one is filled, the other is read
};

}  // namespace handfast::apps
