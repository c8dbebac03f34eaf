// SPDX-License-Identifier: BSD-3-Clause
// From a verdict to the application's callbacks, in their one order: on_accept or on_connect, on_data, on_sent,
// on_writable, on_peer_fin, on_timer, on_closed. Layer: shard.
// While callbacks run the connection is in hand: whatever they call, its block is freed here and nowhere else.
#include <algorithm>
#include <cstring>

#include "shard/deliver_to.hpp"
#include "shard/shard.hpp"
#include "tcp/lifetime.hpp"
#include "tcp/output.hpp"
#include "tcp/recovery.hpp"
#include "tcp/urgent.hpp"

namespace handfast::shard {

bool Shard::can_receive(const tcp::Tcb& tcb) const {
  return !has(tcb, tcp::ended | tcp::orphan | tcp::rx_paused | tcp::accept_pending);
}

void Shard::start_state(tcp::Tcb& tcb) {
  const Handler& handler = handlers_[tcb.handler];
  if (handler.ops.construct != nullptr) handler.ops.construct(state_of(tcb));
}

void Shard::deliver(const tcp::Verdict& verdict, void*& handle) {
  if (verdict.drop != Drop::none) [[unlikely]] drop(verdict.drop);
  if (verdict.tcb == nullptr) return;
  set(*verdict.tcb, tcp::in_hand);
  deliver_to(*verdict.tcb, verdict, handle);
}

/// True: there are notices, and the text in view has been noted for who asks in a callback.
bool Shard::deliver_seldom(tcp::Tcb& tcb, const tcp::Verdict& verdict) {
  const bool notices = has(tcb, tcp::notice);
  if (has(tcb, tcp::accept_pending) && verdict.readable) accept(tcb);
  if (notices) {
    in_view_ = {&tcb, verdict.data_length};
    deliver_notices(tcb);
  }
  return notices;
}

void Shard::deliver_flags(tcp::Tcb& tcb) {
  if (has(tcb, tcp::want_writable)) deliver_writable(tcb);
  if (has(tcb, tcp::fin_received)) deliver_eof(tcb);
  if (has(tcb, tcp::app_timer_due)) deliver_timer(tcb);
}

/// Out of the table, or ended: the last that it hears, if that was all.
void Shard::depart(tcp::Tcb& tcb) {
  if (!has(tcb, tcp::ended) && tcp::is_drained(tcb)) {
    set(tcb, tcp::in_hand);
    tcp::end_connection(cx_, tcb, CloseReason::finished);
    clear(tcb, tcp::in_hand);
  }
  if (has(tcb, tcp::ended)) conclude(tcb);
}

void Shard::deliver_sent(tcp::Tcb& tcb, std::uint32_t acked) {
  const Handler& handler = handlers_[tcb.handler];
  if (has(tcb, tcp::ended | tcp::orphan | tcp::accept_pending)) return;
  Conn conn{*this, tcb};
  handler.ops.on_sent(handler.object, conn, state_of(tcb), acked);
}

void Shard::deliver_timer(tcp::Tcb& tcb) {
  clear(tcb, tcp::app_timer_due);
  const Handler& handler = handlers_[tcb.handler];
  if (handler.ops.on_timer == nullptr || has(tcb, tcp::ended | tcp::orphan | tcp::accept_pending)) return;
  Conn conn{*this, tcb};
  handler.ops.on_timer(handler.object, conn, state_of(tcb));
}

std::uint32_t Shard::urgent_ahead(const tcp::Tcb& tcb) const {
  const Seq unread = tcp::first_unread(tcb);
  const bool in_view = in_view_.tcb == &tcb && tcb.receive == nullptr;
  return tcp::urgent_ahead(tcb, in_view ? unread - in_view_.bytes : unread);
}

/// What few connections have to say: urgent data ahead (rfc9293 MUST-32), a peer that does not answer (SHLD-9).
void Shard::deliver_notices(tcp::Tcb& tcb) {
  const auto take = [&tcb](std::uint64_t flag) {
    const bool due = has(tcb, flag);
    clear(tcb, flag);
    return due;
  };
  if (urgent_ahead(tcb) == 0) clear(tcb, tcp::urgent_in | tcp::urgent_due);
  if (has(tcb, tcp::accept_pending)) return;  // told once it is accepted
  const auto tell = [&](void (*callback)(void*, Conn&, void*)) {
    if (callback == nullptr || has(tcb, tcp::ended | tcp::orphan)) return;
    Conn conn{*this, tcb};
    callback(handlers_[tcb.handler].object, conn, state_of(tcb));
  };
  const HandlerOps& ops = handlers_[tcb.handler].ops;
  if (take(tcp::urgent_due)) tell(ops.on_urgent);
  if (take(tcp::unresponsive_due)) tell(ops.on_unresponsive);  // MUST-47; SHLD-20: if it is there
  if (!has(tcb, tcp::urgent_in)) clear(tcb, tcp::notice);
}

void Shard::deliver_established(tcp::Tcb& tcb) {
  if (has(tcb, tcp::ended)) return;
  const Handler& handler = handlers_[tcb.handler];
  if (has(tcb, tcp::active_open)) {
    if (handler.ops.on_connect == nullptr || has(tcb, tcp::orphan)) return;
    Conn conn{*this, tcb};
    handler.ops.on_connect(handler.object, conn, state_of(tcb));
    return;
  }
  tcp::Listener& listener = cx_.listeners[tcb.listener];
  if (listener.accept_head == tcp::npos && !listener.paused) [[likely]] return tell_accepted(tcb);
  // Behind those that wait already, while the listener is paused or they have not been handed over yet.
  set(tcb, tcp::accept_pending);
  const std::uint32_t index = cx_.tcbs.index_of(tcb);
  tcb.next_free = tcp::npos;
  (listener.accept_tail == tcp::npos ? listener.accept_head : cx_.tcbs[listener.accept_tail].next_free) = index;
  listener.accept_tail = index;
  ++listener.waiting;
  // Those before it have been told already of the end of a pause, and are accepted at the end of this poll: so is this one.
  if (!listener.paused) deliver_later(tcb);
}

/// Takes it off the head of its listener's queue, if the listener is not paused, and tells the application.
void Shard::accept(tcp::Tcb& tcb) {
  tcp::Listener& listener = cx_.listeners[tcb.listener];
  if (listener.paused || listener.accept_head != cx_.tcbs.index_of(tcb)) return;
  listener.accept_head = tcb.next_free;
  if (listener.accept_head == tcp::npos) listener.accept_tail = tcp::npos;
  --listener.waiting;
  clear(tcb, tcp::accept_pending);
  if (has(tcb, tcp::ended)) {
    tcb.listener = 0xffff;  // reset while it waited: the application never knew of it
    set(tcb, tcp::eof_delivered);
    return;
  }
  tell_accepted(tcb);
}

void Shard::tell_accepted(tcp::Tcb& tcb) {
  ++cx_.stats.accepted;
  start_state(tcb);
  const Handler& handler = handlers_[tcb.handler];
  if (handler.ops.on_accept == nullptr) return;
  Conn conn{*this, tcb};
  handler.ops.on_accept(handler.object, conn, state_of(tcb));
}

/// Bytes that stand in the frame: no copy, unless the application leaves some or cannot take them now.
void Shard::deliver_text(tcp::Tcb& tcb, std::span<const std::byte> text, void*& handle) {
  if (has(tcb, tcp::ended)) return;
  std::size_t consumed = 0;
  const Handler& handler = handlers_[tcb.handler];
  if (can_receive(tcb)) {
    RxView view;
    view.bytes_ = text;
    view.handle_ = handle;
    view.shard_ = this;
    consumed = text.size();
    if (handler.ops.on_data != nullptr) {
      Conn conn{*this, tcb};
      consumed = std::min(handler.ops.on_data(handler.object, conn, state_of(tcb), view), text.size());
    }
    if (view.handle_ == nullptr) {  // taken
      handle = nullptr;
      consumed = text.size();
    }
  }
  if (consumed == text.size() || has(tcb, tcp::ended)) return;
  if (!tcp::store_unread(cx_, tcb, text.subspan(consumed))) {
    drop(Drop::tcp_no_memory);
    if (tcp::take_back_text(tcb, static_cast<std::uint32_t>(text.size() - consumed))) return;
    tcp::send_reset(cx_, tcb);
    tcp::end_connection(cx_, tcb, CloseReason::no_memory);
    return;
  }
  if (has(tcb, tcp::orphan)) judge_unread(tcb);
}

/// Bytes that wait in the receive buffer.
void Shard::deliver_held(tcp::Tcb& tcb) {
  const Handler& handler = handlers_[tcb.handler];
  while (can_receive(tcb) && tcp::unread_bytes(tcb) != 0) {
    const std::uint32_t unread = tcp::unread_bytes(tcb);
    std::span<const std::byte> front = tcb.receive->front(tcp::text_end(tcb));
    std::size_t consumed = front.size();
    if (handler.ops.on_data != nullptr) {
      RxView view;
      view.bytes_ = front;
      view.shard_ = this;
      Conn conn{*this, tcb};
      set(tcb, tcp::judging);
      consumed = std::min(handler.ops.on_data(handler.object, conn, state_of(tcb), view), front.size());
      const bool untouched = tcp::unread_bytes(tcb) == unread;  // no consume() in the callback
      if (consumed == 0 && front.size() < unread && untouched && can_receive(tcb)) {
        // It wants more in one piece than stands in one chunk.
        const std::uint32_t n = std::min<std::uint32_t>(unread, static_cast<std::uint32_t>(scratch_.size()));
        tcb.receive->read(n, scratch_);
        view.bytes_ = std::span{scratch_}.first(n);
        consumed = std::min<std::size_t>(handler.ops.on_data(handler.object, conn, state_of(tcb), view), n);
        front = view.bytes_;
      }
      clear(tcb, tcp::judging);
    }
    if (has(tcb, tcp::ended)) return tcp::free_receive_buffer(cx_, tcb);
    tcp::consume(cx_, tcb, static_cast<std::uint32_t>(std::min<std::size_t>(consumed, tcp::unread_bytes(tcb))));
    if (has(tcb, tcp::orphan)) return judge_unread(tcb);
    // A part is left because the application waits for more; if there was more than it was shown, that is here already.
    if (consumed < front.size() && (consumed == 0 || front.size() >= unread)) return;
  }
}

/// After close() in a data callback: bytes that it did not take are lost, and the peer is told (RFC 9293 section 3.6.1).
void Shard::judge_unread(tcp::Tcb& tcb) {
  if (tcp::unread_bytes(tcb) == 0) {
    tcp::free_receive_buffer(cx_, tcb);
    return;
  }
  tcp::send_reset(cx_, tcb);
  tcp::end_connection(cx_, tcb, CloseReason::unread_data);
}

/// on_writable once a third of the send buffer is free again, so that it is worth a callback. Who found no memory is told
/// when there is some (wake_starving): before that an answer to this call would be the same call again, without end.
void Shard::deliver_writable(tcp::Tcb& tcb) {
  if (has(tcb, tcp::ended | tcp::orphan | tcp::fin_queued | tcp::accept_pending | tcp::starved)) return;
  if (tcp::writable(cx_, tcb) < cx_.config.tcp.send_buffer / 3) return;
  clear(tcb, tcp::want_writable);
  const Handler& handler = handlers_[tcb.handler];
  if (handler.ops.on_writable == nullptr) return;
  Conn conn{*this, tcb};
  handler.ops.on_writable(handler.object, conn, state_of(tcb));
}

/// The end of file, once, after the last byte. A handler that does not care has its side closed for it.
void Shard::deliver_eof(tcp::Tcb& tcb) {
  if (has(tcb, tcp::eof_delivered) || !can_receive(tcb) || tcp::unread_bytes(tcb) != 0) return;
  set(tcb, tcp::eof_delivered);
  const Handler& handler = handlers_[tcb.handler];
  if (handler.ops.on_peer_fin == nullptr) {
    tcp::close(cx_, tcb);
    return;
  }
  Conn conn{*this, tcb};
  handler.ops.on_peer_fin(handler.object, conn, state_of(tcb));
}

/// on_closed, the State's destructor, the slot.
void Shard::conclude(tcp::Tcb& tcb) {
  if (has(tcb, tcp::accept_pending)) return;  // its listener's queue still leads to it: accept() comes by
  const bool known = has(tcb, tcp::active_open) || tcb.listener != 0xffff;
  if (known) {
    const Handler& handler = handlers_[tcb.handler];
    if (handler.ops.on_closed != nullptr) handler.ops.on_closed(handler.object, id_of(tcb), state_of(tcb), tcb.close_reason);
    if (handler.ops.destroy != nullptr) handler.ops.destroy(state_of(tcb));
  }
  tcp::free_tcb(cx_, tcb);
}

void Shard::release_sent() {
  for (std::size_t i = 0; i < cx_.released.size(); ++i) {
    tcp::Extent& extent = *cx_.released[i];
    if (extent.ownership == tcp::Ownership::port)
      done_.push_back(extent.owner);
    else
      extent.release(extent.owner, {extent.whole_data, extent.whole_length});
    cx_.extents.free(&extent);
  }
  cx_.released.clear();
}

}  // namespace handfast::shard
