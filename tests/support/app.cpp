// SPDX-License-Identifier: BSD-3-Clause
// The recording application; see app.hpp. Layer: test support.
#include "support/app.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace handfast::test {

int App::count(const std::string& event) const { return static_cast<int>(std::ranges::count(events, event)); }

App::Record& App::enter(Conn& c, const State& s, const char* what) {
  EXPECT_EQ(s.mark, State::magic) << what << " with a State that is not alive";
  EXPECT_EQ(&c.user<State>(), &s);
  Record& r = records[c.id()];
  EXPECT_FALSE(r.closed) << what << " after on_closed";
  return r;
}

void App::on_accept(Conn& c, State& s) {
  Record& r = enter(c, s, "on_accept");
  EXPECT_FALSE(r.opened) << "opened twice";
  r.opened = true;
  opened.push_back(c.id());
  events.emplace_back("accept");
  if (accepted) accepted(c);
}

void App::on_connect(Conn& c, State& s) {
  Record& r = enter(c, s, "on_connect");
  EXPECT_FALSE(r.opened) << "opened twice";
  r.opened = true;
  opened.push_back(c.id());
  events.emplace_back("connect");
  if (connected) connected(c);
}

std::size_t App::on_data(Conn& c, State& s, const RxView& in) {
  Record& r = enter(c, s, "on_data");
  EXPECT_TRUE(r.opened) << "data before the connection was announced";
  EXPECT_FALSE(r.fin) << "data after the end of file";
  EXPECT_NE(in.size(), 0u) << "a data callback with nothing in it";
  events.push_back("data:" + std::to_string(in.size()));
  const std::string copy{in.text()};
  const std::size_t taken = data ? std::min(data(c, in), copy.size()) : copy.size();
  r.received += copy.substr(0, taken);
  return taken;
}

void App::on_sent(Conn& c, State& s, std::size_t n) {
  enter(c, s, "on_sent").sent += n;
  if (sent) sent(c, n);
}

void App::on_writable(Conn& c, State& s) {
  ++enter(c, s, "on_writable").writable;
  if (writable) writable(c);
}

void App::on_peer_fin(Conn& c, State& s) {
  Record& r = enter(c, s, "on_peer_fin");
  EXPECT_FALSE(r.fin) << "end of file twice";
  r.fin = true;
  events.emplace_back("fin");
  if (fin) fin(c);
}

void App::on_timer(Conn& c, State& s) {
  ++enter(c, s, "on_timer").timers;
  if (timer) timer(c);
}

void App::on_urgent(Conn& c, State& s) {
  ++enter(c, s, "on_urgent").urgent;
  events.emplace_back("urgent");
  if (urgent) urgent(c);
}

void App::on_unresponsive(Conn& c, State& s) {
  ++enter(c, s, "on_unresponsive").unresponsive;
  if (unresponsive) unresponsive(c);
}

void App::on_closed(ConnId id, State& s, CloseReason why) {
  EXPECT_EQ(s.mark, State::magic) << "on_closed with a State that is not alive";
  Record& r = records[id];
  EXPECT_FALSE(r.closed) << "on_closed twice";
  r.closed = why;
  events.push_back("closed:" + std::string{name(why)});
  if (closed) closed(id, why);
}

}  // namespace handfast::test
