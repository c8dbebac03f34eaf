// SPDX-License-Identifier: BSD-3-Clause
// unshare, and what follows; see network.hpp. Layer: bench.
#include "network.hpp"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace handfast::bench {
namespace {

void set(const char* name, const char* value) {
  // What this kernel lacks, or keeps for the whole machine, stays as it is.
  std::ofstream{std::string{"/proc/sys/net/"} + name} << value;
}

}  // namespace

void enter_own_network() {
  const int wanted = geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET;
  if (unshare(wanted) != 0) {
    std::perror("kernel-bench: no network namespace (run as root, or allow user namespaces)");
    std::exit(3);
  }
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK;
  if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) != 0) {
    std::perror("kernel-bench: the loopback does not come up");
    std::exit(3);
  }
  close(fd);
  set("ipv4/ip_local_port_range", "1024 65535");
  set("ipv4/tcp_tw_reuse", "1");
  set("ipv4/tcp_max_tw_buckets", "1000000");
  set("ipv4/tcp_max_syn_backlog", "65535");
  set("core/somaxconn", "65535");
}

}  // namespace handfast::bench
