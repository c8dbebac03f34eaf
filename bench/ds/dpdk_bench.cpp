// SPDX-License-Identifier: BSD-3-Clause
// The flow table beside rte_hash and the timer wheel beside rte_timer, in one process and one run.
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_lcore.h>
#include <rte_timer.h>

#include <cstdio>

#include "flow_tables.hpp"
#include "wheel_service.hpp"

namespace {

using namespace handfast;
using namespace handfast::bench;

/// With the same promise as the flow table: readers without locks beside one writer.
class RteHash {
 public:
  RteHash(std::uint32_t capacity, const Blocks&) {
    rte_hash_parameters parameters{};
    parameters.name = "flows";
    parameters.entries = capacity + capacity / 3;
    parameters.key_len = sizeof(FlowKey);
    parameters.hash_func = rte_hash_crc;
    parameters.socket_id = static_cast<int>(rte_socket_id());
    parameters.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF;
    table_ = rte_hash_create(&parameters);
    if (table_ == nullptr) {
      std::fprintf(stderr, "rte_hash_create: %s\n", rte_strerror(rte_errno));
      std::abort();
    }
  }
  RteHash(const RteHash&) = delete;
  RteHash& operator=(const RteHash&) = delete;
  ~RteHash() { rte_hash_free(table_); }

  std::uint32_t find(const FlowKey& key) const {
    void* data = nullptr;
    return rte_hash_lookup_data(table_, &key, &data) < 0 ? absent : slot_of(data);
  }
  void find_batch(const FlowKey* keys, Slots& slots) const {
    std::array<const void*, batch> pointers;
    std::array<void*, batch> data;
    std::uint64_t hits = 0;
    for (std::size_t i = 0; i < batch; ++i) pointers[i] = &keys[i];
    rte_hash_lookup_bulk_data(table_, pointers.data(), batch, &hits, data.data());
    for (std::size_t i = 0; i < batch; ++i) slots[i] = (hits >> i & 1) != 0 ? slot_of(data[i]) : absent;
  }
  void insert(const FlowKey& key, std::uint32_t slot) {
    if (rte_hash_add_key_data(table_, &key, reinterpret_cast<void*>(std::uintptr_t{slot})) != 0) std::abort();
  }
  void erase(const FlowKey& key, std::uint32_t) {
    const std::int32_t position = rte_hash_del_key(table_, &key);
    if (position < 0 || rte_hash_free_key_with_position(table_, position) != 0) std::abort();
  }

 private:
  static std::uint32_t slot_of(void* data) {
    return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(data));
  }
  rte_hash* table_ = nullptr;
};

/// It reads the time-stamp counter at each call; the deadlines are shortened so that all have passed when
/// they are expired, in one call.
class RteTimer {
 public:
  explicit RteTimer(std::uint32_t size) : connections_(size) {
    for (std::uint32_t i = 0; i < size; ++i) rte_timer_init(&connections_[i].timer);
  }
  void prefetch(std::uint32_t i) const { ds::prefetch_for_write(&connections_[i].timer); }
  void arm(std::uint32_t i, Duration delay) {
    const std::uint64_t ticks = static_cast<std::uint64_t>(delay.count());
    if (rte_timer_reset(&connections_[i].timer, ticks, SINGLE, rte_lcore_id(), expired, &expired_) != 0) {
      std::abort();
    }
  }
  void cancel(std::uint32_t i) {
    if (rte_timer_stop(&connections_[i].timer) != 0) std::abort();
  }
  void before_expire() {
    const std::uint64_t start = rte_get_timer_cycles();
    while (rte_get_timer_cycles() - start < std::uint64_t{1} << 31) {
    }
  }
  void expire_all() { rte_timer_manage(); }

 private:
  struct alignas(64) Connection {
    rte_timer timer;
  };
  static void expired(rte_timer*, void* count) { ++*static_cast<std::uint64_t*>(count); }
  OnHugePages<Connection> connections_;
  std::uint64_t expired_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const char* arguments[] = {"ds-dpdk-bench", "--no-pci", "--no-huge", "--no-shconf",      "-m",
                             "3000",          "-l",       "0",         "--log-level=error"};
  if (rte_eal_init(std::size(arguments), const_cast<char**>(arguments)) < 0 ||
      rte_timer_subsystem_init() != 0) {
    return 1;
  }
  register_flow_benchmarks<Handfast>("handfast");
  register_flow_benchmarks<RteHash>("rte_hash");
  register_timer_benchmarks<Wheel>("handfast");
  register_timer_benchmarks<RteTimer>("rte_timer");
  benchmark::RunSpecifiedBenchmarks();
  World<RteHash>::current().reset();
  rte_eal_cleanup();
}
