// SPDX-License-Identifier: BSD-3-Clause
// Fibers by ucontext; see fibers.hpp. AddressSanitizer is told of each change of stacks.
// Layer: test of threads.
#include "fibers.hpp"

#include <ucontext.h>

#include <cstdint>

#if defined(__SANITIZE_ADDRESS__)
#define HF_FIBERS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HF_FIBERS_ASAN 1
#endif
#endif
#ifdef HF_FIBERS_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace handfast::explorer {

namespace {
constexpr std::size_t stack_bytes = 256 * 1024;
}

struct Fibers::Side {
  ucontext_t context{};
  std::unique_ptr<std::byte[]> stack;
  const void* bottom = nullptr;
  std::size_t size = 0;
  void* fake_stack = nullptr;
  bool started = false;
};

Fibers::Fibers() {
  for (auto& s : sides_) s = std::make_unique<Side>();
  for (int i = 0; i < most; ++i) {
    Side& s = side(i);
    s.stack = std::make_unique<std::byte[]>(stack_bytes);
    s.bottom = s.stack.get();
    s.size = stack_bytes;
  }
}
Fibers::~Fibers() = default;

Fibers::Side& Fibers::side(int index) {
  return *sides_[static_cast<std::size_t>(index == nobody ? most : index)];
}

void Fibers::run(int first, const std::function<int(int)>& body) {
  body_ = &body;
  for (int i = 0; i < most; ++i) side(i).started = false;
  switch_to(first);
}

void Fibers::start(int index) {
  Side& s = side(index);
  s.started = true;
  s.fake_stack = nullptr;
  ::getcontext(&s.context);
  s.context.uc_stack.ss_sp = s.stack.get();
  s.context.uc_stack.ss_size = stack_bytes;
  s.context.uc_link = nullptr;
  const auto self = reinterpret_cast<std::uintptr_t>(this);
  ::makecontext(&s.context, reinterpret_cast<void (*)()>(reinterpret_cast<void*>(&Fibers::enter)), 2,
                static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
}

void Fibers::enter(unsigned high, unsigned low) {
  auto& self = *reinterpret_cast<Fibers*>(std::uintptr_t{high} << 32 | low);
  Side* caller = &self.side(nobody);
#ifdef HF_FIBERS_ASAN
  const void* bottom = nullptr;
  std::size_t size = 0;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
  if (caller->bottom == nullptr) {  // the first switch of all came from there
    caller->bottom = bottom;
    caller->size = size;
  }
#endif
  const int me = self.current_;
  const int next = (*self.body_)(me);
  if (next != nobody && !self.side(next).started) self.start(next);
  self.current_ = next;
  self.jump(self.side(me), next == nobody ? *caller : self.side(next), true);
}

void Fibers::switch_to(int next) {
  if (next != nobody && !side(next).started) start(next);
  Side& from = side(current_);
  current_ = next;
  jump(from, side(next), false);
}

void Fibers::jump(Side& from, Side& to, [[maybe_unused]] bool for_good) {
#ifdef HF_FIBERS_ASAN
  __sanitizer_start_switch_fiber(for_good ? nullptr : &from.fake_stack, to.bottom, to.size);
#endif
  ::swapcontext(&from.context, &to.context);
#ifdef HF_FIBERS_ASAN
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

}  // namespace handfast::explorer
