// SPDX-License-Identifier: BSD-3-Clause
// Running programs; see run.hpp. Layer: differential test.
#include "run.hpp"

#include <chrono>
#include <memory>
#include <thread>

#include "stack_subject.hpp"

namespace handfast::differential {

namespace {

/// Rounds of the handshake: it opens; and, passive, the peer's ACK.
constexpr std::size_t opening_rounds = 2;

/// The kernel's shortest timers are of 200 ms.
constexpr Duration longest_round = 150ms;

/// One program and how far it is. Round 0 starts it, the next ones are the handshake (or nothing), then the
/// ops.
class Course {
 public:
  Course(const Program& program, Subject& subject) : program_(program), subject_(subject), peer_(program) {}

  [[nodiscard]] bool over(std::size_t round) const { return round >= rounds(); }
  [[nodiscard]] std::size_t rounds() const { return 1 + opening_rounds + program_.ops.size(); }

  void act(std::size_t round) {
    if (over(round)) return;
    said_.reset();
    peer_.pass(static_cast<std::uint32_t>(settle_time / 1ms));
    const auto emit = [this](test::Packet p) { subject_.send(std::move(p)); };
    if (round == 0) return subject_.start(program_);
    if (round <= opening_rounds) {
      if (!program_.opened) return;
      if (round == 1) return peer_.open(emit);
      return peer_.finish_open(emit);
    }
    const Op& op = program_.ops[round - 1 - opening_rounds];
    if (op.kind == Op::Kind::segment || op.kind == Op::Kind::fill)
      peer_.act(op, emit);
    else
      said_ = subject_.call(op);
  }
  void observe(std::size_t round) {
    if (over(round)) return;
    Step step = peer_.observe(subject_.take());
    step.application = said_;
    steps.push_back(std::move(step));
  }

  Steps steps;

 private:
  const Program& program_;
  Subject& subject_;
  ScriptedPeer peer_;
  std::optional<std::string> said_;
};

}  // namespace

KernelRun run_on_kernel(Wire& wire, const std::vector<Program>& programs, Port first_port) {
  std::vector<std::unique_ptr<KernelSubject>> subjects;
  std::vector<Course> courses;
  std::size_t rounds = 0;
  for (std::size_t i = 0; i < programs.size(); ++i) {
    subjects.push_back(std::make_unique<KernelSubject>(wire, static_cast<Port>(first_port + i)));
    courses.emplace_back(programs[i], *subjects.back());
    rounds = std::max(rounds, courses.back().rounds());
  }
  KernelRun run;
  std::map<Port, std::vector<test::Packet>> inbox;
  for (std::size_t round = 0; round < rounds; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    for (Course& course : courses) {
      course.act(round);
      wire.read(inbox);  // so that the device's queue stays short
    }
    std::this_thread::sleep_for(settle_time);
    for (auto& subject : subjects) subject->acknowledge();
    wire.read(inbox);
    for (std::size_t i = 0; i < subjects.size(); ++i) {
      subjects[i]->inbox = std::move(inbox[subjects[i]->port()]);
      inbox[subjects[i]->port()].clear();
      courses[i].observe(round);
    }
    if (std::chrono::steady_clock::now() - begin > longest_round) run.timely = false;
  }
  for (Course& course : courses) run.steps.push_back(std::move(course.steps));
  return run;
}

Steps run_on_stack(const Program& program) {
  StackSubject subject;
  Course course{program, subject};
  for (std::size_t round = 0; !course.over(round); ++round) {
    course.act(round);
    subject.settle();
    course.observe(round);
  }
  return std::move(course.steps);
}

const Op* op_of(const Program& program, std::size_t step) {
  return step <= opening_rounds ? nullptr : &program.ops[step - 1 - opening_rounds];
}

}  // namespace handfast::differential
