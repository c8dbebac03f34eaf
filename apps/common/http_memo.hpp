// SPDX-License-Identifier: BSD-3-Clause
// Parsing is a function of the bytes alone, and load testers send the same ones again and again: each memo
// keeps the last message that arrived whole, and answers for an equal one by comparing. One per core, in
// front of its connections' parsers; without it everything works the same, slower. Layer: apps. Knows nothing
// of connections.
#pragma once

#include <array>
#include <cstring>
#include <span>

#include "common/http_request.hpp"
#include "common/http_response.hpp"

namespace handfast::apps {

/// The bytes of one message, if it is short enough to be worth it.
class MessageMemo {
 public:
  static constexpr std::size_t max_bytes = 2048;

  [[nodiscard]] bool equals(std::span<const std::byte> bytes) const {
    return bytes.size() == size_ && size_ != 0 && std::memcmp(bytes.data(), bytes_.data(), size_) == 0;
  }
  [[nodiscard]] bool keep(std::span<const std::byte> bytes) {
    size_ = bytes.size() <= max_bytes ? bytes.size() : 0;
    if (size_ != 0) std::memcpy(bytes_.data(), bytes.data(), size_);
    return size_ != 0;
  }
  [[nodiscard]] std::string_view text() const { return as_text(std::span{bytes_}.first(size_)); }

 private:
  std::size_t size_ = 0;
  std::array<std::byte, max_bytes> bytes_;  // the first size_ of them
};

/// In front of RequestParser::feed(). The limits must be the same at every call.
class RequestMemo {
 public:
  RequestMemo() = default;
  RequestMemo(const RequestMemo&) = delete;  // the kept target points into this object
  RequestMemo& operator=(const RequestMemo&) = delete;

  /// What feed() would say of these bytes between requests, if they are known: for connections that have no
  /// parser yet. Null: feed one.
  [[nodiscard]] const HttpRequest* find(std::span<const std::byte> bytes) const {
    return memo_.equals(bytes) ? &request_ : nullptr;
  }

  [[nodiscard]] RequestParser::Result feed(RequestParser& parser, std::span<const std::byte> bytes,
                                           const RequestLimits& limits = {}) {
    if (!parser.between_requests()) return parser.feed(bytes, limits);
    if (memo_.equals(bytes)) return {RequestParser::Status::complete, 0, bytes.size(), request_};
    const auto result = parser.feed(bytes, limits);
    if (result.status == RequestParser::Status::complete && result.consumed == bytes.size() &&
        memo_.keep(bytes)) {
      request_ = result.request;
      // The target moves along with the bytes it lies in; one that does not lie in them is a constant.
      const std::string_view text = as_text(bytes);
      const auto offset = reinterpret_cast<std::uintptr_t>(request_.target.data()) -
                          reinterpret_cast<std::uintptr_t>(text.data());
      if (offset < text.size()) request_.target = memo_.text().substr(offset, request_.target.size());
    }
    return result;
  }

 private:
  MessageMemo memo_;
  HttpRequest request_;
};

/// In front of ResponseParser::feed().
class ResponseMemo {
 public:
  struct Known {
    std::uint16_t http_status = 0;
    std::uint64_t body_bytes = 0;
    bool keep_alive = false;
    bool expects_no_body = false;
  };

  /// What feed() would say of these bytes between responses to a GET, if they are known: for connections that
  /// have no parser yet. Null: feed one.
  [[nodiscard]] const Known* find(std::span<const std::byte> bytes) const {
    return !known_.expects_no_body && memo_.equals(bytes) ? &known_ : nullptr;
  }

  [[nodiscard]] ResponseParser::Result feed(ResponseParser& parser, std::span<const std::byte> bytes) {
    if (!parser.between_responses()) return parser.feed(bytes);
    if (parser.expects_no_body() == known_.expects_no_body && memo_.equals(bytes)) {
      parser.set_complete(known_.http_status, known_.body_bytes, known_.keep_alive);
      return {ResponseParser::Status::complete, bytes.size()};
    }
    const auto result = parser.feed(bytes);
    if (result.status == ResponseParser::Status::complete && result.consumed == bytes.size() &&
        memo_.keep(bytes)) {
      known_ = {parser.http_status(), parser.body_bytes(), parser.keep_alive(), parser.expects_no_body()};
    }
    return result;
  }

 private:
  MessageMemo memo_;
  Known known_;
};

}  // namespace handfast::apps
