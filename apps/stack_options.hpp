// SPDX-License-Identifier: BSD-3-Clause
// The words that all subcommands share: which port, which addresses, how many cores, how large the tables
// are. Layer: apps. Turns words into a StackConfig; starts nothing.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <utility>

#include "handfast/stack.hpp"

namespace handfast::apps {

inline constexpr int exit_usage = 2;
inline constexpr int exit_environment = 3;
inline constexpr int exit_nothing_succeeded = 4;
inline constexpr int exit_not_enough_memory = 5;

/// "What is wrong. What to type."
[[nodiscard]] std::string sentences(const Error& error);

/// An option whose value is `parse(text)`, an Expected; what is wrong with it is told in the parser's own
/// words. `kind` is what the help shows for the value. `value` outlives the app.
template <class T, class Parse>
CLI::Option* add_parsed(CLI::App& app, const std::string& name, T& value, Parse parse,
                        const std::string& kind, const std::string& help) {
  const auto store = [name, &value, parse](const std::string& text) {
    auto result = parse(text);
    if (!result) throw CLI::ValidationError(name, sentences(result.error()));
    value = static_cast<T>(std::move(*result));
  };
  return app.add_option_function<std::string>(name, store, help)->type_name(kind);
}

/// "64", "100k"; an error says between which numbers it has to be.
[[nodiscard]] Expected<std::uint64_t> parse_number(const std::string& text, std::uint64_t least,
                                                   std::uint64_t most);
/// The same for bytes: "64", "16K".
[[nodiscard]] Expected<std::uint64_t> parse_bytes(const std::string& text, std::uint64_t least,
                                                  std::uint64_t most);

template <class T>
CLI::Option* add_number(CLI::App& app, const std::string& name, T& value, std::uint64_t least,
                        std::uint64_t most, const std::string& help) {
  const auto parse = [least, most](const std::string& text) { return parse_number(text, least, most); };
  return add_parsed(app, name, value, parse, "N", help);
}
template <class T>
CLI::Option* add_bytes(CLI::App& app, const std::string& name, T& value, std::uint64_t least,
                       std::uint64_t most, const std::string& help) {
  const auto parse = [least, most](const std::string& text) { return parse_bytes(text, least, most); };
  return add_parsed(app, name, value, parse, "BYTES", help);
}
CLI::Option* add_duration(CLI::App& app, const std::string& name, Duration& value, const std::string& help);

/// Those of every subcommand, on the program itself: they may stand before the subcommand or after it.
void add_stack_options(CLI::App& app, StackConfig& config);

}  // namespace handfast::apps
