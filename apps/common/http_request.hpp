// SPDX-License-Identifier: BSD-3-Clause
// Server's side of HTTP/1.1: an incremental request parser (GET and HEAD) and the head of a response.
// Total: any bytes in, a request, a status to answer with, or "more". Layer: apps. Knows nothing of
// connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/http_head.hpp"

namespace handfast::apps {

enum class HttpMethod : std::uint8_t { get, head };

struct HttpRequest {
  HttpMethod method = HttpMethod::get;
  std::string_view target;  ///< origin form, still percent-encoded, query included: "/a%20b?c"
  bool keep_alive = true;
};

struct RequestLimits {
  HeadLimits head;
  std::uint64_t body_bytes = 1024 * 1024;  ///< a longer one is answered with 413
};

/// One per connection. Holds no memory while a request arrives whole; one that is split is gathered in a
/// block that is bounded by the limits.
class RequestParser {
 public:
  enum class Status : std::uint8_t { need_more, complete, error };

  struct Result {
    Status status = Status::need_more;
    std::uint16_t http_status = 0;  ///< for an error: answer with it and close
    std::size_t consumed = 0;       ///< bytes of this call that are done with; the rest is the next request's
    HttpRequest request;            ///< when complete; its target dies with the bytes fed or the next call
  };

  /// The next bytes of the stream. After an error, every further call says the same.
  [[nodiscard]] Result feed(std::span<const std::byte> bytes, const RequestLimits& limits = {});

  /// Whether a part of a request has arrived: a connection that ends now ends in the middle of one.
  [[nodiscard]] bool in_request() const;
  /// Whether the next byte begins a request: nothing of one has arrived, and there was no error.
  [[nodiscard]] bool between_requests() const { return phase_ != Phase::failed && !in_request(); }

 private:
  enum class Phase : std::uint8_t { idle, head, body, failed };

  Result feed_head(std::string_view bytes, const RequestLimits& limits);
  Result feed_body(std::size_t available, std::size_t taken_by_head);
  Result fail(std::uint16_t http_status);

  std::unique_ptr<std::string> gathered_;  // a head that came in pieces, or that waits for its body
  HeadScanner scanner_;
  std::uint64_t body_left_ = 0;
  HttpRequest request_;  // while its body is skipped
  std::uint16_t http_status_ = 0;
  Phase phase_ = Phase::idle;
};

/// "Not Found"; "Unknown" for a code that is not in use here.
[[nodiscard]] std::string_view reason_phrase(std::uint16_t http_status);

/// By the extension of a path: "text/html; charset=utf-8"; "application/octet-stream" when unknown.
[[nodiscard]] std::string_view content_type_of(std::string_view path);

struct ResponseHead {
  std::uint16_t http_status = 200;
  std::uint64_t content_length = 0;
  std::string_view content_type{};  ///< left out when empty
  std::string_view date{};          ///< an IMF-fixdate that the caller made; left out when empty
  bool keep_alive = true;
};

/// Writes the status line and the fields, with the empty line. The length, or 0 if `out` is too small.
[[nodiscard]] std::size_t write_response_head(std::span<std::byte> out, const ResponseHead& head);

/// The same as a string, followed by `body`: for answers that are made once, at start.
[[nodiscard]] std::string make_response(const ResponseHead& head, std::string_view body = {});

/// A short answer to an error: its status as text, and Connection: close.
[[nodiscard]] std::string make_error_response(std::uint16_t http_status);

}  // namespace handfast::apps
