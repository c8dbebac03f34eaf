// SPDX-License-Identifier: BSD-3-Clause
// The public values as text and back: addresses, prefixes, endpoints, Ethernet addresses.
// Layer: base. Strict: what it would not print, it does not accept (but for upper-case hex digits).
#include <charconv>

#include "handfast/address.hpp"

namespace handfast {
namespace {

/// A decimal number without sign or leading zeros, at most `max`, at the start of `text`, which it shortens.
std::optional<std::uint32_t> take_decimal(std::string_view& text, std::uint32_t max) {
  std::uint32_t value = 0;
  const char* const begin = text.data();
  const auto [end, error] = std::from_chars(begin, begin + text.size(), value);
  if (error != std::errc{} || value > max) return std::nullopt;
  const auto digits = static_cast<std::size_t>(end - begin);
  if (digits > 1 && text.front() == '0') return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

bool take_char(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

/// An address at the start of `text`, which it shortens.
std::optional<Ipv4Address> take_address(std::string_view& text) {
  std::uint32_t value = 0;
  for (int part = 0; part < 4; ++part) {
    if (part != 0 && !take_char(text, '.')) return std::nullopt;
    const auto number = take_decimal(text, 255);
    if (!number) return std::nullopt;
    value = value << 8 | *number;
  }
  return Ipv4Address{value};
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<Ipv4Address> Ipv4Address::parse(std::string_view text) {
  const auto address = take_address(text);
  return text.empty() ? address : std::nullopt;
}

std::string Ipv4Address::to_string() const {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) {
    if (shift != 24) text += '.';
    text += std::to_string(value >> shift & 0xff);
  }
  return text;
}

std::optional<Ipv4Prefix> Ipv4Prefix::parse(std::string_view text) {
  const auto address = take_address(text);
  if (!address || !take_char(text, '/')) return std::nullopt;
  const auto length = take_decimal(text, 32);
  if (!length || !text.empty()) return std::nullopt;
  return Ipv4Prefix{*address, static_cast<std::uint8_t>(*length)};
}

std::string Ipv4Prefix::to_string() const { return address.to_string() + '/' + std::to_string(length); }

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  const auto address = take_address(text);
  if (!address || !take_char(text, ':')) return std::nullopt;
  const auto port = take_decimal(text, 0xffff);
  if (!port || !text.empty()) return std::nullopt;
  return Endpoint{*address, static_cast<Port>(*port)};
}

std::string Endpoint::to_string() const { return address.to_string() + ':' + std::to_string(port); }

std::optional<MacAddress> MacAddress::parse(std::string_view text) {
  constexpr std::size_t text_length = 17;
  if (text.size() != text_length) return std::nullopt;
  MacAddress mac;
  for (std::size_t i = 0; i < mac.bytes.size(); ++i) {
    const int high = hex_digit(text[3 * i]);
    const int low = hex_digit(text[3 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    if (i != 0 && text[3 * i - 1] != ':') return std::nullopt;
    mac.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return mac;
}

std::string MacAddress::to_string() const {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    if (!text.empty()) text += ':';
    text += digits[byte >> 4];
    text += digits[byte & 0xf];
  }
  return text;
}

}  // namespace handfast
