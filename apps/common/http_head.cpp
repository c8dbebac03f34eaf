// SPDX-License-Identifier: BSD-3-Clause
// Scanning and splitting HTTP/1.1 heads (RFC 9112 sections 2 and 5). Layer: apps.
#include "common/http_head.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace handfast::apps {
namespace {

enum CharClass : std::uint8_t { token = 1, control = 2, target = 4 };

// One look-up for each byte: what it may be part of.
constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> classes{};
  for (unsigned c = 0; c < 256; ++c) {
    if ((c < 0x20 && c != '\t') || c == 0x7f) classes[c] |= control;
    if (c > 0x20 && c < 0x7f && c != '#') classes[c] |= target;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) classes[c] |= token;
  }
  for (const char c : {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'}) {
    classes[static_cast<unsigned char>(c)] |= token;
  }
  return classes;
}
constexpr auto classes = make_classes();

bool has_class(char c, std::uint8_t wanted) { return (classes[static_cast<unsigned char>(c)] & wanted) != 0; }

bool all_have(std::string_view text, std::uint8_t wanted) {
  return std::all_of(text.begin(), text.end(), [wanted](char c) { return has_class(c, wanted); });
}

bool is_blank(char c) { return c == ' ' || c == '\t'; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

HeadScan HeadScanner::scan(std::string_view bytes, const HeadLimits& limits) {
  while (true) {
    std::size_t at = scanned_;
    while (at < bytes.size() && !has_class(bytes[at], control)) ++at;
    // The limit that comes first in the stream counts, before what stands beyond it: so the verdict is the
    // same for every split.
    const std::size_t line_limit = line_start_ + std::size_t{limits.first_line_bytes};
    if (lines_ == 0 && line_limit < limits.head_bytes) {
      if (at > line_limit) return HeadScan::first_line_too_long;
    } else if (at > limits.head_bytes) {
      return HeadScan::too_large;
    }
    scanned_ = static_cast<std::uint32_t>(at);
    if (at == bytes.size()) return HeadScan::more;
    if (bytes[at] != '\r') return HeadScan::malformed;
    if (at + 1 == bytes.size()) return HeadScan::more;
    if (bytes[at + 1] != '\n') return HeadScan::malformed;
    if (at + 2 > limits.head_bytes) return HeadScan::too_large;
    const bool empty = at == line_start_;
    scanned_ = line_start_ = static_cast<std::uint32_t>(at + 2);
    if (!empty) {
      if (lines_++ == limits.fields + 1) return HeadScan::too_large;
    } else if (lines_ == 0) {
      start_ = line_start_;
    } else {
      return HeadScan::complete;
    }
  }
}

std::string_view take_line(std::string_view& rest) {
  const std::size_t end = rest.find('\r');
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
  return line;
}

std::optional<HeaderField> parse_field(std::string_view line) {
  std::size_t colon = 0;
  while (colon < line.size() && has_class(line[colon], token)) ++colon;
  if (colon == 0 || colon == line.size() || line[colon] != ':') return std::nullopt;
  return HeaderField{line.substr(0, colon), trim(line.substr(colon + 1))};
}

bool is_token(std::string_view text) { return !text.empty() && all_have(text, token); }
bool is_target(std::string_view text) { return !text.empty() && all_have(text, target); }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

bool list_has(std::string_view list, std::string_view element) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (equal_ignoring_case(trim(list.substr(0, comma)), element)) return true;
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return false;
}

bool list_ends_with(std::string_view list, std::string_view element) {
  const std::size_t comma = list.rfind(',');
  return equal_ignoring_case(trim(comma == std::string_view::npos ? list : list.substr(comma + 1)), element);
}

std::optional<std::uint64_t> parse_content_length(std::string_view value) {
  std::uint64_t number = 0;
  const char* const end = value.data() + value.size();
  const auto [rest, problem] = std::from_chars(value.data(), end, number);
  if (problem != std::errc{} || rest != end) return std::nullopt;  // what is empty or has a sign, too
  return number;
}

}  // namespace handfast::apps
