// SPDX-License-Identifier: BSD-3-Clause
// F10: what people type: values, the words of a port, the command line, a configuration file. Accepted means: within its
// range, and the same again when it is printed and read. Refused means: an error that says what is wrong and what to type.
// Layer: fuzz. Input: one byte for the parser, then text.
#include <CLI/CLI.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "common/duration_text.hpp"
#include "dpdk/port_spec.hpp"
#include "fuzz/fuzz.hpp"
#include "load_options.hpp"
#include "stack_options.hpp"

namespace handfast::fuzz {
namespace {

using namespace handfast::apps;

template <class Result>
void check_error(const Result& result) {
  if (result) return;
  FUZZ_CHECK(result.error().kind == ErrorKind::usage && !result.error().what.empty() && !result.error().remedy.empty());
}

/// Of values with a text of their own: it is read back as the same, and only that text or one in capitals is read.
template <class Value>
void check_value(std::string_view text) {
  const auto value = Value::parse(text);
  if (!value) return;
  const std::string printed = value->to_string();
  const auto again = Value::parse(printed);
  FUZZ_CHECK(again && *again == *value && printed.size() == text.size());
}

void check_port(std::string_view text) {
  const auto spec = dpdk::PortSpec::parse(text);
  check_error(spec);
  if (!spec) return;
  FUZZ_CHECK(dpdk::port_words().find(dpdk::word(spec->kind)) != std::string_view::npos && spec->extra(",") == nullptr);
  const auto again = dpdk::PortSpec::parse(spec->to_string());
  FUZZ_CHECK(again && *again == *spec);
}

/// A number and a unit, by hand: digits, then one of the words. Nothing where it is not that, or too large to say.
__extension__ using Wide = unsigned __int128;
struct Unit {
  std::string_view word;
  Wide factor;
};

void check_duration(const std::string& text) {
  const auto parsed = parse_duration(text);
  check_error(parsed);
  if (!parsed) return;
  FUZZ_CHECK(*parsed >= Duration{0} && *parsed <= 24h * 366);
  std::size_t digits = 0;
  Wide value = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    value = value * 10 + static_cast<unsigned>(text[digits++] - '0');
    FUZZ_CHECK(value < Wide{1} << 64);
  }
  FUZZ_CHECK(digits != 0);
  const std::string_view unit = std::string_view{text}.substr(digits);
  Wide factor = 0;
  for (const Unit& u : {Unit{"ns", 1}, Unit{"us", 1000}, Unit{"ms", 1000000}, Unit{"s", 1000000000}, Unit{"m", 60000000000}, Unit{"h", 3600000000000}})
    if (unit == u.word) factor = u.factor;
  FUZZ_CHECK(factor != 0 && value * factor == static_cast<Wide>(parsed->count()));
  FUZZ_CHECK(!duration_text(*parsed).empty() && (*parsed == Duration{0} || duration_text(-*parsed) == "-" + duration_text(*parsed)));
}

void check_numbers(const std::string& text) {
  const auto size = parse_size(text), count = parse_count(text);
  check_error(size);
  check_error(count);
  std::size_t digits = 0;
  Wide value = 0;
  while (digits < text.size() && digits < 30 && text[digits] >= '0' && text[digits] <= '9')
    value = value * 10 + static_cast<unsigned>(text[digits++] - '0');
  for (const bool binary : {true, false}) {
    const auto& parsed = binary ? size : count;
    if (!parsed) continue;
    FUZZ_CHECK(digits != 0 && digits < 30);
    const std::string_view unit = std::string_view{text}.substr(digits);
    Wide factor = 1;
    const Wide step = binary ? 1024 : 1000;
    for (const char letter : {'k', 'm', 'g', 't'}) {
      const char first = unit.empty() ? '\0' : static_cast<char>(unit[0] | 0x20);
      factor *= step;
      if (first == letter) break;
      if (letter == 't') factor = 1;
    }
    FUZZ_CHECK(value * factor == *parsed);
  }
  if (size) FUZZ_CHECK(!size_text(*size).empty() && !count_text(*size).empty());
}

void check_config(const StackConfig& config) {
  const LinkConfig& link = config.core.link;
  const TcpConfig& tcp = config.core.tcp;
  FUZZ_CHECK(link.mtu >= 576 && link.mtu <= 9216 && link.address_count >= 1 && link.address_count <= 65536);
  FUZZ_CHECK(link.address.length <= 32 && config.cores >= 1 && config.cores <= 64);
  FUZZ_CHECK(tcp.mss == 0 || (tcp.mss >= 88 && tcp.mss <= 9176));
  FUZZ_CHECK(tcp.send_buffer >= 2048 && tcp.receive_buffer >= 2048 && tcp.receive_buffer <= 1u << 30);
  FUZZ_CHECK(tcp.msl >= Duration{0} && tcp.connect_timeout >= Duration{0});
  FUZZ_CHECK(config.core.limits.connections >= 1 && config.core.limits.connections <= 1u << 28);
  // What the core itself has to say about it: an error, or nothing.
  const auto error = validate(config.core);
  FUZZ_CHECK(!error || (!error->what.empty() && !error->remedy.empty()));
}

struct Parsed {
  bool accepted = false;
  StackConfig config;
  std::string what;
};

/// The program's own words but for the subcommands that need a port, from a line or from a file.
Parsed parse_program(const std::string& text, bool file) {
  Parsed p;
  LoadOptions load;
  CLI::App program{"Handfast", "handfast"};
  program.allow_config_extras(CLI::config_extras_mode::error);
  add_stack_options(program, p.config);
  CLI::App* const command = program.add_subcommand("load")->fallthrough();
  load.add_to(*command);
  try {
    if (file) {
      std::istringstream stream{text};
      program.parse_from_stream(stream);
    } else {
      std::vector<std::string> words;
      std::istringstream stream{text};
      for (std::string word; stream >> word;) words.insert(words.begin(), word);
      program.parse(words);
    }
    p.accepted = true;
    check_config(p.config);
    LoadTexts texts;
    if (const auto plan = make_plan(load, texts))
      FUZZ_CHECK(plan->target.port != 0 && plan->requests >= 1 && (plan->rate == 0 || load.concurrency == 0));
    else
      FUZZ_CHECK(!plan.error().what.empty() && !plan.error().remedy.empty());
  } catch (const CLI::Error& error) {
    p.what = error.what();
    FUZZ_CHECK(!error.get_name().empty());
  }
  return p;
}

void check_program(const std::string& text, bool file) {
  const Parsed one = parse_program(text, file), two = parse_program(text, file);
  FUZZ_CHECK(one.accepted == two.accepted && one.what == two.what && one.config.dev == two.config.dev);
  FUZZ_CHECK(one.config.core.link.address == two.config.core.link.address);
}

}  // namespace
}  // namespace handfast::fuzz

using namespace handfast;
using namespace handfast::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Tally tally{"texts"};
  Reader in{data, size};
  const unsigned what = in.u8();
  const auto bytes = in.bytes(512);
  // An exact block: views must not be taken for strings with a zero at their end.
  static ExactBlock<512> block;
  const auto exact = block.place(bytes);
  const std::string_view view{reinterpret_cast<const char*>(exact.data()), exact.size()};
  const std::string text{view};
  tally.add();
  switch (what % 16) {
    case 0: check_program(text, false); break;
    case 1: check_program(text, true); break;
    case 2: check_value<Ipv4Address>(view); break;
    case 3: check_value<Ipv4Prefix>(view); break;
    case 4: check_value<Endpoint>(view); break;
    case 5: check_value<MacAddress>(view); break;
    case 6:
    case 7:
    case 8: check_port(view); break;
    case 9:
    case 10: check_duration(text); break;
    default: check_numbers(text); break;
  }
  return 0;
}
