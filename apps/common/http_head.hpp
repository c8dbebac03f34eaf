// SPDX-License-Identifier: BSD-3-Clause
// What HTTP/1.1 requests and responses have in common: finding the end of a head that arrives in pieces, and
// reading its fields (RFC 9112 sections 2 and 5). Layer: apps. Knows nothing of connections; owns no bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace handfast::apps {

struct HeadLimits {
  std::uint32_t first_line_bytes = 8 * 1024;
  std::uint32_t head_bytes = 16 * 1024;  ///< all lines, their ends and leading empty lines included
  std::uint32_t fields = 100;
};

enum class HeadScan : std::uint8_t { more, complete, malformed, first_line_too_long, too_large };

/// Looks for the empty line that ends a head. Each byte is looked at once, however the head is split, and the
/// verdict does not depend on the splits. Lines end in CRLF; any other control character but a tab is
/// malformed.
class HeadScanner {
 public:
  /// `bytes` holds everything from the head's first byte on, with at least what the last call saw.
  [[nodiscard]] HeadScan scan(std::string_view bytes, const HeadLimits& limits);
  /// The first line's offset: empty lines before it are skipped (RFC 9112 section 2.2).
  [[nodiscard]] std::size_t start() const { return start_; }
  /// The offset after the empty line, once complete.
  [[nodiscard]] std::size_t end() const { return line_start_; }

 private:
  std::uint32_t scanned_ = 0;
  std::uint32_t line_start_ = 0;
  std::uint32_t start_ = 0;
  std::uint32_t lines_ = 0;  // non-empty ones so far
};

/// How much of a head to gather: enough for the scanner to see that its limit is exceeded.
[[nodiscard]] constexpr std::size_t gather_limit(const HeadLimits& limits) {
  return std::size_t{limits.head_bytes} + 2;
}

struct HeaderField {
  std::string_view name;
  std::string_view value;  ///< without the white space around it
};

/// Takes the first line, without its CRLF, off `rest`. Only for heads that the scanner found complete.
[[nodiscard]] std::string_view take_line(std::string_view& rest);

/// Splits a field line of such a head; nullopt if the name is no token, or white space stands before the
/// colon or the line (RFC 9112 section 5).
[[nodiscard]] std::optional<HeaderField> parse_field(std::string_view line);

/// RFC 9110 section 5.6.2
[[nodiscard]] bool is_token(std::string_view text);
/// Printable ASCII without space and fragment: what a request target is made of.
[[nodiscard]] bool is_target(std::string_view text);
[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b);
/// Whether the comma-separated list has this element, in any case.
[[nodiscard]] bool list_has(std::string_view list, std::string_view element);
/// Whether the last element of the comma-separated list is this one, in any case.
[[nodiscard]] bool list_ends_with(std::string_view list, std::string_view element);
/// Digits only, and no overflow (RFC 9112 section 6.3, RFC 9110 section 8.6).
[[nodiscard]] std::optional<std::uint64_t> parse_content_length(std::string_view value);

[[nodiscard]] inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
[[nodiscard]] inline std::span<const std::byte> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

}  // namespace handfast::apps
