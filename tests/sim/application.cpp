// SPDX-License-Identifier: BSD-3-Clause
// The application of the simulator; see application.hpp. Layer: simulator.
#include "sim/application.hpp"

#include <algorithm>
#include <cstring>

#include "shard/shard.hpp"

namespace handfast::sim {
namespace {

constexpr std::size_t most_held = 4;

}  // namespace

Side* Application::enter(Conn& c, State& s, Call call) {
  ++calls;
  ledger_->note(std::uint64_t{end_} << 56 | static_cast<std::uint64_t>(call) << 48 |
                std::uint64_t{s.talk} << 1 | s.side);
  if (s.side == nobody) return nullptr;
  if (s.talk >= ledger_->talks.size()) {
    ledger_->fail("I15 callback " + std::to_string(static_cast<int>(call)) +
                  " for a connection that nobody opened");
    return nullptr;
  }
  Talk& talk = ledger_->talks[s.talk];
  Side& side = talk.side[s.side];
  // I15: opened? (data | sent | ...)* eof? closed
  const bool opens = call == Call::accept || call == Call::connect;
  const bool early = call == Call::unresponsive;  // a SYN that nobody answers
  if (side.ended || side.left || (opens && side.opened) || (!opens && !early && !side.opened) ||
      (side.eof && (call == Call::data || call == Call::peer_fin)))
    ledger_->fail("I15 callback " + std::to_string(static_cast<int>(call)) +
                  " out of turn: " + ledger_->text(talk));
  if (opens) {
    side.opened = true;
    side.id = c.id();
    side.shard = c.core().shard_index();
    // I14: nobody is told before the peer has acknowledged our SYN, but with a Fast Open cookie.
    if (c.state() <= handfast::State::syn_received && !talk.plan->fast_open)
      ledger_->fail("I14 opened in " + std::string{handfast::name(c.state())} + ": " + ledger_->text(talk));
  }
  if (ledger_->failed()) return nullptr;
  const Habits& h = side.habits;
  const bool ends_here = h.close == Habits::Close::abort_at || h.close == Habits::Close::close_at;
  if (side.callbacks++ != h.at || !ends_here) return &side;
  h.close == Habits::Close::abort_at ? abort(c, side) : close(c, side);
  return nullptr;
}

void Application::on_accept(Conn& c, State& s) {
  const tcp::Tcb* tcb = c.core().shard().find(c.id());
  Talk* talk = tcb != nullptr ? ledger_->find(c.peer(), c.local(), tcb->irs.raw()) : ledger_->find(c.peer(), c.local());
  if (talk == nullptr) {
    s = {0xffffffff, nobody};
    c.abort();
    return ledger_->fail("I14 accepted what nobody opened: " + c.peer().to_string());
  }
  std::uint32_t index = static_cast<std::uint32_t>(talk - ledger_->talks.data());
  if (talk->side[1].opened) {
    // A cookie's ACK, or a SYN with data, that came once more: nothing on this end remembers the first (RFC
    // 4987, RFC 7413).
    const TcpConfig& tcp = plan_->ends[end_].tcp;
    if (!tcp.syn_cookies && !talk->plan->fast_open)
      return ledger_->fail("I12 accepted twice: " + ledger_->text(*talk));
    talk->haunted = true;
    const Talk copy = *talk;
    index = ledger_->open(*copy.plan, copy.client, copy.server, copy.salt);
    Talk& ghost = ledger_->talks[index];
    ghost.salt = copy.salt;
    ghost.iss = copy.iss;
    ghost.ghost = true;
    ledger_->talks[static_cast<std::size_t>(index)].side[0].habits.bytes = 0;
  }
  s = {index, 1};
  if (Side* side = enter(c, s, Call::accept)) {
    start(c, *side, ledger_->talks[index]);
    feed(c, s, *side);
  }
}

void Application::on_connect(Conn& c, State& s) {
  if (Side* side = enter(c, s, Call::connect)) {
    // Both opened at once, but whom it met is one that the other end has given up since: what is read then is another talk's.
    const tcp::Tcb* tcb = c.core().shard().find(c.id());
    if (s.side == 1 && tcb != nullptr && tcb->irs.raw() != ledger_->talks[s.talk].iss) return abort(c, *side);
    start(c, *side, ledger_->talks[s.talk]);
    feed(c, s, *side);
  }
}

void Application::start(Conn& c, Side& side, const Talk&) {
  const Habits& h = side.habits;
  if (h.nodelay) c.set_nodelay(true);
  if (h.read == Habits::Read::never || (h.read == Habits::Read::not_before_the_end && !ledger_->healed)) {
    c.pause_rx();
    c.arm(500ms);
  }
}

std::size_t Application::on_data(Conn& c, State& s, const RxView& in) {
  Side* side = enter(c, s, Call::data);
  if (side == nullptr) {
    if (s.side == nobody) return in.size();
    if (s.talk % 2 != 0 || ledger_->failed()) return 0;
    ledger_->talks[s.talk].side[s.side].received += in.size();
    return in.size();
  }
  const Talk& talk = ledger_->talks[s.talk];
  if (in.size() == 0) ledger_->fail("I15 empty data callback: " + ledger_->text(talk));
  const std::size_t right = first_wrong(talk.salt, talk.other(s.side), side->received, in.bytes());
  if (right != in.size())
    ledger_->fail("I10 wrong byte at " + std::to_string(side->received + right) + " of what " +
                  (s.side == 0 ? "the client" : "the server") + " reads: " + ledger_->text(talk));
  ledger_->note(in.size());
  std::size_t take = in.size();
  switch (side->habits.read) {
    case Habits::Read::all:
    case Habits::Read::not_before_the_end:
    case Habits::Read::never:  // what came with the SYN
      break;
    case Habits::Read::one_by_one:
      take = 1;
      if (take < in.size()) c.arm(1ms);
      break;
    case Habits::Read::some:
      take = side->rng.below(static_cast<std::uint32_t>(take) + 1);
      if (take < in.size()) c.arm(std::chrono::milliseconds{1 + side->rng.below(30)});
      break;
    case Habits::Read::sips:
      take = std::min<std::size_t>(take, 1 + side->rng.below(700));
      if (take < in.size()) c.arm(std::chrono::milliseconds{1 + side->rng.below(10)});
      break;
    case Habits::Read::pauses:
      if (side->rng.below(3) == 0) {
        c.pause_rx();
        c.arm(std::chrono::milliseconds{1 + side->rng.below(300)});
      }
      break;
  }
  if (take == in.size() && side->habits.takes_buffers && held.size() < most_held) {
    RxBuf buffer = in.take();
    if (!buffer.empty()) held.push_back(std::move(buffer));
  }
  side->received += take;
  feed(c, s, *side);
  return take;
}

void Application::on_sent(Conn& c, State& s, std::size_t acked) {
  if (Side* side = enter(c, s, Call::sent)) {
    ledger_->note(acked);
    if (side->habits.change_to && side->ticks++ == 5) c.set_congestion_control(*side->habits.change_to);
    const ConnStats stats = c.stats();
    if (stats.flight < stats.sacked)
      ledger_->fail("I6 more SACKed than sent: " + ledger_->text(ledger_->talks[s.talk]));
    if (side->shut) feed(c, s, *side);
  }
}

void Application::on_writable(Conn& c, State& s) {
  if (Side* side = enter(c, s, Call::writable)) feed(c, s, *side);
}

void Application::on_peer_fin(Conn& c, State& s) {
  Side* side = enter(c, s, Call::peer_fin);
  Side& self = ledger_->talks[s.talk].side[s.side];
  self.eof = true;
  if (side != nullptr) feed(c, s, *side);
}

void Application::on_timer(Conn& c, State& s) {
  Side* side = enter(c, s, Call::timer);
  if (side == nullptr) return;
  if (side->habits.read == Habits::Read::never && ledger_->healed) return close(c, *side);
  if (side->habits.read == Habits::Read::never ||
      (side->habits.read == Habits::Read::not_before_the_end && !ledger_->healed)) {
    c.arm(500ms);
    return feed(c, s, *side);
  }
  if (side->habits.read == Habits::Read::sips && side->rng.below(2) == 0) {
    side->received += c.consume(side->rng.below(2000));
  }
  c.pause_rx();  // so that resuming shows what was left
  c.resume_rx();
  feed(c, s, *side);
}

void Application::on_urgent(Conn& c, State& s) { static_cast<void>(enter(c, s, Call::urgent)); }
void Application::on_unresponsive(Conn& c, State& s) { static_cast<void>(enter(c, s, Call::unresponsive)); }

void Application::on_closed(ConnId, State& s, CloseReason reason) {
  ledger_->note(std::uint64_t{end_} << 56 | static_cast<std::uint64_t>(Call::closed) << 48 |
                std::uint64_t{s.talk} << 8 | static_cast<std::uint64_t>(reason));
  if (s.talk >= ledger_->talks.size()) {
    if (!crashing && s.side != nobody) ledger_->fail("I15 closed, but never opened");
    return;
  }
  if (s.side == nobody) return;
  Side& side = ledger_->talks[s.talk].side[s.side];
  if (side.ended) ledger_->fail("I15 closed twice: " + ledger_->text(ledger_->talks[s.talk]));
  side.ended = true;
  side.vanished = crashing;
  side.reason = reason;
  if (draining) ledger_->talks[s.talk].drained = true;
  if (s.side == 0 && !crashing && !draining && ended) ended(s.talk);
}

std::uint64_t Application::may_write(const Talk& talk, unsigned side) const {
  const Side& self = talk.side[side];
  if (!talk.plan->turns) return self.habits.bytes;
  const std::uint64_t mine = side == 0 ? talk.plan->request : talk.plan->response;
  const std::uint64_t theirs = side == 0 ? talk.plan->response : talk.plan->request;
  const std::uint64_t rounds = self.received / theirs + (side == 0 ? 1 : 0);
  return std::min<std::uint64_t>(self.habits.bytes, rounds * mine);
}

void Application::feed(Conn& c, State& s, Side& side) {
  if (side.shut) {
    if (side.eof && !side.left && may_leave(c)) close(c, side);
    return;
  }
  if (side.habits.corks) c.cork();
  while (side.written < may_write(ledger_->talks[s.talk], s.side)) {
    const Talk& talk = ledger_->talks[s.talk];
    const std::uint64_t left = may_write(talk, s.side) - side.written;
    const auto n =
        static_cast<std::size_t>(std::min<std::uint64_t>(left, 1 + side.rng.below(side.habits.chunk)));
    const std::size_t taken = send(c, talk, s.side, n);
    side.written += taken;
    if (taken == 0) return;
  }
  if (side.habits.corks) c.uncork();
  if (side.written == side.habits.bytes) finish_writing(c, side);
}

/// An orphan is given up after so many tries, whatever its peer's window: who wants all of it to arrive waits
/// until it has.
bool Application::may_leave(const Conn& c) const { return !plan_->orderly || c.unacked() == 0; }

/// Returns how many bytes were taken; with 0 something will call again.
std::size_t Application::send(Conn& c, const Talk& talk, unsigned number, std::size_t n) {
  Side& side = ledger_->talks[static_cast<std::size_t>(&talk - ledger_->talks.data())].side[number];
  const auto bytes = content(talk.salt, number, side.written, n);
  if (side.habits.urgent && side.rng.below(10) == 0) return c.send_urgent(bytes);
  switch (side.habits.mixed_sends ? side.rng.below(5) : 0) {
    case 1:
      return c.send_static(bytes.first(std::min(bytes.size(), std::max<std::size_t>(1, c.writable()))));
    case 2: {
      const auto part = bytes.first(std::min(bytes.size(), std::max<std::size_t>(1, c.writable())));
      ++references;
      if (c.send_ref(part, this, [](void* self, std::span<const std::byte>) {
            --static_cast<Application*>(self)->references;
          }))
        return part.size();
      --references;
      return 0;
    }
    case 3: {
      TxBuf buffer = c.core().allocate();
      const std::size_t fits = std::min({buffer.room().size(), bytes.size(), c.writable()});
      if (fits == 0) return c.send(bytes);
      std::memcpy(buffer.room().data(), bytes.data(), fits);
      buffer.resize(fits);
      if (c.send(std::move(buffer))) return fits;
      return c.send(bytes);
    }
    default:
      return c.send(bytes);
  }
}

void Application::finish_writing(Conn& c, Side& side) {
  switch (side.habits.close) {
    case Habits::Close::after_both:
    case Habits::Close::abort_at:
    case Habits::Close::close_at:
      if (side.eof && may_leave(c)) return close(c, side);
      c.shutdown_write();
      side.shut = true;
      return;
    case Habits::Close::after_peer:
      if (!side.eof) return;
      if (may_leave(c)) return close(c, side);
      c.shutdown_write();
      side.shut = true;
      return;
    case Habits::Close::at_once:
      return close(c, side);
  }
}

void Application::close(Conn& c, Side& side) {
  side.shut = side.left = true;
  c.close();
}

void Application::abort(Conn& c, Side& side) {
  side.left = true;
  c.abort();
}

}  // namespace handfast::sim
