// SPDX-License-Identifier: BSD-3-Clause
// The program `handfast`: finds out which subcommand is meant, and says in one sentence what is wrong with a
// word and in another what to type. Layer: apps.
#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "commands.hpp"
#include "stack_options.hpp"

namespace handfast::apps {
namespace {

constexpr std::string_view command_list =
    "  serve   a server: http, echo, discard or chargen\n"
    "  load    a load test of a server\n"
    "  demo    both in one process\n"
    "  doctor  what works on this machine, and what to type for what does not\n";

int complain(const std::string& text) {
  std::fprintf(stderr, "handfast: %s\n", text.c_str());
  return exit_usage;
}

int complain_about_command(const std::string& what) {
  complain(what + ". Type one of these after \"handfast\" (and --help after it for its options):");
  std::fprintf(stderr, "%.*s", static_cast<int>(command_list.size()), command_list.data());
  return exit_usage;
}

/// CLI11's own words, made a sentence, and where to look.
int complain_about_word(const CLI::App& program, const CLI::ParseError& error) {
  std::string text = error.what();
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  if (text.empty() || text.back() != '.') text += '.';
  std::string command = "handfast";
  for (const CLI::App* chosen : program.get_subcommands()) command += " " + chosen->get_name();
  // What our own parsers say already names the remedy.
  if (dynamic_cast<const CLI::ValidationError*>(&error) != nullptr) return complain(text);
  return complain(text + " Type \"" + command + " --help\" for the words that it knows.");
}

int run(int argc, char** argv) {
  CLI::App program{"Handfast, a TCP endpoint on DPDK. What follows \"--\" goes to DPDK's EAL.", "handfast"};
  program.allow_config_extras(
      CLI::config_extras_mode::error);  // inherited by the commands: no misspelt name goes unseen
  program.set_config("--config", "", "Options from a file; what is typed wins", false);
  program.set_version_flag("--version", std::string{"handfast " HANDFAST_VERSION});
  StackConfig config;
  add_stack_options(program, config);
  const std::array<std::unique_ptr<Command>, 4> commands{add_serve(program), add_load(program),
                                                         add_demo(program), add_doctor(program)};

  std::vector<std::string> words{argv + 1, argv + argc};
  const auto dashes = std::find(words.begin(), words.end(), "--");
  if (dashes != words.end()) config.eal_args.assign(dashes + 1, words.end());
  words.erase(dashes, words.end());
  std::reverse(words.begin(), words.end());  // as CLI11 wants them
  try {
    program.parse(words);
  } catch (const CLI::Success& wanted) {  // --help, --version
    return program.exit(wanted);
  } catch (const CLI::ParseError& error) {
    const auto rest = program.remaining();
    if (program.get_subcommands().empty() && !rest.empty() && rest.front().front() != '-')
      return complain_about_command("\"" + rest.front() + "\" is no command");
    return complain_about_word(program, error);
  }
  for (const auto& command : commands)
    if (command->app().parsed()) return command->run(config);
  return complain_about_command("No command was given");
}

}  // namespace
}  // namespace handfast::apps

int main(int argc, char** argv) {
  try {
    return handfast::apps::run(argc, argv);
  } catch (const std::exception& error) {  // out of memory at start; nothing below throws once it runs
    std::fprintf(stderr,
                 "handfast: %s. Lower --connections and the other tables, or run `handfast doctor`.\n",
                 error.what());
    return handfast::apps::exit_environment;
  }
}
