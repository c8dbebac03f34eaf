// SPDX-License-Identifier: BSD-3-Clause
// Writing the head of a response (RFC 9112 section 4). Layer: apps. Reads no clock: a date is given or left
// out.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "common/http_request.hpp"

namespace handfast::apps {
namespace {

constexpr std::string_view unknown_type = "application/octet-stream";

constexpr std::array<std::pair<std::string_view, std::string_view>, 20> content_types{{
    {"html", "text/html; charset=utf-8"},
    {"htm", "text/html; charset=utf-8"},
    {"txt", "text/plain; charset=utf-8"},
    {"md", "text/plain; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"js", "text/javascript; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"json", "application/json"},
    {"xml", "application/xml"},
    {"pdf", "application/pdf"},
    {"wasm", "application/wasm"},
    {"gz", "application/gzip"},
    {"svg", "image/svg+xml"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"ico", "image/x-icon"},
    {"woff2", "font/woff2"},
}};

// Room for everything but the content type and the date: the longest status line, 20 digits, the field names.
constexpr std::size_t fixed_bytes = 200;

// Appends to a room that the caller knows to be large enough.
class Writer {
 public:
  explicit Writer(char* out) : begin_(out), out_(out) {}
  Writer& text(std::string_view text) {
    out_ = std::copy(text.begin(), text.end(), out_);
    return *this;
  }
  Writer& number(std::uint64_t value) {
    constexpr std::size_t longest = 20;
    out_ = std::to_chars(out_, out_ + longest, value).ptr;
    return *this;
  }
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(out_ - begin_); }

 private:
  char* begin_;
  char* out_;
};

std::size_t room_for(const ResponseHead& head) {
  return fixed_bytes + head.content_type.size() + head.date.size();
}

std::size_t write_head(char* out, const ResponseHead& head) {
  Writer writer{out};
  writer.text("HTTP/1.1 ").number(head.http_status).text(" ").text(reason_phrase(head.http_status));
  writer.text("\r\nContent-Length: ").number(head.content_length);
  if (!head.content_type.empty()) writer.text("\r\nContent-Type: ").text(head.content_type);
  if (!head.date.empty()) writer.text("\r\nDate: ").text(head.date);
  writer.text(head.keep_alive ? "\r\nConnection: keep-alive\r\n\r\n" : "\r\nConnection: close\r\n\r\n");
  return writer.size();
}

}  // namespace

std::string_view reason_phrase(std::uint16_t http_status) {
  switch (http_status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

std::string_view content_type_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return unknown_type;
  for (const auto& [extension, type] : content_types) {
    if (equal_ignoring_case(name.substr(dot + 1), extension)) return type;
  }
  return unknown_type;
}

std::size_t write_response_head(std::span<std::byte> out, const ResponseHead& head) {
  char* const begin = reinterpret_cast<char*>(out.data());
  if (out.size() >= room_for(head)) return write_head(begin, head);
  const std::string text = make_response(head);
  if (text.size() > out.size()) return 0;
  text.copy(begin, text.size());
  return text.size();
}

std::string make_response(const ResponseHead& head, std::string_view body) {
  std::string text(room_for(head), '\0');
  text.resize(write_head(text.data(), head));
  text += body;
  return text;
}

std::string make_error_response(std::uint16_t http_status) {
  const std::string body = fmt::format("{} {}\n", http_status, reason_phrase(http_status));
  std::string text = make_response({http_status, body.size(), "text/plain; charset=utf-8", {}, false}, body);
  // rfc9110 15.5.6: a 405 must say which methods there are.
  if (http_status == 405) text.insert(text.find("\r\n") + 2, "Allow: GET, HEAD\r\n");
  return text;
}

}  // namespace handfast::apps
