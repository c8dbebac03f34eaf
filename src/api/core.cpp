// SPDX-License-Identifier: BSD-3-Clause
// Core: the application's calls on a shard. Layer: api.
#include "handfast/core.hpp"

#include <algorithm>

#include "shard/shard.hpp"

namespace handfast {

Expected<HandlerRef> Core::add_handler_erased(const HandlerOps& ops, void* handler, std::shared_ptr<void> owner) {
  return shard_->add_handler(ops, handler, std::move(owner));
}
Expected<ListenerId> Core::listen_with(Endpoint local, HandlerRef handler, ListenOptions options) {
  return shard_->listen(local, handler, options);
}
void Core::close(ListenerId listener) { shard_->close_listener(listener); }
void Core::pause(ListenerId listener) { shard_->set_paused(listener, true); }
void Core::resume(ListenerId listener) { shard_->set_paused(listener, false); }
Expected<ConnId> Core::connect(Endpoint remote, HandlerRef handler, ConnectOptions options) {
  return shard_->connect(remote, handler, options);
}

std::optional<Conn> Core::find(ConnId id) {
  tcp::Tcb* tcb = shard_->find(id);
  return tcb != nullptr ? std::optional<Conn>{std::in_place, *shard_, *tcb} : std::nullopt;
}

TxBuf Core::allocate() {
  TxBuf buffer;
  if (tcp::Chunk* chunk = tcp::allocate_to_send(shard_->tcp())) {
    buffer.room_ = chunk->bytes;
    buffer.chunk_ = chunk;
    buffer.shard_ = shard_;
  }
  return buffer;
}

bool Core::arm(Duration delay, Task fire, void* ctx) { return shard_->arm_core_timer(delay, fire, ctx); }
bool Core::post(Task task, void* ctx) { return shard_->post(task, ctx); }
bool Core::resolve(Ipv4Address remote) { return shard_->resolve(remote); }
Time Core::now() const { return shard_->tcp().now; }
CoreStats Core::stats() const { return shard_->stats(); }
std::vector<ConnInfo> Core::connections() const { return shard_->connections(); }
const CoreConfig& Core::config() const { return shard_->tcp().config; }
bool Core::drain() { return shard_->drain(); }
void Core::abort_all() { shard_->abort_all(); }

void CoreStats::add(const CoreStats& other) {
  // All members are counters of one width, in a row: their sum is member by member, but for the one maximum.
  const std::uint64_t lag = std::max(timer_lag_max_ns, other.timer_lag_max_ns);
  auto* to = reinterpret_cast<std::uint64_t*>(this);
  const auto* from = reinterpret_cast<const std::uint64_t*>(&other);
  static_assert(sizeof(CoreStats) % sizeof(std::uint64_t) == 0);
  for (std::size_t i = 0; i < sizeof(CoreStats) / sizeof(std::uint64_t); ++i) to[i] += from[i];
  timer_lag_max_ns = lag;
}

}  // namespace handfast
