// SPDX-License-Identifier: BSD-3-Clause
// The command line of paths-bench; see options.hpp. Layer: bench.
#include "options.hpp"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <stdexcept>

namespace handfast::paths {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ',')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

double number(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || value < 0)
    throw std::invalid_argument("'" + text + "' is not a number of 0 or more");
  return value;
}

std::vector<double> numbers(const std::string& text) {
  std::vector<double> all;
  for (const std::string& part : split(text)) all.push_back(number(part));
  return all;
}

CongestionControl congestion(const std::string& name) {
  std::string known;
  for (const CongestionName& c : congestion_controls()) {
    if (c.name == name) return c.control;
    known += " " + c.name;
  }
  throw std::invalid_argument("there is no congestion control '" + name + "'; there are:" + known);
}

std::vector<std::string> pairs(const std::string& text) {
  std::vector<std::string> all = split(text);
  for (const std::string& pair : all)
    if (pair != "hh" && pair != "hk" && pair != "kh" && pair != "kk")
      throw std::invalid_argument("'" + pair + "' is none of hh, hk, kh, kk");
  return all;
}

void sysctl(Options& o, const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || !text.starts_with("net."))
    throw std::invalid_argument("'" + text + "' is not net.NAME=VALUE");
  std::string name = text.substr(0, equals);
  std::ranges::replace(name, '.', '/');
  o.kernel.sysctls.emplace_back(name, text.substr(equals + 1));
}

Duration milliseconds(const std::string& text) {
  return Duration{static_cast<Duration::rep>(number(text) * 1e6)};
}

}  // namespace

const char* usage() {
  return "usage: paths-bench [--fairness | --latency] [OPTION...]\n"
         "  --pairs hh,hk,kh,kk    who sends to whom: h Handfast, k kernel; hh runs in virtual time\n"
         "  --loss 0,0.1,1,5       percent, each way\n"
         "  --delay 0,10,100       round trip of the link without its queue, ms\n"
         "  --reorder 0,1,10       percent of frames held back, each way\n"
         "  --reorder-by 2         how long they are held back, ms\n"
         "  --rate 100             Mbit/s of Ethernet frames, each way\n"
         "  --queue 0              bytes; 0: one bandwidth-delay product, at least 100 full frames\n"
         "  --mark-above 0         ECN marks above so many queued bytes; 0: none\n"
         "  --ecn                  both ends negotiate ECN\n"
         "  --seconds N            of each run (8; fairness 30; latency 5)\n"
         "  --repeats N            runs in real time of each cell (1); --virtual-repeats N (3)\n"
         "  --parallel N           runs in real time at once (processors)\n"
         "  --congestion cubic     Handfast's; --kernel-congestion cubic\n"
         "  --kernel-sysctl NAME=VALUE  in the kernel's namespaces: net.ipv4.tcp_dsack=0; may be given "
         "several times\n"
         "  --at-least 0           exit code 1 if any figure of the matrix is below, Mbit/s\n"
         "  --seed 1 --json FILE --markdown --quiet\n";
}

Options parse_options(int argc, const char* const* argv) {
  Options o;
  const std::map<std::string, std::function<void()>> flags{
      {"--fairness", [&] { o.what = What::fairness; }},
      {"--latency", [&] { o.what = What::latency; }},
      {"--markdown", [&] { o.markdown = true; }},
      {"--quiet", [&] { o.quiet = true; }},
      {"--ecn", [&] { sysctl(o, "net.ipv4.tcp_ecn=1"), o.stack.ecn = true; }},
  };
  using Text = const std::string&;
  const std::map<std::string, std::function<void(Text)>> values{
      {"--pairs", [&](Text t) { o.pairs = pairs(t); }},
      {"--loss", [&](Text t) { o.loss = numbers(t); }},
      {"--delay", [&](Text t) { o.round_trip = numbers(t); }},
      {"--reorder", [&](Text t) { o.reorder = numbers(t); }},
      {"--reorder-by", [&](Text t) { o.path.reorder_by = milliseconds(t); }},
      {"--rate", [&](Text t) { o.path.bits_per_second = static_cast<std::uint64_t>(number(t) * 1e6); }},
      {"--queue", [&](Text t) { o.path.queue_bytes = static_cast<std::size_t>(number(t)); }},
      {"--mark-above", [&](Text t) { o.path.mark_above_bytes = static_cast<std::size_t>(number(t)); }},
      {"--seconds", [&](Text t) { o.seconds = number(t); }},
      {"--repeats", [&](Text t) { o.repeats = static_cast<unsigned>(number(t)); }},
      {"--virtual-repeats", [&](Text t) { o.virtual_repeats = static_cast<unsigned>(number(t)); }},
      {"--parallel", [&](Text t) { o.parallel = static_cast<unsigned>(number(t)); }},
      {"--congestion", [&](Text t) { o.stack.congestion = congestion(o.stack_congestion = t); }},
      {"--kernel-congestion", [&](Text t) { o.kernel.congestion = t; }},
      {"--kernel-sysctl", [&](Text t) { sysctl(o, t); }},
      {"--at-least", [&](Text t) { o.at_least = number(t); }},
      {"--seed", [&](Text t) { o.seed = static_cast<std::uint64_t>(number(t)); }},
      {"--json", [&](Text t) { o.json = t; }},
  };
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (const auto flag = flags.find(word); flag != flags.end()) {
      flag->second();
    } else if (const auto value = values.find(word); value != values.end()) {
      if (++i == argc) throw std::invalid_argument(word + " needs a value");
      value->second(argv[i]);
    } else {
      throw std::invalid_argument("there is no option '" + word + "'");
    }
  }
  return o;
}

}  // namespace handfast::paths
