// SPDX-License-Identifier: BSD-3-Clause
// Driver arguments, checks before, explanations after. Layer: dpdk, no rte_*.
#include "dpdk/vdev.hpp"

#include <net/if.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

namespace handfast::dpdk {

namespace {

using Arguments = std::vector<std::pair<std::string, std::string>>;

constexpr std::size_t longest_interface = IFNAMSIZ - 1;
constexpr std::size_t longest_socket_path = sizeof(sockaddr_un::sun_path) - 1;

tl::unexpected<Error> wrong(ErrorKind kind, std::string what, std::string remedy) {
  return tl::unexpected(Error{kind, std::move(what), std::move(remedy)});
}

/// The user's extras replace ours of the same key, and the others follow.
std::string join(Arguments ours, const Arguments& extras) {
  for (const auto& [key, value] : extras) {
    bool replaced = false;
    for (auto& argument : ours) {
      if (argument.first == key) {
        argument.second = value;
        replaced = true;
      }
    }
    if (!replaced) ours.emplace_back(key, value);
  }
  std::string out;
  for (const auto& [key, value] : ours) out += (out.empty() ? "" : ",") + key + "=" + value;
  return out;
}

Expected<void> check_socket_path(const PortSpec& spec) {
  if (spec.target.size() > longest_socket_path) {
    return wrong(ErrorKind::usage,
                 "the socket path of " + spec.to_string() + " is longer than " +
                     std::to_string(longest_socket_path) + " bytes",
                 "choose a shorter path, such as /tmp/hf.sock");
  }
  return {};
}

Expected<void> check_directory_of(const PortSpec& spec, const std::string& path) {
  auto directory = std::filesystem::path(path).parent_path().string();
  if (directory.empty()) directory = ".";
  if (access(directory.c_str(), W_OK | X_OK) == 0) return {};
  return wrong(
      ErrorKind::environment,
      "cannot write to " + directory + " for the port " + spec.to_string() + ": " + std::strerror(errno),
      "choose a path in a directory that exists and is yours");
}

/// A vhost server cannot bind where a file is; one that nobody answers at was left by a process that died.
Expected<void> clear_stale_socket(const PortSpec& spec) {
  struct stat status {};
  const char* const path = spec.target.c_str();
  if (lstat(path, &status) != 0) return {};
  if (!S_ISSOCK(status.st_mode)) {
    return wrong(ErrorKind::usage, spec.target + " exists and is not a socket",
                 "choose another path, or remove it");
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, spec.target.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return {};
  const bool refused = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0;
  const bool stale = refused && errno == ECONNREFUSED;
  close(fd);
  if (stale && unlink(path) == 0) return {};
  return wrong(ErrorKind::environment, "another process has the socket " + spec.target,
               "choose another path, or stop that process");
}

Expected<void> check_interface(const PortSpec& spec) {
  if (spec.target.size() > longest_interface || spec.target.find('/') != std::string::npos) {
    return wrong(ErrorKind::usage, "'" + spec.target + "' is no name for an interface",
                 "choose one of 1 to " + std::to_string(longest_interface) + " characters without a slash");
  }
  const bool exists = if_nametoindex(spec.target.c_str()) != 0;
  if (spec.kind == PortKind::tap && exists) {
    // The kernel would let a second owner in, and share the frames out between the two.
    return wrong(ErrorKind::environment, "the interface " + spec.target + " exists already",
                 "choose another name, or ip link delete " + spec.target);
  }
  if (spec.kind != PortKind::tap && !exists) {
    return wrong(ErrorKind::environment, "there is no interface " + spec.target,
                 spec.kind == PortKind::veth ? "ip link add " + spec.target + " type veth peer name " +
                                                   spec.target.substr(0, longest_interface - 1) + "p"
                                             : "ip link shows those there are");
  }
  return {};
}

Expected<void> check_rights(const PortSpec& spec, const MachineFacts& facts) {
  if (spec.kind == PortKind::tap) {
    if (!facts.tun_present) {
      return wrong(ErrorKind::environment, "/dev/net/tun is missing",
                   "modprobe tun, or give the container the device");
    }
    if (!facts.tun_usable || !facts.cap_net_admin) {
      return wrong(ErrorKind::environment, "no permission to create a TAP device",
                   "run as root or inside `unshare -Urn`");
    }
  } else if (!facts.cap_net_raw) {
    return wrong(ErrorKind::environment,
                 "no permission to open " + spec.target + " for raw frames (CAP_NET_RAW)",
                 spec.kind == PortKind::xdp ? "run as root" : "run as root or inside `unshare -Urn`");
  }
  return {};
}

Expected<void> check_pcap(const PortSpec& spec, unsigned queues) {
  if (queues != 1) {
    return wrong(ErrorKind::usage, "a pcap port has one queue, not " + std::to_string(queues),
                 "use one core with it");
  }
  if (!spec.target.empty() && access(spec.target.c_str(), R_OK) != 0) {
    return wrong(ErrorKind::environment, "cannot read " + spec.target + ": " + std::strerror(errno),
                 "write pcap:IN.pcap,OUT.pcap with a capture file that exists");
  }
  return spec.pcap_out.empty() ? Expected<void>{} : check_directory_of(spec, spec.pcap_out);
}

Expected<void> check_pci(const PortSpec& spec) {
  const auto address = spec.target.size() == 7 ? "0000:" + spec.target : spec.target;
  const auto device = std::filesystem::path("/sys/bus/pci/devices") / address;
  std::error_code ignored;
  if (std::filesystem::exists(device, ignored)) return {};
  return wrong(ErrorKind::environment, "there is no PCI device " + address, "lspci -D shows those there are");
}

}  // namespace

Vdev vdev_for(const PortSpec& spec, unsigned queues, unsigned serial) {
  const auto count = std::to_string(queues);
  Arguments ours;
  std::string driver;
  switch (spec.kind) {
    case PortKind::ring:
    case PortKind::pci:
      return {};
    case PortKind::null:
      driver = "net_null";
      break;
    case PortKind::vhost:
      driver = "net_vhost";
      ours = {{"iface", spec.target}, {"queues", count}};
      break;
    case PortKind::virtio:
      driver = "net_virtio_user";
      ours = {{"path", spec.target}, {"queues", count}, {"queue_size", "1024"}};
      break;
    case PortKind::memif:
      driver = "net_memif";
      ours = {{"role", spec.role == MemifRole::server ? "server" : "client"},
              {"id", "0"},
              {"socket", spec.target},
              {"socket-abstract", "no"}};
      break;
    case PortKind::tap:
      driver = "net_tap";
      ours = {{"iface", spec.target}};
      break;
    case PortKind::veth:
      driver = "net_af_packet";
      ours = {{"iface", spec.target}, {"qpairs", count}};
      break;
    case PortKind::xdp:
      driver = "net_af_xdp";
      ours = {{"iface", spec.target}, {"start_queue", "0"}, {"queue_count", count}};
      break;
    case PortKind::pcap:
      driver = "net_pcap";
      if (!spec.target.empty()) ours.emplace_back("rx_pcap", spec.target);
      if (!spec.pcap_out.empty()) ours.emplace_back("tx_pcap", spec.pcap_out);
      break;
  }
  return {driver + std::to_string(serial), join(std::move(ours), spec.extras)};
}

Expected<void> preflight(const PortSpec& spec, unsigned queues, const MachineFacts& facts) {
  Expected<void> result;
  switch (spec.kind) {
    case PortKind::ring:
    case PortKind::null:
      return {};
    case PortKind::virtio:
      return check_socket_path(spec);
    case PortKind::vhost:
      result = check_socket_path(spec);
      if (result) result = check_directory_of(spec, spec.target);
      return result ? clear_stale_socket(spec) : result;
    case PortKind::memif:
      result = check_socket_path(spec);
      if (!result || spec.role == MemifRole::client) return result;
      result = check_directory_of(spec, spec.target);
      return result ? clear_stale_socket(spec) : result;
    case PortKind::tap:
    case PortKind::veth:
    case PortKind::xdp:
      result = check_interface(spec);
      return result ? check_rights(spec, facts) : result;
    case PortKind::pcap:
      return check_pcap(spec, queues);
    case PortKind::pci:
      return check_pci(spec);
  }
  return {};
}

Error explain_failure(const PortSpec& spec, const MachineFacts& facts, const std::string& last_line) {
  const std::string said = last_line.empty() ? std::string{} : ": " + last_line;
  Error error{ErrorKind::environment, "the port " + spec.to_string() + " did not come up" + said,
              "check the words after " + std::string(word(spec.kind)) + ":, and see `handfast doctor`"};
  switch (spec.kind) {
    case PortKind::xdp:
      error.remedy = facts.is_root
                         ? "AF_XDP needs root outside of any user namespace, and as many queues on the "
                           "interface as cores; veth:" +
                               spec.target + " works with fewer rights"
                         : "run as root, or use veth:" + spec.target;
      break;
    case PortKind::tap:
      error.remedy = "check that no other process has the interface " + spec.target;
      break;
    case PortKind::pci:
      error.remedy = "bind the device to vfio-pci (dpdk-devbind.py -b vfio-pci " + spec.target +
                     "), and name it in the EAL options before start";
      break;
    case PortKind::vhost:
    case PortKind::virtio:
      error.remedy = "check that the other end has the same path and at least as many queues";
      break;
    case PortKind::pcap:
      error.remedy = "check that the input is a pcap file (pcapng is not read)";
      break;
    case PortKind::ring:
    case PortKind::memif:
    case PortKind::veth:
    case PortKind::null:
      break;
  }
  return error;
}

bool needs_peer_socket(const PortSpec& spec) {
  return spec.kind == PortKind::virtio || (spec.kind == PortKind::memif && spec.role == MemifRole::client);
}

bool peer_socket_present(const PortSpec& spec) {
  struct stat status {};
  return stat(spec.target.c_str(), &status) == 0 &&
         (!S_ISSOCK(status.st_mode) || access(spec.target.c_str(), W_OK) == 0);
}

Error peer_missing(const PortSpec& spec, const std::string& waited) {
  const std::string other = spec.kind == PortKind::virtio    ? "vhost:" + spec.target
                            : spec.role == MemifRole::client ? "memif:" + spec.target + ",role=server"
                                                             : "memif:" + spec.target + ",role=client";
  return {ErrorKind::environment, "nobody came to the other end of " + spec.to_string() + " within " + waited,
          "start the other end: a port " + other};
}

}  // namespace handfast::dpdk
