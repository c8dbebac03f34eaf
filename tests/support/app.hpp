// SPDX-License-Identifier: BSD-3-Clause
// The application of a test: records every callback, checks their grammar, and does what the test says.
// Layer: test support. (accept | connect)? data* fin? closed, exactly once, and nothing after it.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "handfast/core.hpp"

namespace handfast::test {

class App {
 public:
  /// Lives in the connection: says that each State that was made was destroyed.
  struct State {
    static inline long living = 0;
    std::uint64_t mark = magic;
    State() { ++living; }
    ~State() {
      --living;
      mark = 0;
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    static constexpr std::uint64_t magic = 0x68616e6466617374;
  };

  struct Record {
    bool opened = false, fin = false;
    std::optional<CloseReason> closed;
    std::string received;
    std::uint64_t sent = 0;
    int writable = 0, timers = 0, urgent = 0, unresponsive = 0;
  };

  // What the test wants done; empty: nothing, and data is taken whole.
  std::function<bool(const SynInfo&)> syn;
  std::function<void(Conn&)> accepted, connected, writable, fin, timer, urgent, unresponsive;
  std::function<std::size_t(Conn&, const RxView&)> data;
  std::function<void(Conn&, std::size_t)> sent;
  std::function<void(ConnId, CloseReason)> closed;

  /// In the order in which they happened: "accept", "connect", "data:5", "fin", "closed:finished".
  std::vector<std::string> events;
  std::map<ConnId, Record> records;
  std::vector<ConnId> opened;  ///< in the order of on_accept and on_connect

  [[nodiscard]] ConnId last() const { return opened.empty() ? ConnId{} : opened.back(); }
  [[nodiscard]] Record& record() { return records[last()]; }
  [[nodiscard]] const std::string& received() { return record().received; }
  [[nodiscard]] std::optional<CloseReason> reason() { return record().closed; }
  [[nodiscard]] int count(const std::string& event) const;

  bool on_syn(const SynInfo& info) { return !syn || syn(info); }
  void on_accept(Conn& c, State& s);
  void on_connect(Conn& c, State& s);
  std::size_t on_data(Conn& c, State& s, const RxView& in);
  void on_sent(Conn& c, State& s, std::size_t n);
  void on_writable(Conn& c, State& s);
  void on_peer_fin(Conn& c, State& s);
  void on_timer(Conn& c, State& s);
  void on_urgent(Conn& c, State& s);
  void on_unresponsive(Conn& c, State& s);
  void on_closed(ConnId id, State& s, CloseReason why);

 private:
  Record& enter(Conn& c, const State& s, const char* what);
};

}  // namespace handfast::test
