// SPDX-License-Identifier: BSD-3-Clause
// Words into a StackConfig, each with its own complaint. Layer: apps.
#include "stack_options.hpp"

#include "common/duration_text.hpp"
#include "dpdk/port_spec.hpp"

namespace handfast::apps {
namespace {

constexpr std::uint64_t most_entries = std::uint64_t{1} << 28;  // of any table (config.hpp)

tl::unexpected<Error> usage(std::string what, std::string remedy) {
  return tl::unexpected(Error{ErrorKind::usage, std::move(what), std::move(remedy)});
}

Expected<std::uint64_t> in_range(Expected<std::uint64_t> value, const std::string& text, std::uint64_t least,
                                 std::uint64_t most) {
  if (value && (*value < least || *value > most))
    return usage("\"" + text + "\" is out of range",
                 "Give a number from " + std::to_string(least) + " to " + std::to_string(most));
  return value;
}

/// For the parsers of values that answer with a value or nothing.
template <class Parse>
auto parsed_or(Parse parse, const std::string& text, const std::string& what, const std::string& remedy)
    -> Expected<typename decltype(parse(text))::value_type> {
  auto value = parse(text);
  if (!value) return usage("\"" + text + "\" is " + what, remedy);
  return *value;
}

void add_port_options(CLI::App& app, StackConfig& config) {
  LinkConfig& link = config.core.link;
  const std::string group = "Port and addresses";
  const auto dev = [](const std::string& text) -> Expected<std::string> {
    if (auto spec = dpdk::PortSpec::parse(text); !spec) return tl::unexpected(spec.error());
    return text;
  };
  add_parsed(app, "--dev", config.dev, dev, "PORT",
             "The port, by its word: tap:NAME (tap:hf0), veth:IF, memif:PATH ...")
      ->group(group);
  const auto prefix = [](const std::string& text) {
    return parsed_or(Ipv4Prefix::parse, text, "no address with the length of its network",
                     "Type one like 10.0.0.2/24");
  };
  add_parsed(app, "--address", link.address, prefix, "A/N", "Handfast's own address, 10.0.0.2/24")
      ->group(group);
  add_number(app, "--address-count", link.address_count, 1, 65536,
             "How many addresses, counted up from the first")
      ->group(group);
  const auto gateway = [](const std::string& text) {
    return parsed_or(Ipv4Address::parse, text, "no IPv4 address", "Type one like 10.0.0.1");
  };
  add_parsed(app, "--gateway", link.gateway, gateway, "A", "Where segments for other networks go")
      ->group(group);
  const auto mac = [&config](const std::string& text) {
    config.mac_given = true;
    return parsed_or(MacAddress::parse, text, "no Ethernet address", "Type one like 02:00:00:00:00:01");
  };
  add_parsed(app, "--mac", link.mac, mac, "MAC", "Instead of the port's own")->group(group);
  add_number(app, "--mtu", link.mtu, 576, 9216, "Bytes of an IP datagram, 1500")->group(group);
  app.add_flag("--segmentation", config.segmentation,
               "Large TCP segments are cut by the port, where it can; over a ring they cross whole")
      ->group(group);
  add_number(app, "--cores", config.cores, 1, 64, "Cores, each with its own queue, connections and timers")
      ->group(group);
}

void add_tcp_options(CLI::App& app, StackConfig& config) {
  TcpConfig& tcp = config.core.tcp;
  Limits& limits = config.core.limits;
  const std::string group = "TCP";
  add_duration(app, "--msl", tcp.msl, "Maximum segment lifetime, 30s; TIME-WAIT lasts twice as long")
      ->group(group);
  add_duration(app, "--connect-timeout", tcp.connect_timeout, "How long a SYN is repeated, 3m")->group(group);
  add_number(app, "--mss", tcp.mss, 88, 9176, "Largest payload of a segment to offer; else from the MTU")
      ->group(group);
  add_bytes(app, "--send-buffer", tcp.send_buffer, 2048, std::uint64_t{1} << 30, "Of each connection, 256K")
      ->group(group);
  add_bytes(app, "--receive-buffer", tcp.receive_buffer, 2048, std::uint64_t{1} << 30,
            "That each connection may grow to, 6M")
      ->group(group);
  add_bytes(app, "--receive-buffer-initial", tcp.receive_buffer_initial, 2048, std::uint64_t{1} << 30,
            "That each connection begins with, 64K")
      ->group(group);
  const auto algorithm = [](const std::string& text) {
    return parsed_or(parse_congestion_control, text, "no congestion control", "Type cubic, new_reno, dctcp or bbr");
  };
  add_parsed(app, "--congestion", tcp.congestion_control, algorithm, "NAME",
             "cubic, new_reno, dctcp or bbr; cubic")
      ->group(group);
  app.add_flag("--pacing", tcp.pacing, "Spread each window over its round trip (bbr always does)")->group(group);
  const std::string tables = "Tables, for each core";
  add_number(app, "--connections", limits.connections, 1, most_entries, "Connections at a time, 65536")
      ->group(tables);
  add_number(app, "--half-open", limits.half_open, 0, most_entries, "Before SYN cookies answer, 16384")
      ->group(tables);
  add_number(app, "--time-wait", limits.time_wait, 0, most_entries,
             "TIME-WAIT entries; beyond it the oldest goes, 65536")
      ->group(tables);
  add_bytes(app, "--buffer-memory", limits.buffer_memory, 64 << 10, std::uint64_t{1} << 40,
            "For what is copied or waits to be read, 64M")
      ->group(tables);
  app.add_flag("--prefault", limits.prefault, "Take the tables' memory at start, so that no poll waits for the kernel later")
      ->group(tables);
  add_number(app, "--seed", config.core.seed, 0, UINT64_MAX,
             "Of every random choice; 0: from the operating system")
      ->group(group);
}

}  // namespace

std::string sentences(const Error& error) { return error.what + ". " + error.remedy + "."; }

Expected<std::uint64_t> parse_number(const std::string& text, std::uint64_t least, std::uint64_t most) {
  return in_range(parse_count(text), text, least, most);
}

Expected<std::uint64_t> parse_bytes(const std::string& text, std::uint64_t least, std::uint64_t most) {
  return in_range(parse_size(text), text, least, most);
}

CLI::Option* add_duration(CLI::App& app, const std::string& name, Duration& value, const std::string& help) {
  return add_parsed(
      app, name, value, [](const std::string& text) { return parse_duration(text); }, "TIME", help);
}

void add_stack_options(CLI::App& app, StackConfig& config) {
  add_port_options(app, config);
  add_tcp_options(app, config);
  app.add_flag("--telemetry", config.telemetry, "Open DPDK's telemetry socket");
}

}  // namespace handfast::apps
