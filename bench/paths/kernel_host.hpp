// SPDX-License-Identifier: BSD-3-Clause
// The Linux kernel's TCP as one end of a path: a network namespace of its own with a TAP device, both gone
// with the object. Layer: bench. Needs the right to make namespaces; nothing outside of the namespace is
// touched.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "host.hpp"

namespace handfast::paths {

/// A file descriptor that closes itself.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

struct KernelOptions {
  std::string congestion = "cubic";
  /// Below /proc/sys, of this namespace: {"net/ipv4/tcp_dsack", "0"}. Everything else is the namespace's
  /// default.
  std::vector<std::pair<std::string, std::string>> sysctls = {};
};

class KernelHost final : public Host {
 public:
  /// Throws std::runtime_error with a sentence where the machine does not let it.
  KernelHost(Ipv4Address address, MacAddress mac, KernelOptions options);
  ~KernelHost() override;

  void sink(Port port, Received& received) override;
  /// The echo blocks, so it is not of this thread: see echo_until().
  void echo(Port port) override;
  void source(Endpoint to) override;
  [[nodiscard]] std::uint64_t retransmits() override;

  void receive(std::span<const std::byte> frame) override;
  void poll(Time) override {}
  void watch(std::vector<pollfd>& fds) const override;
  void ready(const pollfd& fd) override;

  /// A blocking TCP socket of this namespace.
  [[nodiscard]] Fd socket() const;
  /// Frames that the device dropped because nobody fetched them in time.
  [[nodiscard]] std::uint64_t device_drops() const;

 private:
  [[nodiscard]] Fd non_blocking_socket() const;
  void configure_device();
  void read_frames();
  void accept_one(int listener);
  void drain(int fd, Received& received);
  void fill(int fd);

  KernelOptions options_;
  Fd namespace_, tap_;
  std::map<int, Received*> listeners_, sinks_;
  std::vector<int> sources_;
  std::vector<Fd> sockets_;
  std::uint64_t writes_refused_ = 0;
};

/// Whether this process may make namespaces and TAP devices; the reason if not.
[[nodiscard]] std::optional<std::string> why_no_kernel_host();

}  // namespace handfast::paths
