// SPDX-License-Identifier: BSD-3-Clause
// The request parser: what is taken, what is refused with which status, and the same at every split.
// Every input is an exact-size heap block, so that ASan sees each over-read. Layer: tests.
#include "common/http_request.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace handfast::apps {
namespace {

using Status = RequestParser::Status;

struct Outcome {
  Status status = Status::need_more;
  int http_status = 0;
  bool head = false;
  bool keep_alive = false;
  std::string target;
  std::size_t consumed = 0;  // over all pieces
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

std::vector<std::byte> block(std::string_view text) {
  const auto bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

// Feeds the pieces until the first request is complete or refused.
Outcome feed_pieces(const std::vector<std::string_view>& pieces, const RequestLimits& limits = {}) {
  RequestParser parser;
  Outcome outcome;
  for (const auto piece : pieces) {
    const auto bytes = block(piece);
    const auto result = parser.feed(bytes, limits);
    outcome.status = result.status;
    outcome.http_status = result.http_status;
    outcome.consumed += result.consumed;
    if (result.status == Status::complete) {
      outcome.head = result.request.method == HttpMethod::head;
      outcome.keep_alive = result.request.keep_alive;
      outcome.target = result.request.target;  // a copy, while the block lives
    }
    if (result.status != Status::need_more) break;
    EXPECT_EQ(result.consumed, piece.size());
  }
  return outcome;
}

Outcome parse(std::string_view text, const RequestLimits& limits = {}) { return feed_pieces({text}, limits); }

int refusal(std::string_view text) {
  const auto outcome = parse(text);
  return outcome.status == Status::error ? outcome.http_status : 0;
}

std::string with_fields(std::string_view fields) {
  return "GET / HTTP/1.1\r\nHost: h\r\n" + std::string{fields} + "\r\n";
}

TEST(HttpRequest, get__plain__complete) {
  const std::string text = "GET /a%20b?c=d HTTP/1.1\r\nHost: example\r\n\r\n";
  EXPECT_EQ(parse(text), (Outcome{Status::complete, 0, false, true, "/a%20b?c=d", text.size()}));
}

TEST(HttpRequest, head_and_connection_close__seen) {
  const auto outcome = parse("HEAD / HTTP/1.1\r\nHost:h\r\nConnection: Foo , CLOSE\r\n\r\n");
  EXPECT_TRUE(outcome.head);
  EXPECT_FALSE(outcome.keep_alive);
}

TEST(HttpRequest, http_1_0__closes_unless_told_otherwise_and_needs_no_host) {
  EXPECT_FALSE(parse("GET / HTTP/1.0\r\n\r\n").keep_alive);
  EXPECT_TRUE(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keep_alive);
  EXPECT_FALSE(parse("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n").keep_alive);
}

TEST(HttpRequest, absolute_form__reduced_to_its_path) {
  EXPECT_EQ(parse("GET http://h:80/x?y HTTP/1.1\r\nHost: h\r\n\r\n").target, "/x?y");
  EXPECT_EQ(parse("GET HTTP://h HTTP/1.1\r\nHost: h\r\n\r\n").target, "/");
  EXPECT_EQ(refusal("GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET http:// HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET * HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
}

TEST(HttpRequest, feed__every_split_in_two__the_same) {
  const std::vector<std::string> texts{
      "\r\nGET /x HTTP/1.1\r\nHost: h\r\nUser-Agent: t\r\n\r\n",
      "GET /y HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\n1234567",
      "GET http://h HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
      "POST / HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET / HTTP/1.1\nHost: h\n\n",
      "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
  };
  for (const auto& text : texts) {
    const Outcome whole = parse(text);
    EXPECT_NE(whole.status, Status::need_more);
    for (std::size_t at = 0; at <= text.size(); ++at) {
      Outcome split = feed_pieces({std::string_view{text}.substr(0, at), std::string_view{text}.substr(at)});
      if (whole.status == Status::error) split.consumed = 0;  // how far it got before depends on the split
      EXPECT_EQ(split, whole) << text << " split at " << at;
    }
  }
}

TEST(HttpRequest, feed__byte_by_byte__the_same) {
  const std::string text = "GET /long/path HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody";
  std::vector<std::string_view> pieces;
  for (std::size_t i = 0; i < text.size(); ++i) pieces.push_back(std::string_view{text}.substr(i, 1));
  EXPECT_EQ(feed_pieces(pieces), parse(text));
}

TEST(HttpRequest, feed__three_random_splits_of_random_damage__the_same_verdict) {
  const std::string good =
      "GET /index.html HTTP/1.1\r\nHost: example.org\r\nContent-Length: 9\r\nA: b\r\n\r\n123456789";
  std::mt19937_64 random{11};
  int refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = good;
    for (std::uint64_t changes = random() % 3; changes > 0; --changes) {
      constexpr std::string_view nasty{
          "\0\r\n :,%/\x7f\xff"
          "a9",
          12};
      text[random() % text.size()] = nasty[random() % nasty.size()];
    }
    const Outcome whole = parse(text);
    refused += whole.status == Status::error ? 1 : 0;
    const std::string_view view{text};
    std::size_t a = random() % (text.size() + 1);
    std::size_t b = random() % (text.size() + 1);
    if (a > b) std::swap(a, b);
    Outcome split = feed_pieces({view.substr(0, a), view.substr(a, b - a), view.substr(b)});
    if (whole.status == Status::error) split.consumed = 0;
    EXPECT_EQ(split, whole) << text;
  }
  EXPECT_GT(refused, 1'000);
}

TEST(HttpRequest, feed__two_in_one_piece__one_at_a_time) {
  const auto bytes = block("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
  RequestParser parser;
  const auto first = parser.feed(bytes);
  ASSERT_EQ(first.status, Status::complete);
  EXPECT_EQ(first.request.target, "/1");
  const auto second = parser.feed(std::span{bytes}.subspan(first.consumed));
  ASSERT_EQ(second.status, Status::complete);
  EXPECT_EQ(second.request.target, "/2");
  EXPECT_EQ(first.consumed + second.consumed, bytes.size());
  EXPECT_FALSE(parser.in_request());
}

TEST(HttpRequest, feed__split_one_then_whole_one__nothing_is_left_over) {
  RequestParser parser;
  EXPECT_EQ(parser.feed(block("GET /first HTT")).status, Status::need_more);
  EXPECT_TRUE(parser.in_request());
  EXPECT_EQ(parser.feed(block("P/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")).request.target, "/first");
  const auto bytes = block("GET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
  const auto second = parser.feed(bytes);
  EXPECT_EQ(second.request.target, "/2");
  EXPECT_TRUE(second.request.keep_alive);
  EXPECT_EQ(parser.feed({}).status, Status::need_more);
  EXPECT_FALSE(parser.in_request());
}

TEST(HttpRequest, body__by_content_length__skipped_before_complete) {
  RequestParser parser;
  std::vector<std::byte> head = block("GET /kept HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n1234");
  EXPECT_EQ(parser.feed(head).status, Status::need_more);
  std::fill(head.begin(), head.end(), std::byte{0});  // the first piece is gone
  EXPECT_TRUE(parser.in_request());
  const auto rest = parser.feed(block("567890GET /next"));
  ASSERT_EQ(rest.status, Status::complete);
  EXPECT_EQ(rest.consumed, 6U);
  EXPECT_EQ(rest.request.target, "/kept");
}

TEST(HttpRequest, error__further_bytes__the_same_error) {
  RequestParser parser;
  EXPECT_EQ(parser.feed(block("BREW / HTTP/1.1\r\nHost: h\r\n\r\n")).http_status, 501);
  const auto again = parser.feed(block("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_EQ(again.status, Status::error);
  EXPECT_EQ(again.http_status, 501);
}

TEST(HttpRequest, method__known_but_refused_405_unknown_501_no_token_400) {
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH"}) {
    EXPECT_EQ(refusal(std::string{method} + " / HTTP/1.1\r\nHost: h\r\n\r\n"), 405) << method;
  }
  EXPECT_EQ(refusal("get / HTTP/1.1\r\nHost: h\r\n\r\n"), 501);
  EXPECT_EQ(refusal("G\"T / HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal(" / HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
}

TEST(HttpRequest, request_line__malformed__400_and_other_versions_505) {
  for (const char* line :
       {"GET", "GET /", "GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET / HTTP/1.1 ", "GET / x HTTP/1.1",
        "GET / http/1.1", "GET / HTTP/11", "GET / HTTP/1.11", "GET / HTTP/a.b", "GET\t/ HTTP/1.1",
        "GET /\x01 HTTP/1.1", "GET /\xc3\xa4 HTTP/1.1", "GET /a#b HTTP/1.1", "GET a HTTP/1.1"}) {
    EXPECT_EQ(refusal(std::string{line} + "\r\nHost: h\r\n\r\n"), 400) << line;
  }
  EXPECT_EQ(refusal("GET / HTTP/2.0\r\nHost: h\r\n\r\n"), 505);
  EXPECT_EQ(refusal("GET / HTTP/1.2\r\nHost: h\r\n\r\n"), 505);
}

TEST(HttpRequest, host__missing_or_repeated__400) {
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.0\r\nHost: a\r\nhOsT: b\r\n\r\n"), 400);
}

TEST(HttpRequest, fields__malformed__400) {
  for (const char* field :
       {"NoColon", ": x", "A B: c", "A : b", " A: b", "\tA: b", "A: b\x01", "A: \x7f", "A\x80: b"}) {
    EXPECT_EQ(refusal(with_fields(std::string{field} + "\r\n")), 400) << field;
  }
  EXPECT_EQ(parse(with_fields("A:\r\nB: \t \r\nC: x\ty\xff\r\n")).status, Status::complete);
}

TEST(HttpRequest, sec_C22__nul_or_bare_line_end__400) {
  EXPECT_EQ(refusal(with_fields(std::string_view{"A: \0b\r\n", 7})), 400);
  EXPECT_EQ(refusal(std::string_view{"GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", 28}), 400);
  EXPECT_EQ(refusal(with_fields("A: b\n")), 400);
  EXPECT_EQ(refusal(with_fields("A: b\rC: d\r\n")), 400);
  EXPECT_EQ(refusal("\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: h\r\n\n"), 400);
}

TEST(HttpRequest, sec_C22__content_length_and_transfer_encoding__400) {
  EXPECT_EQ(refusal(with_fields("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")), 400);
  EXPECT_EQ(refusal(with_fields("transfer-encoding: chunked\r\ncontent-length: 0\r\n")), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
  EXPECT_EQ(refusal(with_fields("Transfer-Encoding: chunked\r\n")), 411);
}

TEST(HttpRequest, sec_C22__content_length_not_one_number__400) {
  for (const char* value : {"", " ", "-1", "+1", "1a", "0x5", "1 2", "1,1", "1.0", "18446744073709551616",
                            "99999999999999999999999999"}) {
    EXPECT_EQ(refusal(with_fields("Content-Length: " + std::string{value} + "\r\n")), 400) << value;
  }
  EXPECT_EQ(refusal(with_fields("Content-Length: 1\r\nContent-Length: 1\r\n")), 400);
  EXPECT_EQ(refusal(with_fields("Content-Length: 18446744073709551615\r\n")), 413);
}

TEST(HttpRequest, sec_C22__body_limit__413_beyond_it) {
  RequestLimits limits;
  limits.body_bytes = 4;
  EXPECT_EQ(parse(with_fields("Content-Length: 4\r\n") + "1234", limits).status, Status::complete);
  EXPECT_EQ(parse(with_fields("Content-Length: 5\r\n") + "12345", limits).http_status, 413);
}

TEST(HttpRequest, expectation__of_a_body_nobody_wants__417) {
  EXPECT_EQ(refusal(with_fields("Expect: 100-continue\r\nContent-Length: 5\r\n")), 417);
  EXPECT_EQ(parse(with_fields("Expect: 100-continue\r\n")).status, Status::complete);
}

// The limits, each met exactly, then exceeded by one; whole and byte by byte.
void expect_limit(const std::string& fits, const std::string& exceeds, int http_status) {
  EXPECT_EQ(parse(fits).status, Status::complete);
  EXPECT_EQ(parse(exceeds).http_status, http_status);
  RequestParser parser;
  RequestParser::Result result;
  for (const char& c : exceeds) {
    result = parser.feed(as_bytes({&c, 1}));
    if (result.status != Status::need_more) break;
  }
  EXPECT_EQ(result.http_status, http_status);
}

TEST(HttpRequest, sec_C22__request_line__8_KiB_and_then_414) {
  const auto request = [](std::size_t line) {
    return "GET /" + std::string(line - 14, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n";
  };
  expect_limit(request(8 * 1024), request(8 * 1024 + 1), 414);
  EXPECT_EQ(refusal(std::string(9'000, 'x')), 414);  // without any end
}

TEST(HttpRequest, sec_C22__head__16_KiB_and_then_431) {
  const std::string around = with_fields("A: \r\n");
  const auto request = [&](std::size_t size) {
    return with_fields("A: " + std::string(size - around.size(), 'x') + "\r\n");
  };
  EXPECT_EQ(request(16 * 1024).size(), 16U * 1024);
  expect_limit(request(16 * 1024), request(16 * 1024 + 1), 431);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nA: " + std::string(20'000, 'x')), 431);
}

TEST(HttpRequest, sec_C22__fields__100_and_then_431) {
  const auto request = [](int fields) {
    std::string text;
    for (int i = 1; i < fields; ++i) text += "A: b\r\n";  // Host is one already
    return with_fields(text);
  };
  expect_limit(request(100), request(101), 431);
}

TEST(HttpRequest, sec_C22__empty_lines_without_end__431) {
  std::string text;
  for (int i = 0; i < 9'000; ++i) text += "\r\n";
  EXPECT_EQ(refusal(text), 431);
}

TEST(HttpAnswer, response_head__both_writers__the_same_text) {
  const ResponseHead head{200, 1234, "text/html", "Sun, 06 Nov 1994 08:49:37 GMT", false};
  const std::string expected =
      "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nContent-Type: text/html\r\n"
      "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(make_response(head), expected);
  for (std::size_t room = 0; room < 400; ++room) {
    std::vector<std::byte> out(room);
    const std::size_t length = write_response_head(out, head);
    EXPECT_EQ(length, room < expected.size() ? 0 : expected.size());
    EXPECT_EQ(as_text(std::span{out}.first(length)), std::string_view{expected}.substr(0, length));
  }
  EXPECT_EQ(make_response({.http_status = 404, .content_length = 2}, "no"),
            "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nno");
}

TEST(HttpAnswer, response_head__longest_of_all__within_the_room_asked_for) {
  const ResponseHead head{431, UINT64_MAX, "", "", true};
  std::vector<std::byte> out(200);
  EXPECT_EQ(write_response_head(out, head), make_response(head).size());
}

TEST(HttpAnswer, error_response__length_is_right_and_405_names_the_methods) {
  const std::string text = make_error_response(405);
  EXPECT_TRUE(text.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
  EXPECT_NE(text.find("\r\nAllow: GET, HEAD\r\n"), std::string::npos);
  EXPECT_NE(text.find("\r\nConnection: close\r\n"), std::string::npos);
  const std::string body = text.substr(text.find("\r\n\r\n") + 4);
  EXPECT_NE(text.find("Content-Length: " + std::to_string(body.size()) + "\r\n"), std::string::npos);
}

TEST(HttpAnswer, content_type__by_the_last_extension_in_any_case) {
  EXPECT_EQ(content_type_of("/a/b.HTML"), "text/html; charset=utf-8");
  EXPECT_EQ(content_type_of("x.tar.gz"), "application/gzip");
  EXPECT_EQ(content_type_of("/a.html/b"), "application/octet-stream");
  EXPECT_EQ(content_type_of(""), "application/octet-stream");
  EXPECT_EQ(content_type_of("a."), "application/octet-stream");
}

}  // namespace
}  // namespace handfast::apps
