// SPDX-License-Identifier: BSD-3-Clause
// endurance [--minutes M] [--loss PERCENT] [--load PERCENT]: two stacks in one process over a ring pair, at a share of
// the rate that they reach here, with loss. One line a minute; at the end whether memory stayed flat and nothing is
// left. Exit 1 if not. Layer: bench. No root, no huge pages, no network.
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>

#include "rig.hpp"
#include "shard/shard.hpp"
#include "traffic.hpp"

namespace handfast::endurance {
namespace {

struct Options {
  double minutes = 5, loss = 0.01, load = 0.8;
};

// Short ones open at a time: while the top rate is measured, and bounds on what the rate needs after that (losses make
// some last a second).
constexpr std::uint64_t open_at_first = 2048, least_open = 1024, most_open = 16384;
constexpr double needed_s = 0.06;
constexpr std::uint64_t kept = 500, bulk = 2;
constexpr std::size_t flat_kib = 1024;  // resident memory may grow by this after the first two minutes
// TIME-WAIT must outlast what a busy machine keeps this process waiting: else an answer comes to nobody.
constexpr Duration msl = 5s;

StackConfig side(bool server) {
  StackConfig config;
  config.core.link.address = {server ? server_address : Ipv4Address{10, 0, 1, 0}, 16};
  config.core.link.address_count = server ? 1 : 64;
  config.core.link.neighbour_attempts = 20;
  config.core.tcp.msl = msl;
  config.core.tcp.keepalive = true;
  config.core.tcp.keepalive_idle = 30s;
  config.core.limits.connections = 65536;
  config.core.limits.half_open = 65536;
  config.core.limits.time_wait = 1u << 22;
  config.core.limits.somaxconn = 65536;
  config.core.limits.buffer_memory = 32u << 20;
  config.core.limits.send_extents = 131072;
  config.core.limits.recovery_blocks = 16384;
  return config;
}

/// What a shard still holds; timers included.
std::uint64_t held(Core& core) {
  const auto& cx = core.shard().tcp();
  return std::uint64_t{cx.tcbs.size()} + cx.half_opens.size() + cx.time_waits.size() + cx.extents.in_use() +
         cx.chunks.in_use() + cx.receive_buffers.in_use() + cx.flights.in_use() + cx.path_searches.size() +
         cx.tcb_wheel.size() + cx.half_open_wheel.size();
}

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }
Duration span(double s) { return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(s)); }

class Run {
 public:
  explicit Run(const Options& options) : options_(options) {
    use_small_pages();
    auto pair = Stack::create_pair(side(true), side(false), true);
    if (!pair) std::exit(report(pair.error()));
    server_ = std::move(pair->first);
    client_ = std::move(pair->second);
    Core& s = server_->core(0);
    const ListenOptions wide{.backlog = 65536};
    if (!s.listen({any, short_port}, ShortServer{}, wide) || !s.listen({any, kept_port}, KeptServer{}, wide) ||
        !s.listen({any, bulk_port}, BulkServer{}, wide))
      std::exit(3);
    Core& c = client_->core(0);
    short_ = *c.add_handler(ShortClient{&counts_});
    kept_ = *c.add_handler(KeptClient{&counts_});
    bulk_ = *c.add_handler(BulkClient{&counts_});
    loss_.emplace(options.loss, 1);
  }

  int run() {
    while (!client_->core(0).resolve(server_address)) poll();
    const double top = top_rate();
    rate_ = options_.load * top;
    open_limit_ = std::clamp(static_cast<std::uint64_t>(rate_ * needed_s), least_open, most_open);
    std::printf("top rate %.0f connections/s here, now; goes on at %.0f with %.1f %% of all frames lost\n", top, rate_,
                100 * options_.loss);
    std::printf("%6s %9s %8s %6s %5s %8s %9s %9s %9s %8s %9s %9s\n", "minute", "conn/s", "failed", "open", "bulk",
                "exch/s", "behind", "lost", "sent agn", "buffers", "TIME-WAIT", "RSS KiB");
    origin_ = client_->now();
    for (double minute = 0; minute < options_.minutes; minute += 1) one_minute(minute + 1);
    return finish();
  }

 private:
  void poll() {
    server_->poll(0);
    client_->poll(0);
  }
  bool open(Port port, HandlerRef handler, std::uint64_t& gauge) {
    if (!client_->core(0).connect({server_address, port}, handler)) {
      counts_.fail(CloseReason::no_memory);
      return false;
    }
    ++gauge;
    return true;
  }
  void keep_up() {
    while (counts_.kept < kept && open(kept_port, kept_, counts_.kept)) {
    }
    while (counts_.bulk < bulk && open(bulk_port, bulk_, counts_.bulk)) {
    }
  }
  void start_short(std::uint64_t n) {
    while (n-- != 0 && counts_.open < open_limit_ && open(short_port, short_, counts_.open)) {
    }
  }

  /// As fast as it goes: over ten seconds, after three to warm up.
  double top_rate() {
    std::uint64_t before = 0;
    Time begin = client_->now();
    const Time warm = begin + 3s;
    for (bool measuring = false; client_->now() < warm + 10s;) {
      if (!measuring && client_->now() >= warm) measuring = true, before = counts_.done, begin = client_->now();
      keep_up();
      start_short(64);
      poll();
    }
    return static_cast<double>(counts_.done - before) / seconds(client_->now() - begin);
  }

  void one_minute(double minute) {
    const Time end = origin_ + span(60 * std::min(minute, options_.minutes));
    const Time begin = client_->now();
    const Counts before = counts_;
    const CoreStats stats_before = sum();
    const std::uint64_t lost_before = loss_->lost();
    std::uint64_t behind = 0;
    Time paid = begin;  // up to here the rate has been kept, or given up
    while (client_->now() < end) {
      keep_up();
      const Time now = client_->now();
      const auto due = static_cast<std::uint64_t>(seconds(now - paid) * rate_);
      if (due != 0) {
        const std::uint64_t started = std::min<std::uint64_t>(due, 64);
        const std::uint64_t room = counts_.open < open_limit_ ? open_limit_ - counts_.open : 0;
        start_short(std::min(started, room));
        paid += span(static_cast<double>(started) / rate_);
        if (started > room) behind += started - room;
        if (now - paid > 100ms) {  // the machine was busy with something else: that is not made up for
          behind += static_cast<std::uint64_t>(seconds(now - paid) * rate_);
          paid = now;
        }
      }
      poll();
    }
    const double took = seconds(client_->now() - begin);
    const std::size_t resident = resident_kib();
    if (minute == 2) settled_kib_ = resident;
    if (minute > 2) most_kib_ = std::max(most_kib_, resident);
    const CoreStats stats = sum();
    std::printf("%6.0f %9.0f %8" PRIu64 " %6" PRIu64 " %5" PRIu64 " %8.0f %9" PRIu64 " %9" PRIu64 " %9" PRIu64
                " %8zu %9" PRIu64 " %9zu\n",
                minute, static_cast<double>(counts_.done - before.done) / took, counts_.failed - before.failed, counts_.open,
                counts_.bulk_done - before.bulk_done, static_cast<double>(counts_.exchanges - before.exchanges) / took, behind,
                loss_->lost() - lost_before, stats.retransmits - stats_before.retransmits, buffers_out(), stats.time_wait,
                resident);
    for (std::size_t i = 0; i < counts_.failures.size(); ++i)
      if (counts_.failures[i] != before.failures[i])
        std::printf("       %s: %" PRIu64 "\n", std::string{name(static_cast<CloseReason>(i))}.c_str(),
                    counts_.failures[i] - before.failures[i]);
    std::fflush(stdout);
  }

  CoreStats sum() {
    CoreStats all = client_->core(0).stats();
    all.add(server_->core(0).stats());
    return all;
  }

  bool check(bool good, const char* what) {
    std::printf("%s: %s\n", good ? "ok" : "FAILED", what);
    return good;
  }

  int finish() {
    counts_.stopping = true;
    const Time limit = client_->now() + 180s;
    while (counts_.open + counts_.kept + counts_.bulk != 0 && client_->now() < limit) poll();
    const Time quiet = client_->now() + 2 * msl + 3s;  // TIME-WAIT, and what a flight is kept after its last ACK
    while (client_->now() < quiet || (held(server_->core(0)) + held(client_->core(0)) != 0 && client_->now() < limit)) poll();
    const std::uint64_t left = held(server_->core(0)) + held(client_->core(0));
    const std::size_t buffers = buffers_out();
    std::printf("%" PRIu64 " connections, %" PRIu64 " failed; %" PRIu64 " frames, %" PRIu64 " lost; TIME-WAIT cut short %" PRIu64 "\n",
                counts_.done + counts_.bulk_done, counts_.failed, loss_->frames(), loss_->lost(), sum().time_wait_cut_short);
    for (std::size_t i = 0; i < counts_.failures.size(); ++i)
      if (counts_.failures[i] != 0)
        std::printf("  %s: %" PRIu64 "\n", std::string{name(static_cast<CloseReason>(i))}.c_str(), counts_.failures[i]);
    bool good = check(left == 0, "no connection, timer, queue or piece of memory is left");
    if (left != 0) std::printf("  %" PRIu64 " are\n", left);
    good &= check(buffers <= buffers_kept_warm(), "packet buffers are back, but for what an idle port keeps warm");
    std::printf("  %zu out, %zu may be\n", buffers, buffers_kept_warm());
    good &= check(counts_.failed == 0, "every connection finished");
    if (most_kib_ != 0) {
      good &= check(most_kib_ <= settled_kib_ + flat_kib, "resident memory stayed within 1 MiB of that after two minutes");
      std::printf("  %zu KiB after two minutes, %zu KiB at most\n", settled_kib_, most_kib_);
    } else {
      std::puts("  too short to say anything of resident memory: more than two minutes are needed");
    }
    return good ? 0 : 1;
  }

  Options options_;
  std::unique_ptr<Stack> server_, client_;
  std::optional<Loss> loss_;  // before the ports go
  Counts counts_;
  HandlerRef short_, kept_, bulk_;
  double rate_ = 0;
  std::uint64_t open_limit_ = open_at_first;
  Time origin_{};
  std::size_t settled_kib_ = 0, most_kib_ = 0;
};

}  // namespace
}  // namespace handfast::endurance

int main(int argc, char** argv) {
  handfast::endurance::Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const double value = std::atof(argv[i + 1]);
    if (std::strcmp(argv[i], "--minutes") == 0) options.minutes = value;
    if (std::strcmp(argv[i], "--loss") == 0) options.loss = value / 100;
    if (std::strcmp(argv[i], "--load") == 0) options.load = value / 100;
  }
  if (argc % 2 == 0 || options.minutes <= 0 || options.load <= 0) {
    std::fputs("endurance [--minutes M] [--loss PERCENT] [--load PERCENT]\n", stderr);
    return 2;
  }
  return handfast::endurance::Run{options}.run();
}
