// SPDX-License-Identifier: BSD-3-Clause
// The web server over a link: keep-alive, pipelining, pieces, files larger than any window, refusals. Layer:
// tests.
#include "serve_http.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include "apps/serving.hpp"

namespace handfast::apps {
namespace {

const std::string get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string get_and_close = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
const std::string head = "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n";

class FixedBody : public testing::Test {
 protected:
  HttpContent content = HttpContent::fixed(64);
  Serving<HttpServer> web{{}, content};
  std::string answer{content.answer(HttpMethod::get, true)};
  std::string last_answer{content.answer(HttpMethod::get, false)};
};

TEST_F(FixedBody, keep_alive__connection_stays_open_for_the_next_request) {
  web.connect(get);
  web.receive(answer.size());
  EXPECT_EQ(web.client.received(), answer);
  web.pair.run_for(1s);
  EXPECT_FALSE(web.client.reason());
  EXPECT_FALSE(web.client.record().fin);
  web.say(get_and_close);
  web.client.fin = [](Conn& c) { c.close(); };
  web.run_to_end();
  EXPECT_EQ(web.client.received(), answer + last_answer);
  EXPECT_EQ(web.client.reason(), CloseReason::finished);
  EXPECT_EQ(web.server.counters().requests, 2u);
  EXPECT_EQ(web.server.counters().errors, 0u);
}

TEST_F(FixedBody, connection_close__response_and_fin_leave_in_one_segment) {
  web.connect(get_and_close);
  web.client.fin = [](Conn& c) { c.close(); };
  web.run_to_end();
  EXPECT_EQ(web.client.received(), last_answer);
  EXPECT_EQ(web.client.events.back(), "closed:finished");
  web.pair.run_for(1s);
  // SYN-ACK, response with FIN, the last ACK; and the ARP answer or request.
  const std::size_t arp = 1;
  EXPECT_LE(web.pair.frames(0), 3 + arp);
  EXPECT_LE(web.pair.frames(1), 3 + arp);
}

TEST_F(FixedBody, connection_close__peer_that_keeps_its_side_open_is_given_up) {
  web.connect(get_and_close);
  web.client.fin = [](Conn&) {};
  web.pair.run_for(1s);
  EXPECT_EQ(web.pair.core(0).stats().connections, 1u);
  web.pair.run_for(61s);  // FIN-WAIT-2 of an orphan
  EXPECT_EQ(web.pair.core(0).stats().connections, 0u);
  web.close();
}

TEST_F(FixedBody, second_connection_with_known_bytes__same_answer) {
  for (int i = 0; i < 3; ++i) {
    web.connect(get_and_close);
    web.client.fin = [](Conn& c) { c.close(); };
    web.pair.run_for(1s);
    EXPECT_EQ(web.client.received(), last_answer);
  }
  EXPECT_EQ(web.server.counters().requests, 3u);
}

TEST_F(FixedBody, pipelined__each_is_answered_in_order) {
  web.connect(get + head + get + get_and_close + "rubbish that nobody reads");
  web.client.fin = [](Conn& c) { c.close(); };
  web.run_to_end();
  const std::string head_answer{content.answer(HttpMethod::head, true)};
  EXPECT_EQ(web.client.received(), answer + head_answer + answer + last_answer);
  EXPECT_EQ(web.client.reason(), CloseReason::finished);
}

TEST_F(FixedBody, head__length_of_the_body_and_no_body) {
  web.connect(head);
  web.pair.run_for(1s);
  EXPECT_TRUE(web.client.received().ends_with("\r\n\r\n"));
  EXPECT_NE(web.client.received().find("Content-Length: 64\r\n"), std::string::npos);
  web.close();
}

TEST_F(FixedBody, split_at_every_byte__same_answer) {
  for (std::size_t split = 1; split < get.size(); ++split) {
    web.client.events.clear();
    web.connect(get.substr(0, split));
    web.pair.run_for(50ms);
    ASSERT_EQ(web.client.received(), "") << split;
    web.say(get.substr(split));
    web.pair.run_for(50ms);
    ASSERT_EQ(web.client.received(), answer) << split;
    web.say(get);  // and the parser is in order for the next one
    web.pair.run_for(50ms);
    ASSERT_EQ(web.client.received(), answer + answer) << split;
    web.close();
    web.pair.run_for(50ms);
  }
}

TEST_F(FixedBody, bad_request__400_and_fin_although_the_peer_goes_on_sending) {
  web.connect("GET\n\n");
  web.pair.run_for(50ms);
  EXPECT_TRUE(web.client.received().starts_with("HTTP/1.1 400 ")) << web.client.received();
  EXPECT_TRUE(web.client.record().fin);
  EXPECT_FALSE(web.client.reason());
  web.say("more, which is dropped: no RST that would take the answer away");
  web.pair.run_for(50ms);
  EXPECT_FALSE(web.client.reason());
  web.close();
  web.run_to_end();
  EXPECT_EQ(web.client.reason(), CloseReason::finished);
  EXPECT_EQ(web.server.counters().errors, 1u);
}

TEST_F(FixedBody, bad_request__peer_that_never_closes_is_reset) {
  web.connect("NONSENSE\r\n\r\n");
  web.pair.run_for(HttpServer::linger - 100ms);
  EXPECT_FALSE(web.client.reason());
  web.pair.run_for(200ms);
  EXPECT_EQ(web.client.reason(), CloseReason::reset_by_peer);
}

TEST_F(FixedBody, post__405_of_another_method__501) {
  web.connect("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
  web.client.fin = [](Conn& c) { c.close(); };
  web.run_to_end();
  EXPECT_TRUE(web.client.received().starts_with("HTTP/1.1 405 "));
  web.connect("BREW / HTTP/1.1\r\nHost: h\r\n\r\n");
  web.pair.run_for(1s);
  EXPECT_TRUE(web.client.received().starts_with("HTTP/1.1 501 "));
}

TEST_F(FixedBody, half_close_after_the_request__still_answered) {
  web.connect(get);
  web.client.connected = [](Conn& c) {
    EXPECT_EQ(c.send(get), get.size());
    c.shutdown_write();
  };
  web.run_to_end();
  EXPECT_EQ(web.client.received(), answer);
  EXPECT_EQ(web.client.reason(), CloseReason::finished);
}

/// A tree of files in a directory of its own.
class Files : public testing::Test {
 protected:
  Files() {
    std::string name = (std::filesystem::temp_directory_path() / "handfast-web-XXXXXX").string();
    root = ::mkdtemp(name.data());
    for (std::size_t i = 0; i < 3'000'000; ++i) large += static_cast<char>('a' + i * i % 25);
    std::ofstream(root / "large.bin", std::ios::binary) << large;
    std::ofstream(root / "index.html") << "<p>hello</p>";
    std::ofstream(root / "empty.txt");
    store.emplace(std::move(*FileStore::open(root)));
    content = HttpContent::of(*store);
  }
  ~Files() override { std::filesystem::remove_all(root); }

  static std::string request(std::string_view path, std::string_view more = {}) {
    return "GET " + std::string{path} + " HTTP/1.1\r\nHost: h\r\n" + std::string{more} + "\r\n";
  }
  static std::string body_of(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }

  std::filesystem::path root;
  std::string large;
  std::optional<FileStore> store;
  HttpContent content;
};

TEST_F(Files, directory__its_index_with_its_type) {
  Serving<HttpServer> web{{}, content};
  web.connect(request("/?query", "Connection: close\r\n"));
  web.client.fin = [](Conn& c) { c.close(); };
  web.run_to_end();
  EXPECT_EQ(body_of(web.client.received()), "<p>hello</p>");
  EXPECT_NE(web.client.received().find("Content-Type: text/html"), std::string::npos);
}

TEST_F(Files, missing_and_empty__404_keeps_the_connection_and_empty_is_empty) {
  Serving<HttpServer> web{{}, content};
  web.connect(request("/none") + request("/empty.txt") + request("/../etc/passwd", "Connection: close\r\n"));
  web.client.fin = [](Conn& c) { c.close(); };
  web.run_to_end();
  const std::string& all = web.client.received();
  EXPECT_TRUE(all.starts_with("HTTP/1.1 404 "));
  EXPECT_NE(all.find("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"), std::string::npos);
  EXPECT_NE(all.find("HTTP/1.1 403 "), std::string::npos);
  EXPECT_EQ(web.server.counters().requests, 3u);
  EXPECT_EQ(web.server.counters().errors, 2u);
}

TEST_F(Files, head_of_a_large_file__length_only) {
  Serving<HttpServer> web{{}, content};
  web.connect("HEAD /large.bin HTTP/1.1\r\nHost: h\r\n\r\n");
  web.pair.run_for(1s);
  EXPECT_TRUE(web.client.received().ends_with("\r\n\r\n"));
  EXPECT_NE(web.client.received().find("Content-Length: 3000000\r\n"), std::string::npos);
  web.close();
}

void small_buffers(CoreConfig& config) {
  config.tcp.send_buffer = 4096;
  config.tcp.receive_buffer = 3000;
}

TEST_F(Files, large_file_through_small_buffers__every_byte_then_fin) {
  Serving<HttpServer> web{small_buffers, content};
  web.connect(request("/large.bin", "Connection: close\r\n"));
  web.client.fin = [](Conn& c) { c.close(); };
  web.run_to_end();
  EXPECT_EQ(body_of(web.client.received()), large);
  EXPECT_EQ(web.client.reason(), CloseReason::finished);
}

TEST_F(Files, pipelined_behind_a_large_file__waits_its_turn) {
  Serving<HttpServer> web{small_buffers, content};
  web.connect(request("/large.bin") + request("/") + request("/large.bin", "Connection: close\r\n"));
  web.client.fin = [](Conn& c) { c.close(); };
  web.run_to_end();
  const std::string& all = web.client.received();
  const std::size_t first = all.find(large);
  const std::size_t index = all.find("<p>hello</p>", first + large.size());
  ASSERT_NE(first, std::string::npos);
  ASSERT_NE(index, std::string::npos);
  EXPECT_TRUE(all.ends_with(large));
  EXPECT_GT(all.size(), index + large.size());
  EXPECT_EQ(web.server.counters().requests, 3u);
}

TEST_F(Files, more_sent_while_the_last_answer_is_under_way__no_reset) {
  Serving<HttpServer> web{small_buffers, content};
  web.connect(request("/large.bin", "Connection: close\r\n"));
  web.client.fin = [](Conn& c) { c.close(); };
  web.receive(100'000);
  web.say("this is not even a request");
  web.run_to_end();
  EXPECT_EQ(body_of(web.client.received()), large);
  EXPECT_EQ(web.client.reason(), CloseReason::finished);
}

TEST_F(Files, peer_half_closes_during_a_large_answer__gets_all_of_it) {
  Serving<HttpServer> web{small_buffers, content};
  web.connect({});
  web.client.connected = [&](Conn& c) {
    const std::string text = request("/large.bin");
    EXPECT_EQ(c.send(text), text.size());
    c.shutdown_write();
  };
  web.run_to_end();
  EXPECT_EQ(body_of(web.client.received()), large);
  EXPECT_EQ(web.client.reason(), CloseReason::finished);
}

TEST_F(Files, peer_resets_during_a_large_answer__nothing_is_left) {
  Serving<HttpServer> web{small_buffers, content};
  web.connect(request("/large.bin"));
  web.receive(50'000);
  web.pair.core(1).find(web.client.last())->abort();
  web.run_to_end();
  EXPECT_EQ(web.client.reason(), CloseReason::aborted);
}  // the Pair checks that no extent and no buffer is left

TEST_F(Files, answer_of_a_fixed_body_larger_than_the_send_buffer__streams) {
  const HttpContent big = HttpContent::fixed(100'000);
  Serving<HttpServer> web{small_buffers, big};
  web.connect(get + get_and_close);
  web.client.fin = [](Conn& c) { c.close(); };
  web.run_to_end();
  EXPECT_EQ(web.client.received(),
            std::string{big.answer(HttpMethod::get, true)} + std::string{big.answer(HttpMethod::get, false)});
}

}  // namespace
}  // namespace handfast::apps
