// SPDX-License-Identifier: BSD-3-Clause
// F9: the parsers of HTTP requests and responses. What they say of a stream does not depend on how it is cut, and keeps
// the limits; what the writer makes of a head is read back. Layer: fuzz.
// Input: one byte for request or response and limits, one for where the stream is cut, then the stream.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "base/rng.hpp"
#include "common/http_request.hpp"
#include "common/http_response.hpp"
#include "fuzz/fuzz.hpp"

namespace handfast::fuzz {
namespace {

using namespace handfast::apps;

constexpr std::size_t most_messages = 8, most_target = 128;
constexpr std::size_t most_stream = 20000;  // more than the longest trailer and the longest line of a size

/// What was understood of a stream, as far as it went.
struct Outcome {
  struct Message {
    std::uint32_t status = 0;
    std::uint64_t body = 0, end = 0;
    bool keep_alive = false, head = false;
    std::size_t target_length = 0;
    std::array<char, most_target> target{};
    friend bool operator==(const Message&, const Message&) = default;
  };
  std::array<Message, most_messages> messages{};
  std::size_t count = 0;
  bool failed = false, open = false;
  std::uint32_t error = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

/// Cuts a stream into pieces, each in a block of its own so that nobody reads into the next.
class Pieces {
 public:
  Pieces(std::span<const std::byte> stream, std::uint64_t seed) : left_(stream), rng_(seed), whole_(seed == 0) {}
  [[nodiscard]] bool done() const { return left_.empty(); }
  [[nodiscard]] std::span<const std::byte> next() {
    const std::uint32_t most = whole_ ? 0u : rng_.below(4) == 0 ? 64u : 4u;
    const std::size_t n = whole_ ? left_.size() : std::min<std::size_t>(1 + rng_.below(most), left_.size());
    current_ = block_.place(left_.first(n));
    left_ = left_.subspan(n);
    return current_;
  }
  /// What was not consumed comes again, with what follows.
  void put_back(std::span<const std::byte> stream, std::size_t consumed) { left_ = stream.subspan(consumed); }

 private:
  std::span<const std::byte> left_, current_;
  Rng rng_;
  bool whole_;
  static inline ExactBlock<most_stream> block_;
};

Outcome read_requests(std::span<const std::byte> stream, std::uint64_t seed, const RequestLimits& limits) {
  Outcome out;
  RequestParser parser;
  Pieces pieces{stream, seed};
  std::size_t at = 0;  // in the stream, of the next byte to feed
  while (!pieces.done() && out.count < most_messages) {
    const auto piece = pieces.next();
    const RequestParser::Result result = parser.feed(piece, limits);
    FUZZ_CHECK(result.consumed <= piece.size());
    if (result.status == RequestParser::Status::error) {
      FUZZ_CHECK(result.http_status >= 400 && result.http_status < 600);
      FUZZ_CHECK(parser.feed(piece, limits).http_status == result.http_status);
      out.failed = true;
      out.error = result.http_status;
      return out;
    }
    if (result.status == RequestParser::Status::need_more) {
      FUZZ_CHECK(result.consumed == piece.size());
      at += piece.size();
      continue;
    }
    FUZZ_CHECK(result.consumed != 0 || stream.size() != 0);
    at += result.consumed;
    pieces.put_back(stream, at);
    Outcome::Message& m = out.messages[out.count++];
    m.end = at;
    m.keep_alive = result.request.keep_alive;
    m.head = result.request.method == HttpMethod::head;
    const std::string_view target = result.request.target;
    FUZZ_CHECK(!target.empty() && target.front() == '/' && is_target(target));
    FUZZ_CHECK(target.size() <= limits.head.first_line_bytes);
    m.target_length = target.size();
    std::copy_n(target.begin(), std::min(target.size(), most_target), m.target.begin());
  }
  out.open = parser.in_request();
  FUZZ_CHECK(parser.between_requests() == !out.open);
  return out;
}

Outcome read_responses(std::span<const std::byte> stream, std::uint64_t seed, bool head) {
  Outcome out;
  ResponseParser parser;
  parser.expect_no_body(head);
  FUZZ_CHECK(parser.expects_no_body() == head);
  Pieces pieces{stream, seed};
  std::size_t at = 0;
  while (!pieces.done() && out.count < most_messages) {
    const auto piece = pieces.next();
    const ResponseParser::Result result = parser.feed(piece);
    FUZZ_CHECK(result.consumed <= piece.size());
    if (result.status == ResponseParser::Status::error) {
      FUZZ_CHECK(parser.feed(piece).status == ResponseParser::Status::error);
      out.failed = true;
      return out;
    }
    at += result.status == ResponseParser::Status::need_more ? piece.size() : result.consumed;
    if (result.status == ResponseParser::Status::need_more) {
      FUZZ_CHECK(result.consumed == piece.size());
      continue;
    }
    pieces.put_back(stream, at);
    FUZZ_CHECK(parser.between_responses() && parser.http_status() >= 100 && parser.http_status() <= 999);
    FUZZ_CHECK(parser.body_bytes() <= at && (!head || parser.body_bytes() == 0));
    out.messages[out.count++] = {parser.http_status(), parser.body_bytes(), at, parser.keep_alive(), head, 0, {}};
  }
  out.open = !parser.between_responses();
  if (out.open && parser.finish() == ResponseParser::Status::complete) out.messages[0].body += parser.body_bytes();
  return out;
}

/// An error is told whole, and is the last on its connection.
void check_error_page(std::uint16_t status) {
  const std::string page = make_error_response(status);
  ResponseParser parser, knows;
  const auto result = parser.feed(as_bytes(page));
  const bool empty = status == 204 || status == 304;
  FUZZ_CHECK(result.status == ResponseParser::Status::complete && (empty || result.consumed == page.size()));
  FUZZ_CHECK(parser.http_status() == status && !parser.keep_alive() && (parser.body_bytes() != 0) != empty);
  FUZZ_CHECK((status == 405) == (page.find("\r\nAllow: ") != std::string::npos));
  knows.set_complete(parser.http_status(), parser.body_bytes(), parser.keep_alive());
  FUZZ_CHECK(knows.http_status() == parser.http_status() && knows.body_bytes() == parser.body_bytes() && !knows.keep_alive());
}

/// A head that we write is one that we read.
void check_written(Reader& in) {
  ResponseHead head;
  static constexpr std::uint16_t codes[] = {200, 304, 400, 403, 404, 405, 408, 411, 413, 414, 417, 431, 500, 501, 503, 505, 204};
  head.http_status = codes[in.u8() % std::size(codes)];
  head.keep_alive = (in.u8() & 1) != 0;
  head.content_length = head.http_status == 304 || head.http_status == 204 ? 0 : in.u16();
  static constexpr std::string_view paths[] = {"/a.html", "/b.css", "/", "/c.tar.gz", "/.x", "/d.", "plain", "file.JPEG"};
  head.content_type = content_type_of(paths[in.u8() % std::size(paths)]);
  const unsigned fields = in.u8();
  if ((fields & 1) != 0) head.date = "Sun, 06 Nov 1994 08:49:37 GMT";
  if ((fields & 2) != 0) head.content_type = {};
  std::array<std::byte, 512> room;
  const std::size_t length = write_response_head(room, head);
  FUZZ_CHECK(length != 0 && length <= room.size());
  FUZZ_CHECK(write_response_head(std::span{room}.first(in.u16() % length), head) == 0);
  // Less room than the estimate wants, and yet enough.
  FUZZ_CHECK(write_response_head(std::span{room}.first(length), head) == length);
  ResponseParser parser;
  parser.expect_no_body(true);
  const auto result = parser.feed(std::span{room}.first(length));
  FUZZ_CHECK(result.status == ResponseParser::Status::complete && result.consumed == length);
  FUZZ_CHECK(parser.http_status() == head.http_status && parser.keep_alive() == head.keep_alive);
  check_error_page(head.http_status);
}

}  // namespace
}  // namespace handfast::fuzz

using namespace handfast;
using namespace handfast::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Tally tally{"streams"};
  Reader in{data, size};
  const unsigned control = in.u8();
  const std::uint64_t seed = in.u8() + 1u;
  const auto stream = in.bytes(most_stream);
  tally.add();
  if ((control & 1) != 0) {
    const bool head = (control & 2) != 0;
    FUZZ_CHECK(read_responses(stream, 0, head) == read_responses(stream, seed, head));
    return 0;
  }
  apps::RequestLimits limits;
  if ((control & 2) != 0) limits = {{.first_line_bytes = (control & 8) != 0 ? 200u : 64u, .head_bytes = 128, .fields = 3}, 16};
  FUZZ_CHECK(read_requests(stream, 0, limits) == read_requests(stream, seed, limits));
  if ((control & 4) != 0) {
    Reader again{data + 2, size < 2 ? 0 : size - 2};
    check_written(again);
  }
  return 0;
}
