// SPDX-License-Identifier: BSD-3-Clause
// Two stacks, one process; see one_process.hpp. Layer: bench.
#include "one_process.hpp"

#include <algorithm>

#include "common/cpu_time.hpp"

namespace handfast::bench {
namespace {
constexpr double slice_seconds = 0.05;
}  // namespace

OneProcess::OneProcess(const Options& options, std::uint32_t open, bool two_cores)
    : options_(options), open_(open), two_cores_(two_cores) {
  auto pair = or_exit(Stack::create_pair(side(options, true, open), side(options, false, open), !two_cores));
  server_ = std::move(pair.first);
  client_ = std::move(pair.second);
  server_polled_.emplace(*server_, *client_);
  client_polled_.emplace(*client_, *client_);
  listen(server_->core(0));
  requester_.emplace(client_->core(0));
}

OneProcess::~OneProcess() { stop_server(); }

void OneProcess::stop_server() {
  server_stop_ = true;
  if (server_thread_.joinable()) server_thread_.join();
}

void OneProcess::both() {
  Time now = client_->now();
  if (!two_cores_) now = server_polled_->poll(now);
  client_polled_->poll(now);
}

void OneProcess::spin(double seconds) {
  const Time end = client_->now() + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  while (client_->now() < end) both();
}

Result OneProcess::run() {
  if (two_cores_)
    server_thread_ = std::thread{[this] {
      for (Time now = client_->now(); !server_stop_.load(std::memory_order_relaxed);) {
        now = server_polled_->poll(now);
        server_busy_ns_.store(server_polled_->busy().count(), std::memory_order_relaxed);
      }
    }};
  while (!client_->core(0).resolve(server_address)) both();
  const std::uint32_t active = options_.keep != 0 ? options_.keep : std::min(open_, options_.window);
  requester_->open_idle(open_ - active, [this] { both(); });
  requester_->start(options_.keep, active, [this] { both(); });
  spin(options_.seconds / 4);
  const Result result = measure();
  requester_->stop();
  spin(0.2);
  stop_server();
  return result;
}

Result OneProcess::measure() {
  // Another thread's counters are up to 10 ms old, at the end as at the start.
  const auto server_stats = [this] { return two_cores_ ? server_->stats() : server_->core(0).stats(); };
  const auto server_busy = [this] { return two_cores_ ? server_busy_ns_.load() : server_polled_->busy().count(); };
  const CoreStats before_client = client_->core(0).stats(), before_server = server_stats();
  const Counts before = requester_->counts();
  const auto client_busy = client_polled_->busy().count(), server_busy_before = server_busy();
  const double cpu_start = thread_cpu_seconds();
  const Time start = client_->now();
  // On one core for as long as it really ran.
  do
    spin(two_cores_ ? options_.seconds : std::min(options_.seconds, slice_seconds));
  while (!two_cores_ && thread_cpu_seconds() - cpu_start < options_.seconds);
  const double cpu = thread_cpu_seconds() - cpu_start;
  const double elapsed = std::chrono::duration<double>(client_->now() - start).count();
  const CoreStats after_client = client_->core(0).stats(), after_server = server_stats();
  const double done = static_cast<double>(requester_->counts().done - before.done);
  Result r;
  r.open = open_;
  r.cores = two_cores_ ? 2 : 1;
  r.rate = done / elapsed;
  // On one core: processor time, shared out between the ends as the clock says.
  const double client_time = static_cast<double>(client_polled_->busy().count() - client_busy),
               server_time = static_cast<double>(server_busy() - server_busy_before);
  const double scale = two_cores_ ? 1 : cpu * 1e9 / (client_time + server_time);
  r.ns = two_cores_ ? elapsed * 1e9 / done : cpu * 1e9 / done;
  r.client_ns = client_time * scale / done;
  r.server_ns = server_time * scale / done;
  r.failed = requester_->counts().failed;  // since the start: those that fail to open are not there to be measured
  r.retransmits = after_client.retransmits - before_client.retransmits + after_server.retransmits - before_server.retransmits;
  r.cut_short = after_server.time_wait_cut_short - before_server.time_wait_cut_short;
  r.packets = static_cast<double>(after_client.frames_out - before_client.frames_out + after_server.frames_out -
                                  before_server.frames_out) /
              done;
  return r;
}

}  // namespace handfast::bench
