// SPDX-License-Identifier: BSD-3-Clause
// Which differences are known: each with a name that docs/differential.md explains. Layer: differential test.
#include "run.hpp"
#include "support/packet.hpp"

namespace handfast::differential {

using test::ACK, test::FIN, test::RST, test::SYN;

namespace {

struct Scene {
  const Program& program;
  std::size_t at;              // the step
  const Op* op;                // its op; nullptr: the handshake
  const Step &kernel, &stack;  // what came of it
  const Step& before;          // the step before, in which they still agreed

  [[nodiscard]] bool segment() const { return op != nullptr && op->kind == Op::Kind::segment; }
  [[nodiscard]] bool has(std::uint8_t bits) const { return segment() && (op->flags & bits) == bits; }
  /// Whether the program has done such a thing up to here.
  template <class Is>
  [[nodiscard]] bool earlier(Is&& is) const {
    for (std::size_t i = 0; i <= at; ++i) {
      const Op* o = op_of(program, i);
      if (o != nullptr && is(*o)) return true;
    }
    return false;
  }
  [[nodiscard]] bool done(Op::Kind kind) const {
    return earlier([kind](const Op& o) { return o.kind == kind; });
  }
  /// They differ in whether there was an answer, and in nothing else.
  [[nodiscard]] bool only_kernel_answers() const {
    return kernel.replied && !stack.replied && alike_but_for_the_answer();
  }
  [[nodiscard]] bool only_stack_answers() const {
    return stack.replied && !kernel.replied && alike_but_for_the_answer();
  }
  [[nodiscard]] bool only_sack_differs() const {
    Step a = kernel;
    a.sack = stack.sack;
    return a == stack;
  }
  [[nodiscard]] bool only_sending_differs() const {
    Step a = kernel;
    a.sack = stack.sack;
    a.replied = stack.replied;
    a.edge = stack.edge;
    a.fin = stack.fin;
    return a == stack;
  }
  [[nodiscard]] bool below_the_window() const { return segment() && (op->seq < 0 || op->length != 0); }
  [[nodiscard]] bool peer_sent_fin() const {
    return earlier([](const Op& o) { return o.kind == Op::Kind::segment && (o.flags & FIN) != 0; });
  }
  /// A connection was begun by an op.
  [[nodiscard]] bool syn_before() const {
    return earlier([](const Op& o) { return o.kind == Op::Kind::segment && (o.flags & SYN) != 0; });
  }
  [[nodiscard]] bool small_window_before() const {
    return earlier(
        [](const Op& o) { return o.kind == Op::Kind::segment && o.window >= 0 && o.window < 65535; });
  }
  /// The field that the peer sent last, if it could have been taken.
  [[nodiscard]] std::int32_t peer_window() const {
    std::int32_t field = 65535;
    for (std::size_t i = 0; i <= at; ++i) {
      const Op* o = op_of(program, i);
      if (o != nullptr && o->kind == Op::Kind::segment && o->window >= 0) field = o->window;
    }
    return field;
  }
  /// For how many steps the peer has not acknowledged all.
  [[nodiscard]] std::size_t unacknowledged_for() const {
    std::size_t steps = 0;
    for (std::size_t i = at; i > 0; --i, ++steps) {
      const Op* o = op_of(program, i);
      if (o == nullptr || (o->kind == Op::Kind::segment && (o->flags & ACK) != 0 && o->ack == 0 &&
                           o->ack_from == From::got && o->seq_from == From::next && o->seq == 0))
        break;
    }
    return steps;
  }
  [[nodiscard]] bool alike_but_for_the_answer() const {
    Step a = kernel, b = stack;
    a.replied = b.replied;
    a.sack = b.sack;
    return a == b;
  }
};

struct Known {
  const char* name;
  bool (*explains)(const Scene& s);
};

// docs/differential.md has a row for each name.
constexpr Known known[] = {
    {"syn-with-fin", [](const Scene& s) { return s.has(SYN | FIN); }},
    {"simultaneous-syn-ack",
     [](const Scene& s) { return s.has(SYN | ACK) && s.program.active && s.only_kernel_answers(); }},
    {"reset-of-an-orphan",
     [](const Scene& s) {
       return s.segment() && s.done(Op::Kind::close) && s.kernel.reset && s.stack.reset;
     }},
    {"right-edge-itself",
     [](const Scene& s) {
       return s.segment() && s.op->seq_from == From::right && s.op->seq >= 0 && s.op->seq <= 500 &&
              s.alike_but_for_the_answer();
     }},
    {"sizes-of-windows",
     [](const Scene& s) {
       return s.segment() && s.op->seq_from == From::right &&
              ((s.kernel.syns == 2 && s.stack.syns == 2) || (s.kernel.reset && s.stack.reset));
     }},
    {"fin-into-a-closed-window",
     [](const Scene& s) { return s.peer_window() == 0 && s.stack.fin && !s.kernel.fin; }},
    {"zero-window-probe",
     [](const Scene& s) {
       return s.peer_window() == 0 && s.only_sending_differs() && s.stack.edge - s.kernel.edge <= 1;
     }},
    {"syn-received-numbers-first",
     [](const Scene& s) { return s.syn_before() && s.kernel.reset && !s.stack.reset && s.kernel.edge == 1; }},
    {"echo-of-a-challenge",
     [](const Scene& s) {
       return !s.program.opened && s.program.ts && s.has(ACK) && s.kernel.replied && s.kernel.edge == 1 &&
              s.kernel.missing >= s.stack.missing;
     }},
    {"syn-in-time-wait",
     [](const Scene& s) { return s.has(SYN) && s.kernel.fin && s.stack.syns == 2 && s.kernel.syns == 0; }},
    {"answers-in-time-wait",
     [](const Scene& s) {
       return s.segment() && s.kernel.fin && s.peer_sent_fin() && s.only_kernel_answers();
     }},
    {"future-ack-in-time-wait",
     [](const Scene& s) {
       return s.has(ACK) && s.op->ack > 0 && s.kernel.fin && s.peer_sent_fin() && s.only_stack_answers();
     }},
    {"old-pure-ack",
     [](const Scene& s) {
       return s.program.ts && s.has(ACK) && s.op->ts_back > 0 && s.op->length == 0 && s.only_stack_answers();
     }},
    {"read-after-the-end",
     [](const Scene& s) {
       return s.op != nullptr && s.op->kind == Op::Kind::read && !s.stack.application &&
              s.kernel.application.value_or("").ends_with("eof");
     }},
    {"closed-and-acknowledged",
     [](const Scene& s) {
       return s.segment() && s.done(Op::Kind::close) && s.kernel.fin && s.kernel.missing == s.stack.missing;
     }},
    {"no-sack-after-close", [](const Scene& s) { return s.done(Op::Kind::close) && s.only_sack_differs(); }},
    {"ack-of-nothing",
     [](const Scene& s) {
       return s.has(ACK) && s.op->ack < 0 && s.kernel.edge == 1 && s.stack.replied && !s.stack.reset;
     }},
    {"sizes-of-buffers",
     [](const Scene& s) {
       return s.op != nullptr && s.op->kind == Op::Kind::read && s.done(Op::Kind::fill) &&
              s.kernel.missing == s.stack.missing;
     }},
    {"reset-at-the-end-of-sack",
     [](const Scene& s) {
       return s.has(RST) && s.program.sack && s.kernel.edge == s.stack.edge && !s.stack.sack.empty();
     }},
    {"reset-with-data-from-below",
     [](const Scene& s) {
       return s.has(RST) && s.op->seq < 0 && s.op->length != 0 && s.kernel.replied && !s.stack.replied;
     }},
    {"fin-with-an-ack-of-the-future",
     [](const Scene& s) { return s.has(FIN | ACK) && s.op->ack > 0 && s.stack.missing > s.kernel.missing; }},
    {"fin-inside-of-what-came",
     [](const Scene& s) {
       return s.has(FIN) && s.program.sack && s.stack.missing < 0 && s.kernel.missing == 0;
     }},
    {"window-shrinks-under-an-old-number",
     [](const Scene& s) {
       return s.earlier([](const Op& o) { return o.window >= 0 && o.window < 65535; }) &&
              s.kernel.edge > s.stack.edge;
     }},
    {"override-timer", [](const Scene& s) { return s.small_window_before() && s.only_sending_differs(); }},
    {"beyond-or-below-the-fin",
     [](const Scene& s) { return s.peer_sent_fin() && s.kernel.reset && !s.stack.reset; }},
    {"no-ack-bit",
     [](const Scene& s) {
       return s.segment() && (s.op->flags & (ACK | SYN | RST)) == 0 && s.only_stack_answers();
     }},
    {"ends-beyond-the-window",
     [](const Scene& s) {
       return s.segment() && s.op->seq_from == From::right && s.op->seq < 0 && s.op->seq + s.op->length > 0;
     }},
    {"window-update",
     [](const Scene& s) {
       return s.op != nullptr && s.op->kind == Op::Kind::read && s.alike_but_for_the_answer();
     }},
    {"duplicate-sack",
     [](const Scene& s) { return s.program.sack && s.only_sack_differs() && s.below_the_window(); }},
    {"sack-beyond-fin",
     [](const Scene& s) { return s.program.sack && s.only_sack_differs() && s.peer_sent_fin(); }},
    {"retransmission-timer",
     [](const Scene& s) { return s.unacknowledged_for() >= 3 && s.only_sending_differs(); }},
    {"no-timestamps", [](const Scene& s) { return s.segment() && s.op->no_ts; }},
};

/// While a window is being filled, how much was offered at a time is each endpoint's own business.
bool still_filling(const Program& program, std::size_t step) {
  const Op* op = op_of(program, step);
  if (op == nullptr || op->kind != Op::Kind::fill) return false;
  const Op* next = step + 1 < program.ops.size() + 3 ? op_of(program, step + 1) : nullptr;
  return next != nullptr && next->kind == Op::Kind::fill;
}
bool filled(const Program& program, std::size_t step, const Step& kernel, const Step& stack) {
  const Op* op = op_of(program, step);
  return op != nullptr && op->kind == Op::Kind::fill && kernel.window_zero && stack.window_zero &&
         kernel.missing == stack.missing;
}

}  // namespace

std::optional<Difference> compare(const Program& program, const Steps& kernel, const Steps& stack) {
  for (std::size_t i = 0; i < kernel.size() && i < stack.size(); ++i) {
    if (kernel[i] == stack[i] || still_filling(program, i) || filled(program, i, kernel[i], stack[i]))
      continue;
    const Step none;
    const Scene scene{program, i, op_of(program, i), kernel[i], stack[i], i == 0 ? none : kernel[i - 1]};
    for (const Known& k : known)
      if (k.explains(scene)) return Difference{i, k.name};
    return Difference{i, {}};
  }
  return std::nullopt;
}

}  // namespace handfast::differential
