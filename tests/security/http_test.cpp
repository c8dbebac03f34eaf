// SPDX-License-Identifier: BSD-3-Clause
// Attacks on the web server of the apps: heads that are too long, lengths that lie, requests that never end. Rows C18 and C22
// of docs/security-limits.md. Layer: tests of security, the handler behind a stack, through frames.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "crowd.hpp"
#include "serve_http.hpp"

namespace handfast::test {
namespace {

using apps::HttpContent;
using apps::HttpServer;

/// The server on port 8080 of the world; the scripted peer asks.
struct Web {
  Web() { listen(); }
  explicit Web(CoreConfig config) : w(std::move(config)) { listen(); }

  std::unique_ptr<Peer> open(Port port = 30000) {
    auto p = w.t.another_peer(port);
    p->stack.port = 8080;
    p->open();
    return p;
  }
  /// In segments; what came back, FIN as "|" and RST as "!".
  std::string ask(Peer& p, std::string_view bytes, std::size_t piece = 1400) {
    std::string got;
    for (std::size_t at = 0; at < bytes.size() || at == 0; at += piece) {
      p.ack().data(std::string{bytes.substr(at, piece)});
      got += take(p);
    }
    w.t.advance(100ms);
    return got + take(p);
  }
  std::string take(Peer& p) {
    std::string got;
    while (const auto in = p.poll()) {
      got += in->payload;
      if (in->has(FIN)) got += '|';
      if (in->has(RST)) got += '!';
    }
    return got;
  }
  /// Answered with this status, and no further request is heard on that connection.
  void expect_refused(const std::string& request, const std::string& status) {
    auto p = open();
    const std::string answer = ask(*p, request);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + status + " ")) << request.substr(0, 60) << " -> " << answer;
    EXPECT_NE(answer.find('|'), std::string::npos) << "closed";
    EXPECT_EQ(ask(*p, "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"), "") << "what follows is no request";
    w.t.advance(HttpServer::linger + 1s);
    take(*p);
    EXPECT_EQ(w.t.stats().connections, 1u) << "gone, and the innocent one is left";
  }

  HttpContent content = HttpContent::fixed(100);
  HttpServer server{content};
  SecurityWorld w;

 private:
  void listen() {
    w.most_out_per_in = 20;
    EXPECT_TRUE(w.t.core().listen_with({any, 8080}, *w.t.core().add_handler_ref(server)));
  }
};

const std::string line = "GET / HTTP/1.1\r\nHost: h\r\n";

// RFC 9112 sections 3, 5, 6, 11
TEST(SecurityC, sec_C22__heads_and_lengths_that_lie__refused_and_closed) {
  Web web;
  const std::string nul{"GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", 36};
  std::string many = line;
  for (int i = 0; i < 200; ++i) many += "X" + std::to_string(i) + ": y\r\n";
  const std::vector<std::pair<std::string, std::string>> rows = {
      {line + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
      {line + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello", "400"},
      {line + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "400"},
      {line + "Content-Length: 5, 5\r\n\r\nhello", "400"},
      {line + "Content-Length: +5\r\n\r\nhello", "400"},
      {line + "Content-Length: -1\r\n\r\n", "400"},
      {line + "Content-Length: 0x10\r\n\r\n", "400"},
      {line + "Content-Length: 18446744073709551616\r\n\r\n", "400"},
      {line + "Content-Length: 99999999999999999999999999\r\n\r\n", "400"},
      {line + "Content-Length: 18446744073709551615\r\n\r\n", "413"},
      {line + "Content-Length: 1048577\r\n\r\n", "413"},
      {line + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", "411"},
      {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "400"},
      {nul, "400"},
      {"GET / HTTP/1.1\nHost: h\n\n", "400"},
      {"GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost : h\r\n\r\n", "400"},
      {line + " folded: x\r\n\r\n", "400"},
      {line + "Host: other\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\n\r\n", "400"},
      {"GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n", "414"},
      {line + "X: " + std::string(20000, 'b') + "\r\n\r\n", "431"},
      {many + "\r\n", "431"},
  };
  for (const auto& [request, status] : rows) {
    web.expect_refused(request, status);
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_EQ(web.server.counters().requests, rows.size()) << "each was one, and none was smuggled behind it";
}

TEST(SecurityC, sec_C22__endless_head__refused_at_its_limit_however_it_is_cut) {
  for (const std::size_t piece : {1400u, 100u}) {
    Web web;
    auto p = web.open();
    std::string got;
    std::size_t sent = 0;
    for (const std::string part = std::string(piece, 'x'); got.empty() && sent < 100000; sent += piece)
      got += web.ask(*p, sent == 0 ? line + "X: " : part, piece);
    EXPECT_TRUE(got.starts_with("HTTP/1.1 431 ")) << got;
    EXPECT_LE(sent, 16384u + 2 * piece);
    web.w.t.advance(HttpServer::linger + 1s);
    web.take(*p);
  }
}

TEST(SecurityC, sec_C22__requests_in_a_row_whose_answers_are_not_read__held_by_the_send_buffer_and_answered_in_order) {
  CoreConfig config = small_config();
  config.tcp.send_buffer = 16384;
  Web web{config};
  auto p = web.open();
  p->ack().window(0);
  std::string requests;
  for (int i = 0; i < 1000; ++i) requests += line + "\r\n";
  std::size_t sent = 0;
  for (; sent < requests.size(); sent += 1350) {
    p->ack().data(requests.substr(sent, 1350));
    web.take(*p);
  }
  EXPECT_LE(web.server.counters().requests, 16384 / 150u + 2) << "the rest waits until it can be answered";
  p->window = 65535;
  std::size_t answers = 0;
  for (int i = 0; i < 2000 && answers < 1000; ++i) {
    p->ack().seq(p->snd_nxt);
    web.w.t.advance(50ms);
    const std::string got = web.take(*p);
    for (std::size_t at = got.find("HTTP/1.1 200"); at != std::string::npos; at = got.find("HTTP/1.1 200", at + 1)) ++answers;
  }
  EXPECT_EQ(answers, 1000u);
}

// CVE-2007-6750
TEST(SecurityC, sec_C18__slow_loris__a_request_in_drops_is_ended_by_its_deadline_and_others_are_served) {
  const int n = static_cast<int>(scaled(5000, 200));
  CoreConfig config = small_config();
  config.limits.connections = static_cast<std::uint32_t>(n) + 16;
  config.limits.state_bytes = 64;
  Web web{config};
  std::vector<std::unique_ptr<Peer>> crowd;
  for (int i = 0; i < n; ++i) {
    crowd.push_back(web.open(static_cast<Port>(2000 + i)));
    crowd.back()->ack().data("G");
    web.take(*crowd.back());
  }
  int served = 0;
  for (int second = 0; second < 25; second += 5) {
    web.w.t.advance(5s);
    for (auto& p : crowd)
      if (second < 15) p->ack().data("E");
    auto honest = web.open(static_cast<Port>(30000 + second));
    served += web.ask(*honest, line + "Connection: close\r\n\r\n").starts_with("HTTP/1.1 200");
    honest->fin();
    web.take(*honest);
    for (auto& p : crowd) web.take(*p);
  }
  EXPECT_EQ(served, 5);
  EXPECT_EQ(web.w.t.stats().connections, 1u) << "all of the slow ones are gone";
}

TEST(SecurityC, sec_C18__request_in_pieces_within_its_deadline__answered_and_the_connection_may_rest_after_it) {
  Web web;
  auto p = web.open();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(web.ask(*p, "GET / HTTP/1.1\r\n"), "");
    web.w.t.advance(15s);
    web.take(*p);
    EXPECT_TRUE(web.ask(*p, "Host: h\r\n\r\n").starts_with("HTTP/1.1 200"));
    p->ack();
    web.w.t.advance(1min);
    EXPECT_EQ(web.take(*p), "") << "no deadline is left over";
  }
}

}  // namespace
}  // namespace handfast::test
