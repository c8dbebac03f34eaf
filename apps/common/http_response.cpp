// SPDX-License-Identifier: BSD-3-Clause
// Where a response ends (RFC 9112 sections 4, 6 and 7). Layer: apps.
#include "common/http_response.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "base/assert.hpp"

namespace handfast::apps {
namespace {

constexpr HeadLimits limits{.first_line_bytes = 8 * 1024, .head_bytes = 64 * 1024, .fields = 200};
constexpr std::uint8_t max_interim = 8;            // 1xx responses before the final one
constexpr std::uint32_t max_size_line = 4 * 1024;  // a chunk's size with its extensions
constexpr std::uint32_t max_trailer = 16 * 1024;
constexpr std::uint64_t max_chunk = std::uint64_t{1} << 60;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::optional<unsigned> hex_digit(char c) {
  if (is_digit(c)) return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  return std::nullopt;
}

struct StatusLine {
  std::uint16_t code = 0;
  bool http_1_1 = true;
};

// "HTTP/1.1 200 OK"; the reason may be missing, with or without its space.
std::optional<StatusLine> parse_status_line(std::string_view line) {
  constexpr std::size_t shortest = sizeof("HTTP/1.1 200") - 1;
  if (line.size() < shortest || !(line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 "))) return {};
  if (line.size() > shortest && line[shortest] != ' ') return {};
  const std::string_view digits = line.substr(shortest - 3, 3);
  if (!std::all_of(digits.begin(), digits.end(), is_digit) || digits[0] == '0') return {};
  const int code = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
  return StatusLine{static_cast<std::uint16_t>(code), line[7] == '1'};
}

}  // namespace

ResponseParser::Result ResponseParser::feed(std::span<const std::byte> bytes) {
  const std::string_view text = as_text(bytes);
  std::size_t at = 0;
  while (phase_ != Phase::failed && at < text.size()) {
    if (phase_ == Phase::idle) start();
    const Status status = phase_ == Phase::head ? feed_head(text, at) : feed_body(text, at);
    if (status == Status::error) return fail();
    if (status == Status::complete && phase_ == Phase::idle) return done(at);
  }
  return phase_ == Phase::failed ? fail() : Result{Status::need_more, at};
}

ResponseParser::Status ResponseParser::finish() {
  // rfc9112 8: a body without a length ends with the connection; everything else that ends so is incomplete.
  const bool complete = phase_ == Phase::until_close;
  phase_ = complete ? Phase::idle : Phase::failed;
  return complete ? Status::complete : Status::error;
}

ResponseParser::Result ResponseParser::fail() {
  phase_ = Phase::failed;
  gathered_.reset();
  return {Status::error, 0};
}

ResponseParser::Result ResponseParser::done(std::size_t consumed) {
  phase_ = Phase::idle;
  return {Status::complete, consumed};
}

void ResponseParser::start() {
  scanner_ = HeadScanner{};
  if (gathered_) gathered_->clear();
  http_status_ = 0;
  body_bytes_ = 0;
  interim_ = 0;
  phase_ = Phase::head;
}

ResponseParser::Status ResponseParser::feed_head(std::string_view bytes, std::size_t& at) {
  const std::string_view fresh = bytes.substr(at);
  const std::size_t before = gathered_ ? gathered_->size() : 0;
  std::string_view head = fresh;
  if (before != 0) {
    gathered_->append(fresh.substr(0, gather_limit(limits) - before));
    head = *gathered_;
  }
  const HeadScan scan = scanner_.scan(head, limits);
  if (scan == HeadScan::more) {
    if (before == 0) {
      if (!gathered_) gathered_ = std::make_unique<std::string>();
      gathered_->assign(fresh);
    }
    at = bytes.size();
    return Status::need_more;
  }
  if (scan != HeadScan::complete) return Status::error;
  at += scanner_.end() - before;
  if (!parse_head(head.substr(scanner_.start(), scanner_.end() - scanner_.start()))) return Status::error;
  if (gathered_) gathered_->clear();
  scanner_ = HeadScanner{};
  return Status::complete;
}

bool ResponseParser::parse_head(std::string_view head) {
  const auto status_line = parse_status_line(take_line(head));
  if (!status_line) return false;
  std::optional<std::uint64_t> length;
  std::optional<bool> chunked;
  keep_alive_ = status_line->http_1_1;
  for (std::string_view line = take_line(head); !line.empty(); line = take_line(head)) {
    const auto field = parse_field(line);
    if (!field) return false;
    // The length of the name sorts out nearly all of the fields that mean nothing here.
    if (field->name.size() == 14 && equal_ignoring_case(field->name, "content-length")) {
      const auto value = parse_content_length(field->value);
      if (!value || (length && *length != *value)) return false;
      length = value;
    } else if (field->name.size() == 17 && equal_ignoring_case(field->name, "transfer-encoding")) {
      if (chunked) return false;
      chunked = list_ends_with(field->value, "chunked");
    } else if (field->name.size() == 10 && equal_ignoring_case(field->name, "connection")) {
      if (list_has(field->value, "close")) keep_alive_ = false;
      if (!status_line->http_1_1 && list_has(field->value, "keep-alive")) keep_alive_ = true;
    }
  }
  if (status_line->code < 200 && status_line->code != 101) {
    // rfc9110 15.2: an interim response; the final one follows.
    return interim_++ < max_interim;
  }
  http_status_ = status_line->code;
  phase_ = Phase::idle;
  // rfc9112 6.3, in its order.
  if (head_request_ || http_status_ == 101 || http_status_ == 204 || http_status_ == 304) return true;
  if (chunked) {
    if (length) return false;  // both lengths: a response splitting attempt
    phase_ = *chunked ? Phase::chunk_size : Phase::until_close;
    left_ = line_bytes_ = 0;
  } else if (length) {
    left_ = *length;
    if (left_ != 0) phase_ = Phase::length_body;
  } else {
    phase_ = Phase::until_close;
  }
  if (phase_ == Phase::until_close) keep_alive_ = false;
  return true;
}

ResponseParser::Status ResponseParser::feed_body(std::string_view bytes, std::size_t& at) {
  if (phase_ == Phase::until_close) {
    body_bytes_ += bytes.size() - at;
    at = bytes.size();
    return Status::need_more;
  }
  if (phase_ != Phase::length_body && phase_ != Phase::chunk_data) {
    if (!framing_byte(bytes[at++])) return Status::error;
    return phase_ == Phase::idle ? Status::complete : Status::need_more;
  }
  const std::uint64_t skipped = std::min<std::uint64_t>(left_, bytes.size() - at);
  at += static_cast<std::size_t>(skipped);
  left_ -= skipped;
  body_bytes_ += skipped;
  if (left_ != 0) return Status::need_more;
  phase_ = phase_ == Phase::length_body ? Phase::idle : Phase::chunk_cr;
  return Status::complete;
}

// Everything of a chunked body that is not data (RFC 9112 section 7.1).
bool ResponseParser::framing_byte(char c) {
  switch (phase_) {
    case Phase::chunk_size:
      if (const auto digit = hex_digit(c)) {
        left_ = left_ * 16 + *digit;
        return ++line_bytes_ <= max_size_line && left_ < max_chunk;
      }
      if (line_bytes_ == 0) return false;  // no digit at all
      if (c == ';' || c == ' ' || c == '\t') phase_ = Phase::chunk_extension;
      if (c == '\r') phase_ = Phase::chunk_size_lf;
      return phase_ != Phase::chunk_size;
    case Phase::chunk_extension:
      if (c == '\r') phase_ = Phase::chunk_size_lf;
      return c != '\n' && c != '\0' && ++line_bytes_ <= max_size_line;
    case Phase::chunk_size_lf:
      phase_ = left_ == 0 ? Phase::trailer : Phase::chunk_data;
      line_bytes_ = 0;
      line_empty_ = true;
      last_was_cr_ = false;
      return c == '\n';
    case Phase::chunk_cr:
      phase_ = Phase::chunk_lf;
      return c == '\r';
    case Phase::chunk_lf:
      phase_ = Phase::chunk_size;
      return c == '\n';
    case Phase::trailer:
      break;
    case Phase::idle:
    case Phase::head:
    case Phase::length_body:
    case Phase::chunk_data:
    case Phase::until_close:
    case Phase::failed:
      HF_ASSERT(false);
  }
  return trailer_byte(c);
}

// Fields after the last chunk are of no interest here; only the empty line that ends them is.
bool ResponseParser::trailer_byte(char c) {
  if (++line_bytes_ > max_trailer || c == '\0') return false;
  if (c == '\n') {
    if (!last_was_cr_) return false;
    if (line_empty_) phase_ = Phase::idle;
    line_empty_ = true;
    last_was_cr_ = false;
    return true;
  }
  if (last_was_cr_) return false;
  last_was_cr_ = c == '\r';
  if (!last_was_cr_) line_empty_ = false;
  return true;
}

}  // namespace handfast::apps
