// SPDX-License-Identifier: BSD-3-Clause
// Parsing requests (RFC 9112 sections 3, 6 and 9.3). Strict where leniency lets requests be smuggled. Layer:
// apps.
#include "common/http_request.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "base/assert.hpp"

namespace handfast::apps {
namespace {

struct ParsedHead {
  HttpRequest request;
  std::uint64_t body_bytes = 0;
  std::uint16_t http_status = 0;  // not 0: what was wrong
};

// The methods of RFC 9110 and RFC 5789 that exist but are not offered here.
constexpr std::array<std::string_view, 7> refused_methods{"POST",    "PUT",   "DELETE", "CONNECT",
                                                          "OPTIONS", "TRACE", "PATCH"};

// The path of an absolute-form target: "http://host/x" is "/x" (RFC 9112 section 3.2.2). Nullopt for other
// forms. It is a target, so not empty.
std::optional<std::string_view> origin_form(std::string_view target) {
  if (target.front() == '/') return target;
  constexpr std::string_view scheme = "http://";
  if (target.size() <= scheme.size() || !equal_ignoring_case(target.substr(0, scheme.size()), scheme))
    return {};
  target.remove_prefix(scheme.size());
  const std::size_t end = target.find_first_of("/?");
  if (end == 0) return {};  // no host
  if (end == std::string_view::npos) return "/";
  // "http://host?query" has an empty path; nobody sends it, and a view cannot put the slash in.
  if (target[end] == '?') return {};
  return target.substr(end);
}

std::uint16_t parse_version(std::string_view version, bool& keep_alive) {
  if (version == "HTTP/1.1") {
    keep_alive = true;
  } else if (version == "HTTP/1.0") {
    keep_alive = false;
  } else {
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    const bool well_formed = version.size() == 8 && version.starts_with("HTTP/") && digit(version[5]) &&
                             version[6] == '.' && digit(version[7]);
    return well_formed ? 505 : 400;
  }
  return 0;
}

std::uint16_t parse_request_line(std::string_view line, HttpRequest& request) {
  // rfc9112 3: exactly one space at each place; anything else is an invalid request line.
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return 400;
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if (!is_token(method) || !is_target(target)) return 400;
  if (const auto problem = parse_version(line.substr(last + 1), request.keep_alive)) return problem;
  if (method == "GET") {
    request.method = HttpMethod::get;
  } else if (method == "HEAD") {
    request.method = HttpMethod::head;
  } else {
    return std::find(refused_methods.begin(), refused_methods.end(), method) != refused_methods.end() ? 405
                                                                                                      : 501;
  }
  const auto path = origin_form(target);
  if (!path) return 400;
  request.target = *path;
  return 0;
}

ParsedHead parse_head(std::string_view head, const RequestLimits& limits) {
  ParsedHead parsed;
  const std::string_view request_line = take_line(head);
  const bool http_1_1 = request_line.ends_with("1.1");
  if ((parsed.http_status = parse_request_line(request_line, parsed.request)) != 0) return parsed;

  std::optional<std::uint64_t> length;
  std::uint32_t hosts = 0;
  bool transfer_encoding = false;
  bool expectation = false;
  parsed.http_status = 400;
  for (std::string_view line = take_line(head); !line.empty(); line = take_line(head)) {
    const auto field = parse_field(line);
    if (!field) return parsed;
    // The length sorts out nearly all of the fields that mean nothing here.
    switch (field->name.size()) {
      case 4:
        if (equal_ignoring_case(field->name, "host")) ++hosts;
        break;
      case 6:
        if (equal_ignoring_case(field->name, "expect")) expectation = true;
        break;
      case 10:
        if (!equal_ignoring_case(field->name, "connection")) break;
        if (list_has(field->value, "close")) {
          parsed.request.keep_alive = false;
        } else if (!http_1_1 && list_has(field->value, "keep-alive")) {
          parsed.request.keep_alive = true;
        }
        break;
      case 14:
        if (!equal_ignoring_case(field->name, "content-length")) break;
        // rfc9112 6.3: a list or a repeated field may be a smuggling attempt, even with equal values.
        if (length) return parsed;
        length = parse_content_length(field->value);
        if (!length) return parsed;
        break;
      case 17:
        if (equal_ignoring_case(field->name, "transfer-encoding")) transfer_encoding = true;
        break;
      default:
        break;
    }
  }
  // rfc9112 3.2: exactly one Host in HTTP/1.1. rfc9112 6.1: both lengths, or a coding in HTTP/1.0, is an
  // attack.
  if (hosts > 1 || (http_1_1 && hosts == 0)) return parsed;
  if (transfer_encoding && (length || !http_1_1)) return parsed;
  parsed.body_bytes = length.value_or(0);
  if (transfer_encoding) {
    parsed.http_status = 411;  // rfc9112 6.3: a server may ask for a length instead
  } else if (parsed.body_bytes > limits.body_bytes) {
    parsed.http_status = 413;
  } else if (expectation && parsed.body_bytes != 0) {
    parsed.http_status = 417;  // nobody here wants the body: no reason to have it sent
  } else {
    parsed.http_status = 0;
  }
  return parsed;
}

std::uint16_t status_of(HeadScan scan) {
  switch (scan) {
    case HeadScan::malformed:
      return 400;
    case HeadScan::first_line_too_long:
      return 414;
    case HeadScan::too_large:
      break;
    case HeadScan::more:
    case HeadScan::complete:
      HF_ASSERT(false);
  }
  return 431;
}

}  // namespace

RequestParser::Result RequestParser::feed(std::span<const std::byte> bytes, const RequestLimits& limits) {
  switch (phase_) {
    case Phase::failed:
      return fail(http_status_);
    case Phase::body:
      return feed_body(bytes.size(), 0);
    case Phase::idle:
      scanner_ = HeadScanner{};
      if (gathered_) gathered_->clear();
      phase_ = Phase::head;
      return feed_head(as_text(bytes), limits);
    case Phase::head:
      break;
  }
  return feed_head(as_text(bytes), limits);
}

bool RequestParser::in_request() const {
  return phase_ == Phase::body || (phase_ == Phase::head && gathered_ && !gathered_->empty());
}

RequestParser::Result RequestParser::feed_head(std::string_view bytes, const RequestLimits& limits) {
  const std::size_t before = gathered_ ? gathered_->size() : 0;
  std::string_view head = bytes;
  if (before != 0) {
    gathered_->append(bytes.substr(0, gather_limit(limits.head) - before));
    head = *gathered_;
  }
  const HeadScan scan = scanner_.scan(head, limits.head);
  if (scan == HeadScan::more) {
    if (before == 0 && !bytes.empty()) {
      if (!gathered_) gathered_ = std::make_unique<std::string>();
      gathered_->assign(bytes);
    }
    return {Status::need_more, 0, bytes.size(), {}};
  }
  if (scan != HeadScan::complete) return fail(status_of(scan));

  const std::string_view text = head.substr(scanner_.start(), scanner_.end() - scanner_.start());
  const ParsedHead parsed = parse_head(text, limits);
  if (parsed.http_status != 0) return fail(parsed.http_status);
  request_ = parsed.request;
  body_left_ = parsed.body_bytes;
  const std::size_t taken = scanner_.end() - before;
  const std::size_t available = bytes.size() - taken;
  if (body_left_ > available && before == 0) {
    // The target must outlive these bytes. A target of "/" made up by origin_form() is static and stays.
    const bool inside =
        request_.target.data() >= text.data() && request_.target.data() < text.data() + text.size();
    if (!gathered_) gathered_ = std::make_unique<std::string>();
    gathered_->assign(text);
    if (inside) {
      const auto offset = static_cast<std::size_t>(request_.target.data() - text.data());
      request_.target = std::string_view{*gathered_}.substr(offset, request_.target.size());
    }
  }
  return feed_body(available, taken);
}

RequestParser::Result RequestParser::feed_body(std::size_t available, std::size_t taken_by_head) {
  const std::size_t skipped = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, available));
  body_left_ -= skipped;
  if (body_left_ != 0) {
    phase_ = Phase::body;
    return {Status::need_more, 0, taken_by_head + skipped, {}};
  }
  phase_ = Phase::idle;
  return {Status::complete, 0, taken_by_head + skipped, request_};
}

RequestParser::Result RequestParser::fail(std::uint16_t http_status) {
  phase_ = Phase::failed;
  http_status_ = http_status;
  gathered_.reset();
  return {Status::error, http_status, 0, {}};
}

}  // namespace handfast::apps
