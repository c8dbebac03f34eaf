// SPDX-License-Identifier: BSD-3-Clause
// Where seeds go, and who makes them. Layer: fuzz.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace handfast::fuzz {

class Seeds {
 public:
  explicit Seeds(std::string root) : root_(std::move(root)) {}
  void add(const std::string& target, const std::string& name, std::span<const std::byte> bytes);
  void add(const std::string& target, const std::string& name, std::string_view text) {
    add(target, name, std::as_bytes(std::span{text.data(), text.size()}));
  }

 private:
  std::string root_;
};

void add_frame_seeds(Seeds& seeds);  ///< frames, options
void add_program_seeds(Seeds& seeds);  ///< connection, pair, http, words
void add_connection_seeds(Seeds& seeds);
void add_transfer_seeds(Seeds& seeds);  ///< pair
void add_set_seeds(Seeds& seeds);  ///< ranges, tables
void add_text_seeds(Seeds& seeds);  ///< http, words: what is wrong, thing by thing

}  // namespace handfast::fuzz
