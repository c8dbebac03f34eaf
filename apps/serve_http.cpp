// SPDX-License-Identifier: BSD-3-Clause
// The web server off its fast path: requests and answers in pieces, files, refusals. Layer: apps.
#include "serve_http.hpp"

#include <array>

namespace handfast::apps {

HttpContent HttpContent::fixed(std::size_t body_bytes) {
  std::string body;
  body.reserve(body_bytes);
  while (body.size() < body_bytes) body += "Handfast says hello, as often as the size wants it.\n";
  body.resize(body_bytes);
  HttpContent content;
  for (const bool keep_alive : {false, true}) {
    ResponseHead head;
    head.content_length = body_bytes;
    head.content_type = content_type_of("a.txt");
    head.keep_alive = keep_alive;
    content.answers_[0][keep_alive] = make_response(head, body);
    content.answers_[1][keep_alive] = make_response(head);
  }
  return content;
}

HttpContent HttpContent::of(const FileStore& files) {
  HttpContent content;
  content.files_ = &files;
  return content;
}

HttpServer::Slow& HttpServer::slow(State& s) {
  if (!s.slow) s.slow = std::make_unique<Slow>();
  return *s.slow;
}

std::size_t HttpServer::parse(Conn& c, State& s, std::span<const std::byte> bytes) {
  std::size_t consumed = 0;
  while (consumed < bytes.size()) {
    if (s.slow && s.slow->deaf) return bytes.size();
    if (s.slow && s.slow->has_rest()) return consumed;  // paused: the next request waits for its turn
    // A request that comes whole leaves nothing in its parser, which then need not be kept.
    RequestParser fresh;
    RequestParser& parser = s.slow ? s.slow->parser : fresh;
    const auto result = memo_.feed(parser, bytes.subspan(consumed));
    consumed += result.consumed;
    switch (result.status) {
      case RequestParser::Status::complete: {
        if (s.slow && s.slow->waiting) {
          s.slow->waiting = false;
          c.disarm();
        }
        answer(c, s, result.request);
        if (!result.request.keep_alive) return bytes.size();
        break;
      }
      case RequestParser::Status::error:
        refuse(c, s, result.http_status);
        return bytes.size();
      case RequestParser::Status::need_more:
        if (!s.slow) slow(s).parser = std::move(fresh);
        if (!s.slow->waiting && s.slow->parser.in_request()) {
          s.slow->waiting = true;
          c.arm(request_limit);
        }
        return bytes.size();
    }
  }
  return consumed;
}

void HttpServer::answer_file(Conn& c, State& s, const HttpRequest& request) {
  const FileStore::Found found = content_->files()->find(request.target);
  const bool ok = found.http_status == 200;
  if (!ok) ++counters_.errors;
  const std::string_view reason = ok ? std::string_view{} : reason_phrase(found.http_status);
  const auto body = ok ? found.bytes : as_bytes(reason);  // a constant, as static as a file
  ResponseHead head;
  head.http_status = found.http_status;
  head.content_length = body.size();
  head.content_type = ok ? found.content_type : content_type_of("a.txt");
  head.keep_alive = request.keep_alive;
  std::array<std::byte, 512> room;
  const auto text = std::span<const std::byte>{room}.first(write_response_head(room, head));
  const auto wanted = request.method == HttpMethod::head ? std::span<const std::byte>{} : body;
  c.cork();  // head and body in one segment where they fit
  const std::size_t head_sent = c.send(text);
  const std::size_t body_sent = head_sent == text.size() && !wanted.empty() ? c.send_static(wanted) : 0;
  c.uncork();
  if (head_sent < text.size() || body_sent < wanted.size())
    return keep_rest(c, s, as_text(text.subspan(head_sent)), wanted.subspan(body_sent), request.keep_alive);
  if (!request.keep_alive) c.close();
}

void HttpServer::keep_rest(Conn& c, State& s, std::string_view head, std::span<const std::byte> body,
                           bool keep_alive) {
  Slow& rest = slow(s);
  rest.head.assign(head);
  rest.head_sent = 0;
  rest.body = body;
  rest.close_after = rest.deaf = !keep_alive;
  // With a close to come, what else is sent must be read and dropped: unread bytes would turn the FIN into a
  // RST.
  if (keep_alive) c.pause_rx();
}

void HttpServer::on_writable(Conn& c, State& s) {
  if (!s.slow || !s.slow->has_rest()) return;
  Slow& rest = *s.slow;
  if (rest.head_sent < rest.head.size())
    rest.head_sent += c.send(std::string_view{rest.head}.substr(rest.head_sent));
  if (rest.head_sent < rest.head.size()) return;
  if (!rest.body.empty()) rest.body = rest.body.subspan(c.send_static(rest.body));
  if (!rest.body.empty()) return;
  if (rest.close_after)
    c.close();
  else
    c.resume_rx();
}

/// A refused peer may still be sending: a close now would reset it, and it would never read why. So only our
/// side is closed, and the rest is dropped for a while (RFC 9112 section 9.6).
void HttpServer::refuse(Conn& c, State& s, std::uint16_t http_status) {
  ++counters_.requests;
  ++counters_.errors;
  slow(s).deaf = true;
  // No place for so few bytes: then the FIN alone has to say it.
  c.send(make_error_response(http_status));
  c.shutdown_write();
  c.arm(linger);
}

/// The peer has said all; what it asked for is still answered.
void HttpServer::on_peer_fin(Conn& c, State& s) {
  if (s.slow && s.slow->has_rest())
    s.slow->close_after = true;
  else
    c.close();
}

}  // namespace handfast::apps
