// SPDX-License-Identifier: BSD-3-Clause
// The Linux kernel as the endpoint of many programs at once, behind a TAP in a network namespace of the
// process' own. Layer: differential test. Nothing outside of the namespace is touched.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "subject.hpp"

namespace handfast::differential {

/// A file descriptor that closes itself.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~Fd() { reset(); }
  [[nodiscard]] int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

 private:
  int fd_;
};

/// The TAP, and who gets which frame.
class Wire {
 public:
  /// Moves this process into a new network namespace (and user namespace, where it is not root); once, while
  /// it has one thread. Throws std::runtime_error with the reason where that is not allowed.
  Wire();

  static constexpr Ipv4Address kernel{10, 0, 0, 1}, peer{10, 0, 0, 2};
  static constexpr MacAddress kernel_mac{{2, 0, 0, 0, 0, 1}}, peer_mac{{2, 0, 0, 0, 0, 2}};

  void write(const test::Packet& packet);
  /// Everything that the kernel has sent, by its port.
  void read(std::map<Port, std::vector<test::Packet>>& by_port);
  /// Frames of TCP that a strict parser does not take.
  [[nodiscard]] const std::vector<std::string>& malformed() const { return malformed_; }

 private:
  Fd tap_;
  std::vector<std::string> malformed_;
};

class KernelSubject final : public Subject {
 public:
  /// Each program has a port of its own.
  KernelSubject(Wire& wire, Port port) : wire_(wire), port_(port) {}
  ~KernelSubject() override;
  void start(const Program& program) override;
  void send(test::Packet packet) override;
  std::optional<std::string> call(const Op& op) override;
  std::vector<test::Packet> take() override { return std::move(inbox); }
  /// An ACK that is held back for a while leaves now.
  void acknowledge();
  [[nodiscard]] Port port() const { return port_; }

  std::vector<test::Packet> inbox;

 private:
  void accept_all();
  Wire& wire_;
  Port port_;
  Fd listener_, connection_;
};

}  // namespace handfast::differential
