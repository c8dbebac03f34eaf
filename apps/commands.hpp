// SPDX-License-Identifier: BSD-3-Clause
// The subcommands: each adds its options to the program, and runs when it was the one that was typed.
// Layer: apps. main() knows no more of them than this.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>

#include "handfast/stack.hpp"

namespace handfast::apps {

class Command {
 public:
  virtual ~Command() = default;
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;
  /// The exit code. The config is what the shared options say.
  virtual int run(StackConfig config) = 0;
  [[nodiscard]] const CLI::App& app() const { return *app_; }

 protected:
  explicit Command(CLI::App& app) : app_(&app) {}
  /// Whether the option (by its long name) was given, on the command line or in a file.
  [[nodiscard]] static bool given(const CLI::App& app, const std::string& name) {
    return app.count(name) != 0;
  }
  /// One of those that all subcommands share.
  [[nodiscard]] bool stack_option_given(const std::string& name) const {
    return given(*app_->get_parent(), name);
  }

 private:
  CLI::App* app_;
};

[[nodiscard]] std::unique_ptr<Command> add_serve(CLI::App& program);
[[nodiscard]] std::unique_ptr<Command> add_load(CLI::App& program);
[[nodiscard]] std::unique_ptr<Command> add_demo(CLI::App& program);
[[nodiscard]] std::unique_ptr<Command> add_doctor(CLI::App& program);

}  // namespace handfast::apps
