// SPDX-License-Identifier: BSD-3-Clause
// The parser of port words. Layer: dpdk, pure text. Must not know how a port is made.
#include "dpdk/port_spec.hpp"

#include <array>
#include <cctype>

namespace handfast::dpdk {

namespace {

struct Word {
  std::string_view text;
  PortKind kind;
  bool target_needed;
  std::string_view shape;  ///< what to type
};

constexpr std::array words{
    Word{"ring", PortKind::ring, false, "ring:PAIRNAME"},
    Word{"vhost", PortKind::vhost, true, "vhost:PATH"},
    Word{"virtio", PortKind::virtio, true, "virtio:PATH"},
    Word{"memif", PortKind::memif, true, "memif:PATH,role=server or memif:PATH,role=client"},
    Word{"tap", PortKind::tap, true, "tap:NAME"},
    Word{"veth", PortKind::veth, true, "veth:INTERFACE"},
    Word{"xdp", PortKind::xdp, true, "xdp:INTERFACE"},
    Word{"pcap", PortKind::pcap, true, "pcap:IN.pcap,OUT.pcap"},
    Word{"null", PortKind::null, false, "null"},
    Word{"pci", PortKind::pci, true, "pci:0000:03:00.0"},
};

constexpr std::string_view all_words =
    "ring[:PAIRNAME], vhost:PATH, virtio:PATH, memif:PATH,role=server|client, tap:NAME, veth:INTERFACE, "
    "xdp:INTERFACE, pcap:IN,OUT, null, pci:ADDRESS; each may be followed by ,key=value for its driver";

tl::unexpected<Error> usage(std::string what, std::string_view remedy) {
  return tl::unexpected(Error{ErrorKind::usage, std::move(what), std::string(remedy)});
}

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

std::vector<std::string_view> split_commas(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto comma = text.find(',');
    parts.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

const Word* find_word(std::string_view text) {
  for (const auto& candidate : words) {
    if (candidate.text == text) return &candidate;
  }
  return nullptr;
}

bool is_hex(std::string_view text) {
  for (const char c : text) {
    if (std::isxdigit(static_cast<unsigned char>(c)) == 0) return false;
  }
  return !text.empty();
}

/// [DDDD:]BB:DD.F, in hexadecimal.
bool is_pci_address(std::string_view text) {
  if (text.size() == 12 && text[4] == ':') {
    if (!is_hex(text.substr(0, 4))) return false;
    text.remove_prefix(5);
  }
  return text.size() == 7 && text[2] == ':' && text[5] == '.' && is_hex(text.substr(0, 2)) &&
         is_hex(text.substr(3, 2)) && text[6] >= '0' && text[6] <= '7';
}

bool set_role(PortSpec& spec, std::string_view text) {
  if (text != "server" && text != "client") return false;
  spec.role = text == "server" ? MemifRole::server : MemifRole::client;
  return true;
}

Expected<void> add_option(PortSpec& spec, std::string_view part, std::string_view whole) {
  if (spec.kind == PortKind::memif && set_role(spec, part)) return {};
  const auto equals = part.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return usage("in the port " + quoted(whole) + ", " + quoted(part) + " is not key=value",
                 "write extras as ,key=value");
  }
  const auto key = part.substr(0, equals);
  const auto value = part.substr(equals + 1);
  if (spec.kind == PortKind::memif && key == "role") {
    if (set_role(spec, value)) return {};
    return usage("the memif role " + quoted(value) + " is neither server nor client",
                 "write ,role=server on one end and ,role=client on the other");
  }
  if (spec.extra(key) != nullptr) {
    return usage("in the port " + quoted(whole) + ", " + quoted(key) + " is given twice", "give it once");
  }
  spec.extras.emplace_back(key, value);
  return {};
}

}  // namespace

std::string_view word(PortKind kind) {
  for (const auto& candidate : words) {
    if (candidate.kind == kind) return candidate.text;
  }
  return {};
}

std::string_view port_words() { return all_words; }

const std::string* PortSpec::extra(std::string_view key) const {
  for (const auto& [name, value] : extras) {
    if (name == key) return &value;
  }
  return nullptr;
}

Expected<PortSpec> PortSpec::parse(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return usage("a port has a zero byte in it", "remove it");
  const auto end_of_word = text.find_first_of(":,");
  const auto* const found = find_word(text.substr(0, end_of_word));
  if (found == nullptr) {
    return usage("there is no port word " + quoted(text.substr(0, end_of_word)),
                 "one of: " + std::string(all_words));
  }
  PortSpec spec;
  spec.kind = found->kind;
  std::string_view rest;
  if (end_of_word != std::string_view::npos)
    rest = text.substr(end_of_word + (text[end_of_word] == ':' ? 1 : 0));

  const auto parts = split_commas(rest);
  spec.target = parts[0];
  std::size_t next = 1;
  if (spec.kind == PortKind::pcap && parts.size() > 1 && parts[1].find('=') == std::string_view::npos) {
    spec.pcap_out = parts[1];
    next = 2;
  }
  const bool has_target = !spec.target.empty() || !spec.pcap_out.empty();
  if (found->target_needed && !has_target) {
    return usage("the port " + quoted(text) + " lacks what it stands on",
                 "write " + std::string(found->shape));
  }
  if (spec.kind == PortKind::null && has_target) {
    return usage("the port word null takes no name, but " + quoted(spec.target) + " follows", "write null");
  }
  if (spec.kind == PortKind::pci && !is_pci_address(spec.target)) {
    return usage(quoted(spec.target) + " is not a PCI address",
                 "write pci:0000:03:00.0, as lspci -D prints it");
  }
  for (; next < parts.size(); ++next) {
    if (auto added = add_option(spec, parts[next], text); !added) return tl::unexpected(added.error());
  }
  if (spec.kind == PortKind::ring && spec.target.empty()) spec.target = "default";
  return spec;
}

std::string PortSpec::to_string() const {
  std::string out(word(kind));
  if (!target.empty() || kind == PortKind::pcap) out += ":" + target;
  if (kind == PortKind::pcap) out += "," + pcap_out;
  if (kind == PortKind::memif) out += role == MemifRole::server ? ",role=server" : ",role=client";
  for (const auto& [key, value] : extras) out += "," + key + "=" + value;
  return out;
}

}  // namespace handfast::dpdk
