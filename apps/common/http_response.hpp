// SPDX-License-Identifier: BSD-3-Clause
// Client's side of HTTP/1.1: finds out where a response ends, as it arrives in any pieces; by Content-Length,
// by chunks or by the end of the connection (RFC 9112 section 6). The body itself is counted and not kept.
// Layer: apps. Knows nothing of connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/http_head.hpp"

namespace handfast::apps {

/// One per connection. Holds no memory while the head arrives whole.
class ResponseParser {
 public:
  enum class Status : std::uint8_t { need_more, complete, error };

  struct Result {
    Status status = Status::need_more;
    std::size_t consumed = 0;  ///< bytes of this call that are done with; the rest is the next response's
  };

  /// Before each response, if its request was HEAD: it has no body, whatever its length says.
  void expect_no_body(bool request_was_head) { head_request_ = request_was_head; }
  [[nodiscard]] bool expects_no_body() const { return head_request_; }

  /// The next bytes of the stream. The call after a complete response starts with the next one.
  /// After an error, every further call says the same.
  [[nodiscard]] Result feed(std::span<const std::byte> bytes);

  /// The peer has closed: complete if that is how this response ends, error if it is cut off or none has
  /// come.
  [[nodiscard]] Status finish();

  /// Whether the next byte begins a response.
  [[nodiscard]] bool between_responses() const { return phase_ == Phase::idle; }
  /// For a response whose bytes are known to be equal to one seen before, instead of feeding them.
  void set_complete(std::uint16_t http_status, std::uint64_t body_bytes, bool keep_alive) {
    http_status_ = http_status;
    body_bytes_ = body_bytes;
    keep_alive_ = keep_alive;
  }

  /// Of the response that is complete, or whose head has come; 0 before.
  [[nodiscard]] std::uint16_t http_status() const { return http_status_; }
  [[nodiscard]] std::uint64_t body_bytes() const { return body_bytes_; }
  /// Whether another request may follow on this connection.
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }

 private:
  enum class Phase : std::uint8_t {
    idle,
    head,
    length_body,
    chunk_size,       // hexadecimal digits
    chunk_extension,  // from a semicolon or blank to the CR
    chunk_size_lf,
    chunk_data,
    chunk_cr,  // after the data
    chunk_lf,
    trailer,
    until_close,
    failed
  };

  Result fail();
  Result done(std::size_t consumed);
  void start();
  /// Advances `at`. Complete: the phase says what follows, and idle that nothing does.
  Status feed_head(std::string_view bytes, std::size_t& at);
  bool parse_head(std::string_view head);
  /// Advances `at`. Complete when the body is.
  Status feed_body(std::string_view bytes, std::size_t& at);
  bool framing_byte(char c);
  bool trailer_byte(char c);

  std::unique_ptr<std::string> gathered_;  // a head that came in pieces
  HeadScanner scanner_;
  std::uint64_t left_ = 0;  // of the body or of the chunk
  std::uint64_t body_bytes_ = 0;
  std::uint32_t line_bytes_ = 0;  // of the chunk's size line, or of the whole trailer, so far
  std::uint16_t http_status_ = 0;
  std::uint8_t interim_ = 0;  // 1xx responses before this one
  Phase phase_ = Phase::idle;
  bool keep_alive_ = false;
  bool head_request_ = false;
  bool line_empty_ = true;    // the trailer's current line
  bool last_was_cr_ = false;  // in the trailer
};

}  // namespace handfast::apps
