// SPDX-License-Identifier: BSD-3-Clause
// Where a response ends: by length, chunks or the connection's end, at every split, and refused when
// malformed. Layer: tests.
#include "common/http_response.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace handfast::apps {
namespace {

using Status = ResponseParser::Status;

struct Outcome {
  Status status = Status::need_more;
  int code = 0;
  std::uint64_t body = 0;
  bool keep_alive = false;
  std::size_t consumed = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome feed_pieces(const std::vector<std::string_view>& pieces, bool head_request = false) {
  ResponseParser parser;
  parser.expect_no_body(head_request);
  Outcome outcome;
  for (const auto piece : pieces) {
    const std::vector<std::byte> bytes{as_bytes(piece).begin(),
                                       as_bytes(piece).end()};  // exact size, for ASan
    const auto result = parser.feed(bytes);
    outcome.status = result.status;
    outcome.consumed += result.consumed;
    if (result.status != Status::need_more) break;
    EXPECT_EQ(result.consumed, piece.size());
  }
  if (outcome.status == Status::error) return {Status::error, 0, 0, false, 0};
  outcome.code = parser.http_status();
  outcome.body = parser.body_bytes();
  outcome.keep_alive = parser.keep_alive();
  return outcome;
}

Outcome parse(std::string_view text, bool head_request = false) { return feed_pieces({text}, head_request); }

const std::string chunked_head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

TEST(HttpResponse, content_length__body_counted_and_rest_left) {
  const std::string text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
  EXPECT_EQ(parse(text + "HTTP/1.1"), (Outcome{Status::complete, 200, 5, true, text.size()}));
  EXPECT_EQ(parse(text.substr(0, text.size() - 1)).status, Status::need_more);
}

TEST(HttpResponse, feed__every_split__the_same) {
  const std::vector<std::string> texts{
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
      "HTTP/1.1 404 \r\ncontent-length: 0\r\n\r\n",
      chunked_head + "5\r\nhello\r\nA;x=\"y\"\r\n0123456789\r\n000\r\nTrailer: t\r\n\r\n",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
      "2\r\n\r\nok",
      "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
      "HTTP/1.1 204 No Content\r\n\r\n",
      chunked_head + "5\r\nhelloX\r\n",
      "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
  };
  for (const auto& text : texts) {
    const Outcome whole = parse(text);
    EXPECT_NE(whole.status, Status::need_more) << text;
    const std::string_view view{text};
    for (std::size_t a = 0; a <= text.size(); ++a) {
      EXPECT_EQ(feed_pieces({view.substr(0, a), view.substr(a)}), whole) << text << " at " << a;
      for (std::size_t b = a; b <= text.size(); b += 3) {
        EXPECT_EQ(feed_pieces({view.substr(0, a), view.substr(a, b - a), view.substr(b)}), whole) << text;
      }
    }
  }
}

TEST(HttpResponse, chunked__data_counted_without_the_framing) {
  const auto outcome = parse(chunked_head + "5\r\nhello\r\na ; x\r\n0123456789\r\n0\r\nA: b\r\nC: d\r\n\r\n");
  EXPECT_EQ(outcome.status, Status::complete);
  EXPECT_EQ(outcome.body, 15U);
  EXPECT_TRUE(outcome.keep_alive);
}

TEST(HttpResponse, chunked__malformed__error) {
  for (const char* body : {"\r\n", "x\r\n", "5\nhello\r\n", "5\r\nhello\n", "5\r\nhelloX", "5;\n", "-5\r\n",
                           "0x5\r\n", "5\rX", "0\r\n\n", "0\r\nA: b\n", "0\r\n\rX", ";\r\n"}) {
    EXPECT_EQ(parse(chunked_head + body).status, Status::error) << body;
  }
}

TEST(HttpResponse, sec_C22__chunk_size_overflow_and_endless_lines__error) {
  EXPECT_EQ(parse(chunked_head + "ffffffffffffffff\r\n").status, Status::error);
  EXPECT_EQ(parse(chunked_head + "10000000000000005\r\nhello").status, Status::error);
  EXPECT_EQ(parse(chunked_head + "fffffffffffffff\r\n").status, Status::need_more);  // below 2^60
  EXPECT_EQ(parse(chunked_head + std::string(5'000, '0')).status, Status::error);
  EXPECT_EQ(parse(chunked_head + "5;" + std::string(5'000, 'x')).status, Status::error);
  EXPECT_EQ(parse(chunked_head + "0\r\n" + std::string(17'000, 'x')).status, Status::error);
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nA: " + std::string(70'000, 'x')).status, Status::error);
}

TEST(HttpResponse, until_close__complete_only_when_the_peer_closes) {
  ResponseParser parser;
  EXPECT_EQ(parser.feed(as_bytes("HTTP/1.1 200 OK\r\n\r\nsome")).status, Status::need_more);
  EXPECT_EQ(parser.feed(as_bytes(" more")).status, Status::need_more);
  EXPECT_EQ(parser.finish(), Status::complete);
  EXPECT_EQ(parser.body_bytes(), 9U);
  EXPECT_FALSE(parser.keep_alive());
}

TEST(HttpResponse, finish__in_the_middle__error) {
  for (const char* part : {"", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"}) {
    ResponseParser parser;
    EXPECT_EQ(parser.feed(as_bytes(part)).status, Status::need_more);
    EXPECT_EQ(parser.finish(), Status::error) << part;
    EXPECT_EQ(parser.feed(as_bytes("x")).status, Status::error);
  }
}

TEST(HttpResponse, no_body__head_request_204_304__ends_with_the_head) {
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", true).status, Status::complete);
  EXPECT_EQ(parse("HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n").status, Status::complete);
  EXPECT_EQ(parse("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n").status, Status::complete);
}

TEST(HttpResponse, keep_alive__by_version_and_connection_field) {
  const std::string rest = "Content-Length: 0\r\n\r\n";
  EXPECT_TRUE(parse("HTTP/1.1 200 OK\r\n" + rest).keep_alive);
  EXPECT_FALSE(parse("HTTP/1.1 200 OK\r\nConnection: x, Close\r\n" + rest).keep_alive);
  EXPECT_FALSE(parse("HTTP/1.0 200 OK\r\n" + rest).keep_alive);
  EXPECT_TRUE(parse("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + rest).keep_alive);
}

TEST(HttpResponse, feed__several_on_one_connection__each_counted_anew) {
  const std::string one = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
  const std::string stream = one + one + chunked_head + "1\r\nx\r\n0\r\n\r\n" + one;
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    ResponseParser parser;
    std::vector<std::uint64_t> bodies;
    for (std::size_t at = 0; at < stream.size();) {
      const auto result = parser.feed(as_bytes(std::string_view{stream}.substr(at, piece)));
      ASSERT_NE(result.status, Status::error);
      if (result.status == Status::complete) bodies.push_back(parser.body_bytes());
      at += result.consumed;
    }
    EXPECT_EQ(bodies, (std::vector<std::uint64_t>{3, 3, 1, 3})) << piece;
  }
}

TEST(HttpResponse, head__malformed__error) {
  for (const char* text :
       {"HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 099 X\r\n\r\n", "hello\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    EXPECT_EQ(parse(text).status, Status::error) << text;
  }
}

TEST(HttpResponse, interim__more_than_eight__error) {
  std::string text;
  for (int i = 0; i < 8; ++i) text += "HTTP/1.1 100 Continue\r\n\r\n";
  const std::string last = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(parse(text + last).status, Status::complete);
  EXPECT_EQ(parse(text + "HTTP/1.1 100 Continue\r\n\r\n" + last).status, Status::error);
}

TEST(HttpResponse, feed__random_damage__terminates_and_never_consumes_more_than_given) {
  const std::string good = chunked_head + "5\r\nhello\r\nA;x\r\n0123456789\r\n0\r\nT: t\r\n\r\n";
  std::mt19937_64 random{5};
  for (int round = 0; round < 20'000; ++round) {
    std::string text = good;
    for (std::uint64_t changes = random() % 4; changes > 0; --changes) {
      text[random() % text.size()] = static_cast<char>(random());
    }
    const Outcome whole = parse(text);
    const std::size_t at = random() % (text.size() + 1);
    const std::string_view view{text};
    EXPECT_EQ(feed_pieces({view.substr(0, at), view.substr(at)}), whole);
    EXPECT_LE(whole.consumed, text.size());
  }
}

}  // namespace
}  // namespace handfast::apps
