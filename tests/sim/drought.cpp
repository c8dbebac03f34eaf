// SPDX-License-Identifier: BSD-3-Clause
// Taking and giving back; see drought.hpp. Layer: simulator.
#include "sim/drought.hpp"

#include "shard/shard.hpp"

namespace handfast::sim {
namespace {

constexpr std::array<std::string_view, pool_count> pool_names{
    "connections", "half_open", "chunks", "extents", "receive_buffers", "flights", "path_searches", "frames"};

template <class Slab>
void take(Slab& slab, std::uint32_t keep, std::vector<std::uint32_t>& taken) {
  while (slab.capacity() - slab.size() > keep) taken.push_back(slab.allocate());
}
template <class T>
void take(ds::ObjectPool<T>& pool, std::uint32_t keep, std::vector<T*>& taken) {
  while (pool.capacity() - pool.in_use() > keep) taken.push_back(pool.allocate());
}
template <class P, class T>
void give_back(P& pool, std::vector<T>& taken) {
  // As they came: the last one taken is the first one free again.
  while (!taken.empty()) {
    pool.free(taken.back());
    taken.pop_back();
  }
}
template <class T>
void count(std::uint32_t& into, const std::vector<T>& taken) {
  into = static_cast<std::uint32_t>(taken.size());
}

}  // namespace

std::string_view name(Pool pool) { return pool_names[static_cast<std::size_t>(pool)]; }

void Drought::begin(Core& core, Pool pool, std::uint32_t keep) {
  core_ = &core;
  tcp::Context& cx = core.shard().tcp();
  switch (pool) {
    case Pool::connections: {
      const std::size_t known = connections_.size();
      take(cx.tcbs, keep, connections_);
      for (std::size_t i = known; i < connections_.size(); ++i) {
        // Nobody's: whoever looks through the blocks must see that there is nothing to do.
        tcp::Tcb& tcb = cx.tcbs[connections_[i]];
        tcb.key = {};
        tcb.flags = tcp::ended;
        tcb.state = State::closed;
        tcb.handler = 0xffff;
        tcb.send_head = nullptr;
        tcb.receive = nullptr;
        tcb.flight = nullptr;
        tcb.rare = nullptr;
      }
      break;
    }
    case Pool::half_open:
      take(cx.half_opens, keep, half_open_);
      break;
    case Pool::chunks:
      take(cx.chunks, keep, chunks_);
      break;
    case Pool::extents:
      take(cx.extents, keep, extents_);
      break;
    case Pool::receive_buffers:
      take(cx.receive_buffers, keep, receive_buffers_);
      break;
    case Pool::flights:
      take(cx.flights, keep, flights_);
      break;
    case Pool::path_searches:
      take(cx.path_searches, keep, searches_);
      break;
    case Pool::frames:
      break;
  }
  count(withheld_.connections, connections_);
  count(withheld_.half_open, half_open_);
  count(withheld_.chunks, chunks_);
  count(withheld_.extents, extents_);
  count(withheld_.receive_buffers, receive_buffers_);
  count(withheld_.flights, flights_);
  count(withheld_.path_searches, searches_);
}

void Drought::end() {
  if (core_ == nullptr) return;
  tcp::Context& cx = core_->shard().tcp();
  give_back(cx.tcbs, connections_);
  give_back(cx.half_opens, half_open_);
  give_back(cx.chunks, chunks_);
  give_back(cx.extents, extents_);
  give_back(cx.receive_buffers, receive_buffers_);
  give_back(cx.flights, flights_);
  give_back(cx.path_searches, searches_);
  withheld_ = {};
  core_ = nullptr;
}

}  // namespace handfast::sim
