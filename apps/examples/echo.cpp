// SPDX-License-Identifier: BSD-3-Clause
// The smallest server: sends back what it receives. Layer: apps. Build it with the project, or copy it and
// begin.
//   handfast-echo --dev tap:hf0 --address 10.0.0.2/24
#include <handfast/handfast.hpp>

using namespace handfast;

struct Echo {
  // What comes in is sent back, as far as it fits; what is left stays unread, and the peer's window closes.
  std::size_t on_data(Conn& c, const RxView& in) {
    const std::size_t sent = c.send(in.bytes());
    if (sent < in.size()) c.pause_rx();
    return sent;
  }
  void on_writable(Conn& c) { c.resume_rx(); }
  // The peer has said all, and all of it is queued: our FIN follows it.
  void on_peer_fin(Conn& c) { c.close(); }
};

int main(int argc, char** argv) {
  const auto config = StackConfig::from_args(argc, argv);
  if (!config) return report(config.error());
  const auto stack = Stack::create(*config);
  if (!stack) return report(stack.error());
  return (*stack)->run([](Core& core) { return core.listen({any, 7}, Echo{}); });
}
