// SPDX-License-Identifier: BSD-3-Clause
// Loads the module at run time, joins two stacks by their two functions, and lets them talk. Links nothing of Handfast.
#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>

namespace {

struct Functions {
  void* (*create)(std::uint32_t, std::uint64_t, void (*)(void*, const void*, std::size_t), void*);
  int (*connect)(void*, std::uint32_t, std::size_t);
  void (*receive)(void*, const void*, std::size_t);
  std::size_t (*poll)(void*, std::uint64_t);
  std::uint64_t (*echoed)(void*);
  void (*destroy)(void*);
} hf;

template <class F>
bool find(void* module, const char* name, F& to) {
  to = reinterpret_cast<F>(dlsym(module, name));
  if (to == nullptr) std::printf("the module has no %s\n", name);
  return to != nullptr;
}

struct Side {
  void* self = nullptr;
  Side* other = nullptr;
};

void pass_on(void* ctx, const void* frame, std::size_t length) { hf.receive(static_cast<Side*>(ctx)->other->self, frame, length); }

}  // namespace

int main(int argc, char** argv) {
  void* module = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : nullptr;
  if (module == nullptr) {
    std::printf("cannot load: %s\n", argc == 2 ? dlerror() : "no path given");
    return 1;
  }
  if (!find(module, "hf_create", hf.create) || !find(module, "hf_connect", hf.connect) || !find(module, "hf_receive", hf.receive) ||
      !find(module, "hf_poll", hf.poll) || !find(module, "hf_echoed", hf.echoed) || !find(module, "hf_destroy", hf.destroy))
    return 1;
  constexpr std::uint32_t first = 0x0a000001, second = 0x0a000002;
  constexpr std::size_t bytes = 100000;
  Side a, b;
  a.other = &b;
  b.other = &a;
  a.self = hf.create(first, 1, pass_on, &a);
  b.self = hf.create(second, 2, pass_on, &b);
  if (a.self == nullptr || b.self == nullptr || hf.connect(b.self, first, bytes) != 0) return 1;
  for (std::uint64_t ns = 0; ns < 5'000'000'000 && hf.echoed(b.self) < bytes; ns += 1'000'000) {
    hf.poll(a.self, ns);
    hf.poll(b.self, ns);
  }
  const std::uint64_t echoed = hf.echoed(b.self);
  hf.destroy(a.self);
  hf.destroy(b.self);
  std::printf("%llu of %zu bytes came back\n", static_cast<unsigned long long>(echoed), bytes);
  return echoed == bytes ? 0 : 1;
}
