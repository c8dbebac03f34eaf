// SPDX-License-Identifier: BSD-3-Clause
// Handfast as the endpoint of a program; see stack_subject.hpp. Layer: differential test.
#include "stack_subject.hpp"

namespace handfast::differential {

namespace {
CoreConfig config() {
  CoreConfig c = test::small_config();
  // Both sides answer everything that asks for an answer: how many answers a second are given is not what is
  // compared.
  c.tcp.challenge_acks_per_second = 255;
  c.tcp.congestion_control = CongestionControl::cubic;
  return c;
}
}  // namespace

StackSubject::StackSubject() : trace_(config()) {
  trace_.app.data = [](Conn&, const RxView&) { return std::size_t{0}; };  // until a read
  trace_.app.accepted = trace_.app.connected = [](Conn& c) { c.set_nodelay(true); };
}

void StackSubject::start(const Program& program) {
  if (program.active)
    connecting_ = trace_.connect();
  else
    trace_.listen();
}

void StackSubject::send(test::Packet packet) {
  packet.source = trace_.peer.self;
  packet.destination = trace_.peer.stack;
  packet.source_mac = test::Trace::peer_mac;
  packet.destination_mac = test::Trace::stack_mac;
  trace_.inject(packet);
}

std::optional<std::string> StackSubject::call(const Op& op) {
  using enum Op::Kind;
  std::optional<Conn> conn = trace_.core().find(trace_.app.opened.empty() ? connecting_ : trace_.app.last());
  std::optional<std::string> said;
  if (conn && conn->id() != let_go_) {
    if (op.kind == write) {
      conn->send(std::string(op.bytes, 'w'));
    } else if (op.kind == read) {
      // A test's record of the end of file is made when it is told, and it is told when everything is read.
      const std::size_t n = conn->consume(SIZE_MAX);
      trace_.poll();
      said = std::to_string(n) + (trace_.app.record().fin ? " eof" : "");
    } else if (op.kind == shutdown) {
      conn->shutdown_write();
    } else if (op.kind == close) {
      let_go_ = conn->id();
      conn->close();
    } else if (op.kind == abort) {
      conn->abort();
    }
  }
  trace_.poll();
  return said;
}

std::vector<test::Packet> StackSubject::take() {
  std::vector<test::Packet> all(trace_.peer.in.begin(), trace_.peer.in.end());
  trace_.peer.in.clear();
  return all;
}

}  // namespace handfast::differential
