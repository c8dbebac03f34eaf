// SPDX-License-Identifier: BSD-3-Clause
// An HTTP/1.1 server for GET and HEAD: one fixed body, or the files of a FileStore. A request that comes in
// one piece and was seen before is answered by a comparison and one reference to static bytes. Layer: apps.
// Knows nothing of ports and command lines.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/file_store.hpp"
#include "common/http_memo.hpp"
#include "handfast/conn.hpp"

namespace handfast::apps {

/// What is served: made once, shared by all cores, never changed while they run.
class HttpContent {
 public:
  /// Every target has the same body of `body_bytes`.
  [[nodiscard]] static HttpContent fixed(std::size_t body_bytes);
  /// `files` outlives this object.
  [[nodiscard]] static HttpContent of(const FileStore& files);

  /// Null for a fixed body.
  [[nodiscard]] const FileStore* files() const { return files_; }
  /// The fixed answer, head and body (or head alone). Static for the sake of send_static.
  [[nodiscard]] std::string_view answer(HttpMethod method, bool keep_alive) const {
    return answers_[method == HttpMethod::head][keep_alive];
  }

 private:
  std::string answers_[2][2];
  const FileStore* files_ = nullptr;
};

/// The handler; one for each core.
class HttpServer {
  struct Slow {
    RequestParser parser;
    std::string head;  // of an answer; queued up to head_sent
    std::size_t head_sent = 0;
    std::span<const std::byte> body;  // static; what of it is not queued yet
    bool close_after = false;         // once all is queued
    bool deaf = false;                // what still comes is dropped: the last request was seen, or refused
    bool waiting = false;             // a request has begun, and its deadline runs

    [[nodiscard]] bool has_rest() const { return head_sent < head.size() || !body.empty(); }
  };

 public:
  struct State {
    std::unique_ptr<Slow> slow;  // only for requests in pieces, answers in pieces and lingering closes
  };

  struct Counters {
    std::uint64_t requests = 0;  ///< answered, errors included
    std::uint64_t errors = 0;    ///< with a status of 400 or above
  };

  /// `content` outlives the server.
  explicit HttpServer(const HttpContent& content) : content_(&content) {}

  std::size_t on_data(Conn& c, State& s, const RxView& in) {
    if (!s.slow) [[likely]] {
      if (const HttpRequest* known = memo_.find(in.bytes())) [[likely]] {
        answer(c, s, *known);
        return in.size();
      }
    }
    return parse(c, s, in.bytes());
  }
  void on_writable(Conn& c, State& s);
  void on_peer_fin(Conn& c, State& s);
  static void on_timer(Conn& c) { c.abort(); }

  [[nodiscard]] const Counters& counters() const { return counters_; }

  /// How long a peer may go on sending after it was refused, before it is reset.
  static constexpr Duration linger = 2s;
  /// How long a request may take from its first byte to its last, before the connection is reset.
  static constexpr Duration request_limit = 20s;

 private:
  // An answer is queued as far as it fits; what does not stays in Slow, and reading pauses until it went.
  void answer(Conn& c, State& s, const HttpRequest& request) {
    ++counters_.requests;
    if (content_->files() != nullptr) return answer_file(c, s, request);
    const auto bytes = as_bytes(content_->answer(request.method, request.keep_alive));
    const std::size_t sent = c.send_static(bytes);
    if (sent < bytes.size()) [[unlikely]]
      return keep_rest(c, s, {}, bytes.subspan(sent), request.keep_alive);
    if (!request.keep_alive) c.close();
  }
  void answer_file(Conn& c, State& s, const HttpRequest& request);
  void refuse(Conn& c, State& s, std::uint16_t http_status);
  std::size_t parse(Conn& c, State& s, std::span<const std::byte> bytes);
  static void keep_rest(Conn& c, State& s, std::string_view head, std::span<const std::byte> body,
                        bool keep_alive);
  static Slow& slow(State& s);

  const HttpContent* content_;
  RequestMemo memo_;
  Counters counters_;
};

}  // namespace handfast::apps
