// SPDX-License-Identifier: BSD-3-Clause
// Streams' contents and what must hold of both ends together; see ledger.hpp. Layer: simulator.
#include "sim/ledger.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace handfast::sim {
namespace {

/// A prime length, so that no shift by a power of two or a segment's size goes unseen.
constexpr std::size_t table_size = 131071;

const std::array<std::byte, table_size>& table() {
  static const auto bytes = [] {
    std::array<std::byte, table_size> made{};
    Rng rng{0x636f6e74656e74};
    for (std::byte& b : made) b = static_cast<std::byte>(rng.next() >> 56);
    return made;
  }();
  return bytes;
}

}  // namespace

std::span<const std::byte> content(std::uint64_t salt, unsigned side, std::uint64_t offset, std::size_t n) {
  const std::size_t at = (salt % table_size + side * 7919 + offset) % table_size;
  return std::span{table()}.subspan(at, std::min(n, table_size - at));
}

std::size_t first_wrong(std::uint64_t salt, unsigned side, std::uint64_t offset,
                        std::span<const std::byte> bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const auto expected = content(salt, side, offset + at, bytes.size() - at);
    if (std::memcmp(expected.data(), bytes.data() + at, expected.size()) != 0) {
      while (bytes[at] == content(salt, side, offset + at, 1)[0]) ++at;
      return at;
    }
    at += expected.size();
  }
  return bytes.size();
}

Talk* Ledger::find(Endpoint client, Endpoint server) {
  const auto found = latest_.find({client, server});
  return found == latest_.end() ? nullptr : &talks[found->second];
}

Talk* Ledger::find(Endpoint client, Endpoint server, std::uint32_t iss) {
  Talk* const latest = find(client, server);
  for (Talk* talk = latest; talk != nullptr; talk = talk->earlier == Talk::no_earlier ? nullptr : &talks[talk->earlier])
    if (talk->iss == iss) return talk;
  return latest;
}

std::uint32_t Ledger::open(const Exchange& plan, Endpoint client, Endpoint server, std::uint64_t seed) {
  Talk talk;
  talk.plan = &plan;
  talk.end[0] = plan.client;
  talk.end[1] = plan.server;
  talk.client = client;
  talk.server = server;
  Rng rng{seed};
  talk.salt = rng.next();
  for (int i = 0; i < 2; ++i) {
    talk.side[i].habits = plan.habits[i];
    talk.side[i].rng = Rng{rng.next()};
  }
  if (const auto before = latest_.find({client, server}); before != latest_.end()) talk.earlier = before->second;
  talks.push_back(talk);
  const auto index = static_cast<std::uint32_t>(talks.size() - 1);
  latest_[{client, server}] = index;
  return index;
}

void Ledger::fail(std::string what) {
  const auto about = [&what](std::string_view number) { return what.starts_with(std::string{number} + " "); };
  if (garbled && (about("I9") || about("I10") || about("I11") || about("I12") || about("I14"))) return;
  if (failure_.empty()) failure_ = std::move(what);
}

std::string Ledger::seen() const {
  std::vector<std::string> lines;
  for (const Talk& talk : talks) {
    std::string line = talk.client.to_string() + " > " + talk.server.to_string();
    for (const Side& side : talk.side)
      line += " wrote " + std::to_string(side.written) + " read " + std::to_string(side.received) +
              (side.opened ? " opened" : "") + (side.eof ? " eof " : " ") + std::string{name(side.reason)};
    lines.push_back(line + "\n");
  }
  std::ranges::sort(lines);
  std::string s;
  for (const std::string& line : lines) s += line;
  return s;
}

void Ledger::note(std::span<const std::byte> bytes) {
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data() + at, 8);
    hash_ = (hash_ ^ word) * 0x9e3779b97f4a7c15u;
    hash_ ^= hash_ >> 32;
  }
  for (; at < bytes.size(); ++at) note(std::to_integer<std::uint64_t>(bytes[at]));
}

void Ledger::check_end(const Plan& plan) {
  for (const Talk& talk : talks) check_end(plan, talk);
}

void Ledger::check_end(const Plan& plan, const Talk& talk) {
  for (unsigned i = 0; i < 2; ++i) {
    const Side& self = talk.side[i];
    if (talk.plan->with_itself && i == 1) break;
    const Side& other = talk.side[talk.other(i)];
    const std::string who = text(talk) + (i == 0 ? " client: " : " server: ");
    if (talk.started && (i == 0 || self.opened) && !self.ended) fail("I17 never ended: " + who);
    if (talk.ghost || talk.haunted || talk.drained) continue;
    if (self.received > other.written) fail("I10 received more than was sent: " + who);
    // I11: our FIN was acknowledged, and theirs came: both streams arrived whole.
    if (self.ended && self.opened && self.reason == CloseReason::finished && !other.vanished) {
      if (!other.shut) fail("I11 finished, but the peer never closed: " + who);
      // Who leaves before the end of file may have left bytes unread, when the rest of the connection was
      // over.
      const bool read_all = self.eof || !self.left, heard = other.eof || !other.left;
      if (read_all && self.received != other.written)
        fail("I11 finished without all of the peer's bytes: " + who);
      if (heard && other.ended && other.reason == CloseReason::finished && other.received != self.written)
        fail("I11 finished without all of our bytes being heard: " + who);
    }
    if (!plan.orderly || !talk.started) continue;
    if (!self.opened || self.reason != CloseReason::finished)
      fail("orderly, and yet it ended by " + std::string{name(self.reason)} + ": " + who);
    if (self.written != self.habits.bytes || !self.eof) fail("orderly, and yet not all was said: " + who);
  }
}

std::string Ledger::text(const Talk& talk) const {
  std::string s = talk.client.to_string() + " > " + talk.server.to_string() + (talk.ghost ? " (ghost)" : "");
  for (unsigned i = 0; i < 2; ++i) {
    const Side& side = talk.side[i];
    s += i == 0 ? " [c" : " [s";
    s += " wrote " + std::to_string(side.written) + "/" + std::to_string(side.habits.bytes) + " read " +
         std::to_string(side.received);
    s += side.opened ? " opened" : "";
    s += side.eof ? " eof" : "";
    s += side.shut ? " shut" : "";
    s += side.left ? " left" : "";
    s += side.vanished ? " vanished" : "";
    if (side.ended) s += " " + std::string{name(side.reason)};
    s += "]";
  }
  return s;
}

}  // namespace handfast::sim
