// SPDX-License-Identifier: BSD-3-Clause
// A server handler at one end of a link and a scripted client at the other, in virtual time. Layer: tests.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "support/app.hpp"
#include "support/pair.hpp"

namespace handfast::apps {

using test::App;
using test::LinkRules;
using test::Pair;

inline constexpr Port served_port = 80;
inline const Endpoint served{Pair::address(0), served_port};

template <class Server>
class Serving {
 public:
  template <class... Args>
  explicit Serving(std::function<void(CoreConfig&)> adjust, Args&&... args)
      : server(std::forward<Args>(args)...), pair(seed(), LinkRules{}, std::move(adjust)) {
    auto handler = pair.core(0).add_handler_ref(server);
    EXPECT_TRUE(handler && pair.core(0).listen_with({any, served_port}, *handler));
    client_handler_ = *pair.core(1).add_handler_ref(client);
  }
  /// The link is torn down only when nothing is left on it.
  ~Serving() { EXPECT_TRUE(pair.run_idle(120s)); }

  /// Opens, sends `text` as soon as it is connected, and leaves the rest to the test.
  void connect(std::string text) {
    client.connected = [text = std::move(text)](Conn& c) { EXPECT_EQ(c.send(text), text.size()); };
    ASSERT_TRUE(pair.core(1).connect(served, client_handler_));
  }
  void say(std::string_view text) {
    auto c = pair.core(1).find(client.last());
    ASSERT_TRUE(c);
    ASSERT_EQ(c->send(text), text.size());
  }
  void shut() { pair.core(1).find(client.last())->shutdown_write(); }
  void close() { pair.core(1).find(client.last())->close(); }

  /// Until the client has `bytes` (or more), or its connection is over, or nothing happens for a minute.
  void receive(std::size_t bytes) {
    pair.run_until(
        [&] { return !client.opened.empty() && (client.received().size() >= bytes || client.reason()); },
        60s);
  }
  void run_to_end() {
    pair.run_until([&] { return !client.opened.empty() && client.reason().has_value(); }, 60s);
  }

  Server server;
  App client;
  Pair pair;

 private:
  static std::uint64_t seed() { return 20'250'101; }
  HandlerRef client_handler_;
};

}  // namespace handfast::apps
