// SPDX-License-Identifier: BSD-3-Clause
// From any class with some of the known members to a table of functions. Layer: public.
// No virtual call and no std::function: a member that the class lacks is a null pointer and is never called.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "handfast/conn.hpp"

namespace handfast {

/// A SYN before any state exists for it.
struct SynInfo {
  Endpoint local, peer;
  Time now;
};

/// What a shard calls. Filled by handler_ops<H>; an embedder never writes one.
struct HandlerOps {
  bool (*on_syn)(void* handler, const SynInfo& syn) = nullptr;
  void (*on_accept)(void* handler, Conn& conn, void* state) = nullptr;
  void (*on_connect)(void* handler, Conn& conn, void* state) = nullptr;
  std::size_t (*on_data)(void* handler, Conn& conn, void* state, const RxView& in) = nullptr;
  void (*on_sent)(void* handler, Conn& conn, void* state, std::size_t acked) = nullptr;
  void (*on_writable)(void* handler, Conn& conn, void* state) = nullptr;
  void (*on_peer_fin)(void* handler, Conn& conn, void* state) = nullptr;
  void (*on_timer)(void* handler, Conn& conn, void* state) = nullptr;
  void (*on_urgent)(void* handler, Conn& conn, void* state) = nullptr;
  void (*on_unresponsive)(void* handler, Conn& conn, void* state) = nullptr;
  void (*on_closed)(void* handler, ConnId id, void* state, CloseReason reason) = nullptr;
  void (*construct)(void* state) = nullptr;  // null: nothing to construct
  void (*destroy)(void* state) = nullptr;    // null: nothing to destroy
  std::uint32_t state_bytes = 0;
};

namespace detail {

struct NoState {};
template <class H>
struct StateOf {
  using type = NoState;
};
template <class H>
  requires requires { typename H::State; }
struct StateOf<H> {
  using type = typename H::State;
};

// A member is wired up when it can be called with the State or without; a member of that name which can be
// called with neither is a mistake, and says so at compile time instead of never being called.
#define HF_MEMBER(member)                                                                                    \
  template <class H, class... Args>                                                                          \
  concept calls_##member = requires(H& h, Args... args) { h.member(args...); };                              \
  template <class H>                                                                                         \
  concept names_##member = requires { &H::member; }
HF_MEMBER(on_syn);
HF_MEMBER(on_accept);
HF_MEMBER(on_connect);
HF_MEMBER(on_data);
HF_MEMBER(on_sent);
HF_MEMBER(on_writable);
HF_MEMBER(on_peer_fin);
HF_MEMBER(on_timer);
HF_MEMBER(on_urgent);
HF_MEMBER(on_unresponsive);
HF_MEMBER(on_closed);
#undef HF_MEMBER

template <class H>
constexpr HandlerOps make_ops() {
  using S = typename StateOf<H>::type;
  static_assert(alignof(S) <= 8, "a handler's State may need an alignment of at most 8");
  HandlerOps ops;
  if constexpr (!std::is_empty_v<S>) {
    ops.state_bytes = sizeof(S);
    ops.construct = [](void* state) { std::construct_at(static_cast<S*>(state)); };
    if constexpr (!std::is_trivially_destructible_v<S>)
      ops.destroy = [](void* state) { std::destroy_at(static_cast<S*>(state)); };
  }
  static_assert(!names_on_syn<H> || calls_on_syn<H, const SynInfo&>, "on_syn is bool on_syn(const SynInfo&)");
  if constexpr (calls_on_syn<H, const SynInfo&>)
    ops.on_syn = [](void* h, const SynInfo& syn) -> bool { return static_cast<H*>(h)->on_syn(syn); };

#define HF_EVENT(member)                                                                                     \
  static_assert(!names_##member<H> || calls_##member<H, Conn&, S&> || calls_##member<H, Conn&>,              \
                #member " is void " #member "(Conn&, State&) or (Conn&)");                                   \
  if constexpr (calls_##member<H, Conn&, S&>)                                                                \
    ops.member = [](void* h, Conn& c, void* s) { static_cast<H*>(h)->member(c, *static_cast<S*>(s)); };      \
  else if constexpr (calls_##member<H, Conn&>)                                                               \
    ops.member = [](void* h, Conn& c, void*) { static_cast<H*>(h)->member(c); }
  HF_EVENT(on_accept);
  HF_EVENT(on_connect);
  HF_EVENT(on_writable);
  HF_EVENT(on_peer_fin);
  HF_EVENT(on_timer);
  HF_EVENT(on_urgent);
  HF_EVENT(on_unresponsive);
#undef HF_EVENT

  static_assert(!names_on_data<H> || calls_on_data<H, Conn&, S&, const RxView&> || calls_on_data<H, Conn&, const RxView&>,
                "on_data is std::size_t (or void) on_data(Conn&, State&, const RxView&) or (Conn&, const RxView&)");
  if constexpr (calls_on_data<H, Conn&, S&, const RxView&>) {
    ops.on_data = [](void* h, Conn& c, void* s, const RxView& in) -> std::size_t {
      if constexpr (std::is_void_v<decltype(static_cast<H*>(h)->on_data(c, *static_cast<S*>(s), in))>)
        return static_cast<H*>(h)->on_data(c, *static_cast<S*>(s), in), in.size();
      else
        return static_cast<H*>(h)->on_data(c, *static_cast<S*>(s), in);
    };
  } else if constexpr (calls_on_data<H, Conn&, const RxView&>) {
    ops.on_data = [](void* h, Conn& c, void*, const RxView& in) -> std::size_t {
      if constexpr (std::is_void_v<decltype(static_cast<H*>(h)->on_data(c, in))>)
        return static_cast<H*>(h)->on_data(c, in), in.size();
      else
        return static_cast<H*>(h)->on_data(c, in);
    };
  }

  static_assert(!names_on_sent<H> || calls_on_sent<H, Conn&, S&, std::size_t> || calls_on_sent<H, Conn&, std::size_t>,
                "on_sent is void on_sent(Conn&, State&, std::size_t) or (Conn&, std::size_t)");
  if constexpr (calls_on_sent<H, Conn&, S&, std::size_t>)
    ops.on_sent = [](void* h, Conn& c, void* s, std::size_t n) { static_cast<H*>(h)->on_sent(c, *static_cast<S*>(s), n); };
  else if constexpr (calls_on_sent<H, Conn&, std::size_t>)
    ops.on_sent = [](void* h, Conn& c, void*, std::size_t n) { static_cast<H*>(h)->on_sent(c, n); };

  static_assert(!names_on_closed<H> || calls_on_closed<H, ConnId, S&, CloseReason> || calls_on_closed<H, ConnId, CloseReason>,
                "on_closed is void on_closed(ConnId, State&, CloseReason) or (ConnId, CloseReason)");
  if constexpr (calls_on_closed<H, ConnId, S&, CloseReason>)
    ops.on_closed = [](void* h, ConnId id, void* s, CloseReason r) { static_cast<H*>(h)->on_closed(id, *static_cast<S*>(s), r); };
  else if constexpr (calls_on_closed<H, ConnId, CloseReason>)
    ops.on_closed = [](void* h, ConnId id, void*, CloseReason r) { static_cast<H*>(h)->on_closed(id, r); };
  return ops;
}

}  // namespace detail

/// The table of H's members; one a type, constant.
template <class H>
inline constexpr HandlerOps handler_ops = detail::make_ops<H>();

}  // namespace handfast
