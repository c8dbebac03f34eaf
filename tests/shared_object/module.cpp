// SPDX-License-Identifier: BSD-3-Clause
// A whole stack behind five C functions in a shared object: what a tool in any language can load and drive.
#include <cstddef>
#include <cstdint>
#include <memory>

#include "handfast/frame_port.hpp"

namespace {

using namespace handfast;

struct Echo {
  std::size_t on_data(Conn& conn, const RxView& in) { return conn.send(in.bytes()); }
};

/// Sends what it was given, counts what comes back, closes when all did.
struct Client {
  std::uint64_t* echoed;
  std::size_t wanted;
  void on_connect(Conn& conn) {
    static constexpr std::byte bytes[4096]{};
    for (std::size_t left = wanted; left != 0;) {
      const std::size_t n = conn.send_static({bytes, left < sizeof bytes ? left : sizeof bytes});
      if (n == 0) break;
      left -= n;
    }
  }
  void on_data(Conn& conn, const RxView& in) {
    *echoed += in.size();
    if (*echoed == wanted) conn.close();
  }
};

struct Instance {
  std::unique_ptr<FrameStack> stack;
  std::uint64_t echoed = 0;
  void (*out)(void*, const void*, std::size_t) = nullptr;
  void* ctx = nullptr;
};

}  // namespace

extern "C" {

[[gnu::visibility("default")]] void* hf_create(std::uint32_t address, std::uint64_t seed, void (*out)(void*, const void*, std::size_t),
                                               void* ctx) {
  auto instance = std::make_unique<Instance>();
  instance->out = out;
  instance->ctx = ctx;
  CoreConfig config;
  config.link.address = {Ipv4Address{address}, 24};
  config.link.mac.bytes[5] = static_cast<std::uint8_t>(address);
  config.seed = seed;
  auto stack = FrameStack::create(
      config, Time{},
      [](void* self, std::span<const std::byte> frame) {
        auto* i = static_cast<Instance*>(self);
        i->out(i->ctx, frame.data(), frame.size());
      },
      instance.get());
  if (!stack) return nullptr;
  instance->stack = std::move(*stack);
  if (!instance->stack->core().listen({any, 7}, Echo{})) return nullptr;
  return instance.release();
}

[[gnu::visibility("default")]] int hf_connect(void* self, std::uint32_t address, std::size_t bytes) {
  auto* instance = static_cast<Instance*>(self);
  auto handler = instance->stack->core().add_handler(Client{&instance->echoed, bytes});
  return handler && instance->stack->core().connect({Ipv4Address{address}, 7}, *handler) ? 0 : -1;
}

[[gnu::visibility("default")]] void hf_receive(void* self, const void* frame, std::size_t length) {
  static_cast<Instance*>(self)->stack->receive({static_cast<const std::byte*>(frame), length});
}

[[gnu::visibility("default")]] std::size_t hf_poll(void* self, std::uint64_t now_ns) {
  return static_cast<Instance*>(self)->stack->poll(Time{Duration{static_cast<std::int64_t>(now_ns)}});
}

[[gnu::visibility("default")]] std::uint64_t hf_echoed(void* self) { return static_cast<Instance*>(self)->echoed; }

[[gnu::visibility("default")]] void hf_destroy(void* self) { delete static_cast<Instance*>(self); }
}
