// SPDX-License-Identifier: BSD-3-Clause
// Conn, RxBuf, TxBuf: the application's calls on a connection, handed on to tcp/calls. Layer: api.
#include "handfast/conn.hpp"

#include <algorithm>

#include "shard/shard.hpp"
#include "tcp/calls.hpp"
#include "tcp/congestion.hpp"
#include "tcp/patience.hpp"
#include "tcp/timeouts.hpp"
#include "tcp/urgent.hpp"

namespace handfast {

namespace {
bool is_over(const tcp::Tcb& tcb) { return tcp::has(tcb, tcp::ended); }
}  // namespace

RxBuf::~RxBuf() {
  if (handle_ != nullptr) shard_->give_back(handle_);
}

TxBuf::~TxBuf() {
  if (chunk_ != nullptr) shard_->give_back_chunk(chunk_);
}

RxBuf RxView::take() const {
  RxBuf buffer;
  if (handle_ == nullptr) return buffer;
  buffer.bytes_ = bytes_;
  buffer.handle_ = std::exchange(handle_, nullptr);
  buffer.shard_ = shard_;
  return buffer;
}

ConnId Conn::id() const { return shard_->id_of(*tcb_); }
Core& Conn::core() const { return shard_->core(); }

std::size_t Conn::send(std::span<const std::byte> bytes) { return tcp::send_copy(shard_->tcp(), *tcb_, bytes); }

std::size_t Conn::send_static(std::span<const std::byte> bytes) { return tcp::send_in_place(shard_->tcp(), *tcb_, bytes); }

bool Conn::send_ref(std::span<const std::byte> bytes, void* ctx, Release release) {
  return tcp::send_extent(shard_->tcp(), *tcb_, bytes, tcp::Ownership::callback, ctx, release);
}

bool Conn::send(TxBuf&& buffer) {
  if (buffer.chunk_ == nullptr || buffer.shard_ != shard_) return false;
  const std::span<const std::byte> bytes = buffer.room_.first(buffer.size_);
  if (!tcp::send_extent(shard_->tcp(), *tcb_, bytes, tcp::Ownership::chunk, buffer.chunk_, nullptr)) return false;
  buffer.chunk_ = nullptr;
  buffer.room_ = {};
  return true;
}

bool Conn::send(RxBuf&& buffer) {
  if (buffer.handle_ == nullptr || buffer.shard_ != shard_) return false;
  if (!tcp::send_extent(shard_->tcp(), *tcb_, buffer.bytes_, tcp::Ownership::port, buffer.handle_, nullptr)) return false;
  buffer.handle_ = nullptr;
  buffer.bytes_ = {};
  return true;
}

void Conn::cork() { tcp::set(*tcb_, tcp::corked); }

void Conn::uncork() {
  tcp::clear(*tcb_, tcp::corked);
  tcp::mark_dirty(shard_->tcp(), *tcb_);
}

std::size_t Conn::writable() const { return tcp::writable(shard_->tcp(), *tcb_); }
std::size_t Conn::unacked() const { return tcb_->send_queued; }

void Conn::pause_rx() { tcp::set(*tcb_, tcp::rx_paused); }

void Conn::resume_rx() {
  if (!tcp::has(*tcb_, tcp::rx_paused)) return;
  tcp::clear(*tcb_, tcp::rx_paused);
  shard_->deliver_later(*tcb_);
}

std::size_t Conn::consume(std::size_t n) {
  const auto taken = static_cast<std::uint32_t>(std::min<std::size_t>(n, tcp::unread_bytes(*tcb_)));
  tcp::consume(shard_->tcp(), *tcb_, taken);
  const bool eof_is_next = tcp::has(*tcb_, tcp::fin_received) && !tcp::has(*tcb_, tcp::eof_delivered);
  if (taken != 0 && eof_is_next && tcp::unread_bytes(*tcb_) == 0) shard_->deliver_later(*tcb_);
  return taken;
}

void Conn::shutdown_write() { tcp::shutdown_write(shard_->tcp(), *tcb_); }
void Conn::close() { tcp::close(shard_->tcp(), *tcb_); }
void Conn::abort() { tcp::abort(shard_->tcp(), *tcb_); }

// MUST-17
void Conn::set_nodelay(bool on) {
  (on ? tcp::set : tcp::clear)(*tcb_, tcp::nodelay);
  if (on) tcp::mark_dirty(shard_->tcp(), *tcb_);
}

void Conn::set_congestion_control(CongestionControl algorithm) {
  if (tcb_->congestion != algorithm) tcp::change_congestion_control(shard_->tcp(), *tcb_, tcb_->flight, algorithm);
}

void Conn::set_keepalive(bool on) {
  (on ? tcp::set : tcp::clear)(*tcb_, tcp::keepalive_on);  // MUST-24
  const bool open = tcb_->state == State::established || tcb_->state == State::close_wait;
  if (on && open) tcp::start_keepalive_timer(shard_->tcp(), *tcb_);
}

// MUST-48, SHLD-21
bool Conn::set_dscp(std::uint8_t dscp) {
  if (dscp > shard::max_dscp) return false;
  tcp::set_dscp(*tcb_, dscp);
  return true;
}

void Conn::set_keepalive(const KeepAlive& times) {
  const auto seconds = [](Duration d) {
    return static_cast<std::uint16_t>(d <= Duration{0} ? 0 : std::clamp<std::int64_t>(d / 1s, 1, 65535));
  };
  tcp::take_rare(shard_->tcp(), *tcb_).keepalive_idle_s = seconds(times.idle);
  tcp::take_rare(shard_->tcp(), *tcb_).keepalive_interval_s = seconds(times.interval);
  tcp::take_rare(shard_->tcp(), *tcb_).keepalive_probes = times.probes;
  set_keepalive(true);
}

// MUST-21
void Conn::set_user_timeout(Duration limit) {
  if (!is_over(*tcb_)) tcp::choose_user_timeout(shard_->tcp(), *tcb_, limit);
}

std::size_t Conn::send_urgent(std::span<const std::byte> bytes) {
  const std::size_t taken = send(bytes);
  if (taken != 0) tcp::mark_urgent(shard_->tcp(), *tcb_);
  return taken;
}

std::size_t Conn::urgent_ahead() const { return shard_->urgent_ahead(*tcb_); }

void Conn::arm(Duration delay) {
  if (is_over(*tcb_)) return;
  tcb_->app_deadline = shard_->tcp().now + delay;
  tcp::arm_for(shard_->tcp(), *tcb_, tcb_->app_deadline);
}

void Conn::disarm() { tcb_->app_deadline = tcp::never; }

ConnStats Conn::stats() const { return tcp::status(shard_->tcp(), *tcb_); }
Endpoint Conn::local() const { return tcb_->key.local(); }
Endpoint Conn::peer() const { return tcb_->key.remote(); }
State Conn::state() const { return tcb_->state; }
void* Conn::user_bytes() const { return shard_->state_of(*tcb_); }

}  // namespace handfast
