// SPDX-License-Identifier: BSD-3-Clause
// Steps of a trace on the application's side: open, call, on, expect. Layer: tests.
#include <cmath>
#include <limits>

#include "traces/runner.hpp"

namespace handfast::traces {
namespace {

using Words = std::vector<std::string>;

std::string word_at(const Step& step, std::size_t at, const char* expected) {
  if (at >= step.words.size())
    throw ScriptError(step.line, std::string{"the line ends where "} + expected + " was expected");
  return step.words[at];
}

bool on_or_off(const Step& step, std::size_t at) {
  const std::string word = word_at(step, at, "on or off");
  if (word != "on" && word != "off") throw ScriptError(step.line, "expected on or off, not '" + word + "'");
  return word == "on";
}

std::string number_text(double value) {
  if (value == std::round(value)) return std::to_string(static_cast<std::int64_t>(value));
  return std::to_string(value);
}

}  // namespace

// --- open
// ---------------------------------------------------------------------------------------------------

namespace {

struct OpenText {
  bool active = false, ecn = false;
  SegmentText syn;
  std::int64_t window = 65535;
  Duration rtt{100ms};
};

OpenText read_open(const Step& step) {
  OpenText o;
  const std::string how = word_at(step, 0, "active or passive");
  if (how != "active" && how != "passive")
    throw ScriptError(step.line, "expected active or passive after open, not '" + how + "'");
  o.active = how == "active";
  o.syn.mss = 1460;
  for (std::size_t at = 1; at < step.words.size(); ++at) {
    const std::string& word = step.words[at];
    const auto value = [&] { return integer(word_at(step, ++at, "a number"), step.line); };
    if (word == "mss") {
      if (word_at(step, at + 1, "a number") == "none") {
        o.syn.mss.reset();
        ++at;
      } else {
        o.syn.mss = value();
      }
    } else if (word == "wscale") {
      o.syn.wscale = value();
    } else if (word == "win") {
      o.window = value();
    } else if (word == "sack") {
      o.syn.sack_ok = true;
    } else if (word == "ts") {
      o.syn.ts = true;
    } else if (word == "ecn") {
      o.ecn = true;
    } else if (word == "rtt") {
      o.rtt = seconds(word_at(step, ++at, "seconds"), step.line);
    } else if (word != "plain") {
      throw ScriptError(step.line, "unknown word '" + word +
                                       "' after open; expected one of: mss wscale win sack ts ecn rtt plain");
    }
  }
  return o;
}

}  // namespace

void Runner::open(const Step& step) {
  const OpenText o = read_open(step);
  pass(step.after);
  Step part = step;
  part.after = Duration{0};
  part.segment = o.syn;
  // rfc3168 6.1.1: the one that asks sets both flags, the one that agrees ECE alone.
  constexpr std::uint8_t ece = 0x40, cwr = 0x80;
  const std::uint8_t asks = test::SYN | (o.ecn ? ece | cwr : 0), agrees = test::SYN | (o.ecn ? ece : 0);
  part.segment.flags = o.active ? agrees : asks;
  part.segment.begin = part.segment.end = 0;
  part.segment.window = std::min<std::int64_t>(o.window, 65535);
  if (!o.active) {
    trace_->listen();
    part.action = Action::peer_sends;
    peer_sends(part);
  } else {
    active_ = trace_->connect();
  }
  Step answer = step;
  answer.after = Duration{0};
  answer.segment.flags = o.active ? asks : agrees;
  answer.segment.begin = answer.segment.end = 0;
  if (!o.active) answer.segment.ack = 1;
  stack_sends(answer);
  part.action = Action::peer_sends;
  part.after = o.rtt;
  if (o.active) {
    part.segment.ack = 1;
    peer_sends(part);
    peer_window_ = o.window;
    if (trace_->peer.quiet()) fail(step, "the stack does not acknowledge the SYN,ACK");
    Step third = answer;
    third.segment = {};
    third.segment.begin = third.segment.end = 1;
    third.segment.ack = 1;
    stack_sends(third);
  } else {
    part.segment = {};
    part.segment.window = o.window;
    peer_sends(part);
  }
}

// --- calls
// --------------------------------------------------------------------------------------------------

std::optional<Conn> Runner::conn() {
  if (active_) return trace_->core().find(*active_);
  return trace_->core().find(trace_->app.last());
}

void Runner::make_call(Conn& c, const Words& words, std::size_t& at, const Step& step) {
  const std::string& what = words[at++];
  const auto number = [&] { return integer(word_at(step, at++, "a number"), step.line); };
  if (what == "send") {
    const std::int64_t n = number();
    std::string bytes;
    for (std::int64_t i = 1; i <= n; ++i) bytes += stream_byte(queued_ + i);
    const auto taken = static_cast<std::int64_t>(c.send(bytes));
    queued_ += taken;
    if (taken != n) fail(step, "send() took " + std::to_string(taken) + " bytes");
  } else if (what == "close") {
    c.close();
  } else if (what == "shutdown") {
    c.shutdown_write();
  } else if (what == "abort") {
    c.abort();
  } else if (what == "nodelay") {
    c.set_nodelay(on_or_off(step, at++));
  } else if (what == "cork") {
    c.cork();
  } else if (what == "uncork") {
    c.uncork();
  } else if (what == "keepalive") {
    c.set_keepalive(on_or_off(step, at++));
  } else if (what == "user_timeout") {
    c.set_user_timeout(seconds(word_at(step, at++, "seconds"), step.line));
  } else if (what == "pause") {
    c.pause_rx();
  } else if (what == "resume") {
    c.resume_rx();
  } else if (what == "consume") {
    const std::int64_t n = number();
    consumed_by_hand_ += n;
    if (static_cast<std::int64_t>(c.consume(static_cast<std::size_t>(n))) != n)
      fail(step, "consume() took less");
  } else {
    throw ScriptError(step.line, "unknown call '" + what +
                                     "'; expected one of: listen connect reading send close shutdown abort "
                                     "nodelay cork uncork keepalive user_timeout pause resume consume");
  }
}

void Runner::call(const Step& step) {
  pass(step.after);
  check_quiet(step);
  const std::string first = word_at(step, 0, "the name of a call");
  if (first == "listen") {
    trace_->listen();
    return;
  }
  if (first == "connect") {
    active_ = trace_->connect();
    return;
  }
  if (first == "reading") {  // off: the application leaves everything that comes
    if (on_or_off(step, 1))
      trace_->app.data = nullptr;
    else
      trace_->app.data = [](Conn&, const RxView&) { return std::size_t{0}; };
    return;
  }
  auto c = conn();
  if (!c) fail(step, "there is no connection to call");
  for (std::size_t at = 0; at < step.words.size();) {
    make_call(*c, step.words, at, step);
    if (at < step.words.size() && word_at(step, at++, "then") != "then")
      throw ScriptError(step.line, "expected `then` between two calls");
  }
  trace_->poll();
}

/// `on data send 100 then close`: once, from inside the callback.
void Runner::on(const Step& step) {
  pass(step.after);
  const std::string event = word_at(step, 0, "accept, connect, data or fin");
  const auto act = [this, step](Conn& c) {
    for (std::size_t at = 1; at < step.words.size();) {
      make_call(c, step.words, at, step);
      ++at;  // then
    }
  };
  test::App& app = trace_->app;
  if (event == "accept") {
    app.accepted = act;
  } else if (event == "connect") {
    app.connected = act;
  } else if (event == "fin") {
    app.fin = act;
  } else if (event == "data") {
    app.data = [act, &app](Conn& c, const RxView& in) {
      const std::size_t all = in.size();
      const auto once = act;
      app.data = nullptr;
      once(c);
      return all;
    };
  } else {
    throw ScriptError(step.line, "unknown event '" + event + "'; expected one of: accept connect data fin");
  }
}

// --- expectations
// -------------------------------------------------------------------------------------------

std::string Runner::state() {
  if (const auto c = conn()) return std::string{name(c->state())};
  const CoreStats stats = trace_->stats();
  if (stats.time_wait != 0) return "TIME-WAIT";
  return stats.half_open != 0 ? "SYN-RECEIVED" : "CLOSED";
}

/// [<= | >= | < | >] value; `scale` turns what the script writes into the unit of `actual`.
void Runner::expect_number(const Step& step, const std::string& what, double actual, double scale,
                           std::size_t at) {
  std::string relation = word_at(step, at, "a number");
  if (relation == "<=" || relation == ">=" || relation == "<" || relation == ">")
    ++at;
  else
    relation = "=";
  const std::string word = word_at(step, at, "a number");
  if (at + 1 != step.words.size())
    throw ScriptError(step.line, "unknown word '" + step.words[at + 1] + "' after the number");
  const double wanted = word == "infinite" ? double{std::numeric_limits<std::uint32_t>::max()}
                                           : evaluate(word, step.line) * scale;
  const bool holds = relation == "="    ? std::abs(actual - wanted) < 0.5
                     : relation == "<=" ? actual <= wanted
                     : relation == ">=" ? actual >= wanted
                     : relation == "<"  ? actual < wanted
                                        : actual > wanted;
  if (!holds)
    fail(step, what + " is " + number_text(actual / scale) + ", expected " +
                   (relation == "=" ? "" : relation + " ") + word);
}

void Runner::expect_text(const Step& step, const std::string& actual, std::size_t at) {
  const std::string wanted = word_at(step, at, "a name");
  if (actual != wanted) fail(step, step.words[0] + " is " + actual + ", expected " + wanted);
}

/// Names of ConnStats.
bool Runner::expect_of_connection(const Step& step) {
  const std::string& what = step.words[0];
  using S = ConnStats;
  static const std::map<std::string, std::uint32_t S::*> numbers{{"cwnd", &S::congestion_window},
                                                                 {"ssthresh", &S::slow_start_threshold},
                                                                 {"mss", &S::mss},
                                                                 {"flight", &S::flight},
                                                                 {"queued", &S::queued},
                                                                 {"unread", &S::unread},
                                                                 {"out_of_order", &S::out_of_order},
                                                                 {"retransmits", &S::retransmits},
                                                                 {"dup_acks", &S::duplicate_acks},
                                                                 {"send_window", &S::send_window},
                                                                 {"receive_window", &S::receive_window}};
  static const std::map<std::string, Duration S::*> times{
      {"srtt", &S::srtt}, {"rttvar", &S::rttvar}, {"rto", &S::rto}};
  static const std::map<std::string, std::uint64_t S::*> counts{{"sent", &S::bytes_sent},
                                                                {"received", &S::bytes_received}};
  const auto number = numbers.find(what);
  const auto time = times.find(what);
  const auto bytes = counts.find(what);
  if (number == numbers.end() && time == times.end() && bytes == counts.end()) return false;
  const auto c = conn();
  if (!c) fail(step, "there is no connection that could have " + what);
  const ConnStats stats = c->stats();
  if (number != numbers.end())
    expect_number(step, what, stats.*number->second, 1, 1);
  else if (bytes != counts.end())
    expect_number(step, what, static_cast<double>(stats.*bytes->second), 1, 1);
  else
    expect_number(step, what, static_cast<double>((stats.*time->second).count()) / 1000, 1e6,
                  1);  // in microseconds
  return true;
}

/// Counters of the core, drop reasons.
bool Runner::expect_of_core(const Step& step) {
  using S = CoreStats;
  static const std::map<std::string, std::uint64_t S::*> counters{
      {"retransmits", &S::retransmits},
      {"fast_retransmits", &S::fast_retransmits},
      {"timeouts", &S::timeouts},
      {"resets_in", &S::resets_in},
      {"resets_out", &S::resets_out},
      {"challenge_acks", &S::challenge_acks},
      {"out_of_order", &S::out_of_order},
      {"duplicates", &S::duplicates},
      {"zero_window_probes", &S::zero_window_probes},
      {"keepalive_probes", &S::keepalive_probes},
      {"delayed_acks", &S::delayed_acks},
      {"established", &S::established},
      {"half_open_expired", &S::half_open_expired},
      {"connections", &S::connections},
      {"half_open", &S::half_open},
      {"time_wait", &S::time_wait}};
  const CoreStats stats = trace_->stats();
  if (step.words[0] == "stat") {
    const std::string which = word_at(step, 1, "the name of a counter");
    const auto found = counters.find(which);
    if (found == counters.end()) throw ScriptError(step.line, "no such counter: '" + which + "'");
    expect_number(step, which, static_cast<double>(stats.*found->second), 1, 2);
    return true;
  }
  if (step.words[0] != "drop") return false;
  const std::string which = word_at(step, 1, "a drop reason");
  for (std::size_t i = 0; i < drop_count; ++i) {
    if (name(static_cast<Drop>(i)) != which) continue;
    expect_number(step, which, static_cast<double>(stats.drops[i]), 1, 2);
    return true;
  }
  throw ScriptError(step.line, "no such drop reason: '" + which + "'");
}

void Runner::expect(const Step& step) {
  pass(step.after);
  const std::string what = word_at(step, 0, "what to look at");
  if (expect_of_connection(step) || expect_of_core(step)) return;
  const auto& records = trace_->app.records;
  const auto record = records.find(active_ ? *active_ : trace_->app.last());
  if (what == "state") {
    expect_text(step, state(), 1);
  } else if (what == "closed") {
    const bool closed = record != records.end() && record->second.closed;
    expect_text(step, closed ? std::string{name(*record->second.closed)} : "no", 1);
  } else if (what == "read") {
    expect_number(step, what,
                  record == records.end() ? 0 : static_cast<double>(record->second.received.size()), 1, 1);
  } else if (what == "event") {
    const std::string event = word_at(step, 1, "the name of an event");
    expect_number(step, event, trace_->app.count(event), 1, 2);
  } else {
    throw ScriptError(
        step.line,
        "unknown word '" + what +
            "' after expect; expected one of: state closed read event stat drop cwnd ssthresh mss flight "
            "queued unread out_of_order retransmits dup_acks send_window receive_window srtt rttvar rto "
            "sent received");
  }
}

}  // namespace handfast::traces
