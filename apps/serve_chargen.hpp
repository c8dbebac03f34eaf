// SPDX-License-Identifier: BSD-3-Clause
// The character generator (RFC 864): lines of 72 characters, each one further on, until the peer closes.
// Layer: apps. Knows nothing of ports and command lines.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "handfast/conn.hpp"

namespace handfast::apps {

/// One round of the pattern: 95 lines, after which it starts again.
class ChargenPattern {
 public:
  static constexpr std::size_t printable = 95;  // from space to tilde
  static constexpr std::size_t line_characters = 72;
  static constexpr std::size_t line_bytes = line_characters + 2;

  constexpr ChargenPattern() {
    std::size_t at = 0;
    for (std::size_t line = 0; line < printable; ++line) {
      for (std::size_t i = 0; i < line_characters; ++i)
        text_[at++] = static_cast<char>(' ' + (line + i) % printable);
      text_[at++] = '\r';
      text_[at++] = '\n';
    }
  }
  [[nodiscard]] constexpr std::string_view text() const { return {text_.data(), text_.size()}; }

 private:
  std::array<char, printable * line_bytes> text_{};
};

inline constexpr ChargenPattern chargen_pattern;

class ChargenServer {
 public:
  struct State {
    std::uint32_t at = 0;  // offset in the pattern, below its size
  };

  void on_accept(Conn& c, State& s) { fill(c, s); }
  void on_writable(Conn& c, State& s) { fill(c, s); }
  /// What the peer says is of no interest (RFC 864).
  static std::size_t on_data(Conn&, const RxView& in) { return in.size(); }
  static void on_peer_fin(Conn& c) { c.close(); }

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  void fill(Conn& c, State& s) {
    constexpr std::string_view pattern = chargen_pattern.text();
    // Ends when the send buffer is full: a short send is what on_writable follows.
    for (;;) {
      const std::string_view rest = pattern.substr(s.at);
      const std::size_t sent = c.send_static(rest);
      bytes_ += sent;
      s.at = static_cast<std::uint32_t>((s.at + sent) % pattern.size());
      if (sent < rest.size()) return;
    }
  }

  std::uint64_t bytes_ = 0;
};

}  // namespace handfast::apps
