// SPDX-License-Identifier: BSD-3-Clause
// Runs one script against one stack in virtual time. Layer: tests. What is expected stands in the script
// alone.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/peer.hpp"
#include "traces/script.hpp"

namespace handfast::traces {

/// The configuration of a script: that of the test suite, NewReno, and what its `option` lines say.
struct Settings {
  CoreConfig config = test::small_config();
  std::uint32_t below_wrap = 0;  ///< the stack's initial number lies so far below 2^32; 0: any, close to it
  std::uint32_t peer_below_wrap = 0;  ///< the same of the peer
};
[[nodiscard]] Settings settings_of(const Script& script);

/// One byte of a stream: what send() queues, and what the peer sends, is known by its place.
[[nodiscard]] char stream_byte(std::int64_t at);

class Runner {
 public:
  explicit Runner(const Script& script);
  /// Throws ScriptError at the first step that does not hold.
  void run();
  /// What was sent so far, by whom and when, in the words of the language.
  [[nodiscard]] std::string history() const { return history_; }

 private:
  using Words = std::vector<std::string>;

  void take(const Step& step);
  void open(const Step& step);
  void open_active(const Step& step);
  void peer_sends(const Step& step);
  void peer_sends_once(const Step& step);
  void stack_sends(const Step& step);
  void nothing(const Step& step);
  void call(const Step& step);
  void on(const Step& step);
  void expect(const Step& step);
  void make_call(Conn& conn, const Words& words, std::size_t& at, const Step& step);
  void expect_number(const Step& step, const std::string& name, double actual, double scale, std::size_t at);
  void expect_text(const Step& step, const std::string& actual, std::size_t at);
  bool expect_of_connection(const Step& step);
  bool expect_of_core(const Step& step);

  void pass(Duration d);
  [[nodiscard]] std::optional<test::Packet> next_frame(Duration limit);
  void check_quiet(const Step& step);
  void check_segment(const Step& step, const test::Packet& packet);
  void check_options(const Step& step, const test::Packet& packet);
  void note_syn(const test::Packet& packet, bool from_stack);
  void learn(const test::Packet& packet);
  [[nodiscard]] std::string text(const test::Packet& packet, bool from_stack) const;
  void log(const test::Packet& packet, bool from_stack);
  [[noreturn]] void fail(const Step& step, const std::string& what) const;
  [[nodiscard]] std::optional<Conn> conn();
  [[nodiscard]] std::string state();
  [[nodiscard]] std::int64_t ms() const { return trace_->elapsed() / 1ms; }

  const Script& script_;
  std::unique_ptr<test::Trace> trace_;
  std::string history_;
  std::optional<ConnId> active_;
  bool stack_ts_ = false, peer_ts_ = false, ts_both_ = false;
  std::optional<int> stack_shift_, peer_shift_;  ///< offered in the SYN
  std::int64_t peer_window_ = 65535;
  std::uint32_t stack_ts_base_ = 0;
  std::int64_t seq_end_ = 0, last_ack_ = 1;  ///< of what the stack has sent
  std::int64_t queued_ = 0;                  ///< bytes given to send()
  std::int64_t consumed_by_hand_ = 0;
};

}  // namespace handfast::traces
