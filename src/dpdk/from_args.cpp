// SPDX-License-Identifier: BSD-3-Clause
// StackConfig::from_args: the few words that an embedder's own program wants at once. Layer: dpdk.
// The handfast executable has more of them, and a parser with help texts (apps/stack_options).
#include <array>
#include <charconv>
#include <string_view>

#include "dpdk/port_spec.hpp"
#include "handfast/stack.hpp"

namespace handfast {
namespace {

constexpr const char* words = "Known are --dev PORT, --address A/N, --gateway A, --cores N, --mac MAC, --mtu N, --congestion NAME, and after -- EAL's own";

tl::unexpected<Error> usage(std::string what, std::string remedy) {
  return tl::unexpected(Error{ErrorKind::usage, std::move(what), std::move(remedy)});
}

template <class T>
bool read_number(std::string_view text, T& to, unsigned least, unsigned most) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most) return false;
  to = static_cast<T>(value);
  return true;
}

template <class T, class Parse>
bool read_value(std::string_view text, T& to, Parse parse) {
  const auto value = parse(text);
  if (value) to = *value;
  return value.has_value();
}

/// False: no such word, or no such value for it.
Expected<void> apply(StackConfig& config, std::string_view word, std::string_view value) {
  LinkConfig& link = config.core.link;
  bool good = false;
  if (word == "--dev") {
    const auto spec = dpdk::PortSpec::parse(value);
    if (!spec) return tl::unexpected(spec.error());
    config.dev = std::string{value};
    good = true;
  } else if (word == "--address") {
    good = read_value(value, link.address, Ipv4Prefix::parse);
  } else if (word == "--gateway") {
    good = read_value(value, link.gateway, Ipv4Address::parse);
  } else if (word == "--mac") {
    good = config.mac_given = read_value(value, link.mac, MacAddress::parse);
  } else if (word == "--cores") {
    good = read_number(value, config.cores, 1, 64);
  } else if (word == "--congestion") {
    good = read_value(value, config.core.tcp.congestion_control, parse_congestion_control);
  } else if (word == "--mtu") {
    good = read_number(value, link.mtu, 576, 9216);
  } else {
    return usage("\"" + std::string{word} + "\" is no word of this program", words);
  }
  if (!good) return usage("\"" + std::string{value} + "\" is no value for " + std::string{word}, words);
  return {};
}

}  // namespace

Expected<StackConfig> StackConfig::from_args(int argc, const char* const* argv) {
  StackConfig config;
  for (int i = 1; i < argc; ++i) {
    std::string_view word = argv[i];
    if (word == "--") {
      config.eal_args.assign(argv + i + 1, argv + argc);
      break;
    }
    std::string_view value;
    if (const auto equals = word.find('='); equals != std::string_view::npos) {
      value = word.substr(equals + 1);
      word = word.substr(0, equals);
    } else if (i + 1 < argc) {
      value = argv[++i];
    }
    if (auto applied = apply(config, word, value); !applied) return tl::unexpected(applied.error());
  }
  return config;
}

}  // namespace handfast
