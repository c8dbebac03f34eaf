// SPDX-License-Identifier: BSD-3-Clause
// The memos beside the bare parsers, over streams that repeat and change: nobody can tell them apart.
// Layer: tests.
#include "common/http_memo.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace handfast::apps {
namespace {

const std::string length_head = "HTTP/1.1 200 OK\r\nContent-Length: ";

std::vector<std::byte> block(std::string_view text) { return {as_bytes(text).begin(), as_bytes(text).end()}; }

TEST(RequestMemo, feed__random_pieces_over_many_connections__same_as_the_parser_alone) {
  const std::vector<std::string> texts{
      "GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET /b HTTP/1.1\r\nHost: h\r\n\r\n",  // as long as the first
      "HEAD http://h HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET /c HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nxy",
      "GET /d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
      "GET /" + std::string(3000, 'e') + " HTTP/1.1\r\nHost: h\r\n\r\n",
      "NONE / HTTP/1.1\r\nHost: h\r\n\r\n",
  };
  RequestMemo memo;
  std::mt19937_64 random{3};
  for (int connection = 0; connection < 2'000; ++connection) {
    RequestParser with, without;
    std::string stream;
    for (int i = 0; i < 6; ++i) stream += texts[random() % (connection % 2 == 0 ? 3 : texts.size())];
    std::string_view left{stream};
    while (!left.empty()) {
      const std::size_t ends[] = {left.find("\r\n\r\n") + 4, left.size(), random() % left.size() + 1};
      const auto bytes = block(left.substr(0, ends[random() % 3]));
      const auto a = memo.feed(with, bytes);
      const auto b = without.feed(bytes);
      ASSERT_EQ(a.status, b.status);
      ASSERT_EQ(a.http_status, b.http_status);
      ASSERT_EQ(a.consumed, b.consumed);
      ASSERT_EQ(a.request.target, b.request.target);
      ASSERT_EQ(a.request.method, b.request.method);
      ASSERT_EQ(a.request.keep_alive, b.request.keep_alive);
      if (b.status == RequestParser::Status::error) break;
      left.remove_prefix(b.consumed);
    }
  }
}

TEST(RequestMemo, feed__known_request_after_an_error__still_the_error) {
  RequestMemo memo;
  const auto good = block("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
  RequestParser first, second;
  EXPECT_EQ(memo.feed(first, good).status, RequestParser::Status::complete);
  EXPECT_EQ(memo.feed(second, block("\n")).status, RequestParser::Status::error);
  EXPECT_EQ(memo.feed(second, good).status, RequestParser::Status::error);
}

TEST(RequestMemo, feed__known_request__target_outlives_the_bytes_that_taught_it) {
  RequestMemo memo;
  RequestParser parser;
  auto taught = block("GET /kept HTTP/1.1\r\nHost: h\r\n\r\n");
  const auto again = taught;
  (void)memo.feed(parser, taught);
  std::fill(taught.begin(), taught.end(), std::byte{0});
  EXPECT_EQ(memo.feed(parser, again).request.target, "/kept");
}

TEST(ResponseMemo, feed__random_pieces_over_many_connections__same_as_the_parser_alone) {
  const std::vector<std::string> texts{
      length_head + "3\r\n\r\nabc",
      length_head + "0\r\n\r\n",
      length_head + "0\r\nConnection: close\r\n\r\n",
      length_head + "3000\r\n\r\n" + std::string(3000, 'x'),
      "HTTP/1.1 204 No Content\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
  };
  ResponseMemo memo;
  std::mt19937_64 random{4};
  for (int connection = 0; connection < 2'000; ++connection) {
    ResponseParser with, without;
    // To a HEAD, responses without bodies only: else the bodies would be taken for the next heads, and fail.
    const bool head_request = connection % 5 == 0;
    with.expect_no_body(head_request);
    without.expect_no_body(head_request);
    std::string stream;
    for (int i = 0; i < 6; ++i)
      stream += head_request ? texts[1 + random() % 2] : texts[random() % texts.size()];
    std::string_view left{stream};
    while (!left.empty()) {
      const std::size_t ends[] = {left.find("\r\n\r\n") + 4, left.size(), random() % left.size() + 1,
                                  texts[0].size()};
      const auto bytes = block(left.substr(0, ends[random() % 4]));
      const auto a = memo.feed(with, bytes);
      const auto b = without.feed(bytes);
      ASSERT_EQ(a.status, b.status);
      ASSERT_EQ(a.consumed, b.consumed);
      ASSERT_EQ(with.http_status(), without.http_status());
      ASSERT_EQ(with.body_bytes(), without.body_bytes());
      ASSERT_EQ(with.keep_alive(), without.keep_alive());
      ASSERT_NE(b.status, ResponseParser::Status::error);
      left.remove_prefix(b.consumed);
    }
  }
}

TEST(ResponseMemo, feed__same_bytes_to_get_and_head__told_apart) {
  ResponseMemo memo;
  const auto head_only = block(length_head + "3\r\n\r\n");
  ResponseParser to_head, to_get;
  to_head.expect_no_body(true);
  EXPECT_EQ(memo.feed(to_head, head_only).status, ResponseParser::Status::complete);
  EXPECT_EQ(memo.feed(to_get, head_only).status, ResponseParser::Status::need_more);
}

}  // namespace
}  // namespace handfast::apps
