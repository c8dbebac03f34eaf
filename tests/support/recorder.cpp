// SPDX-License-Identifier: BSD-3-Clause
// Seeds and the pcap of a failure; see recorder.hpp. Layer: test support.
#include "support/recorder.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/rng.hpp"

namespace handfast::test {

std::uint64_t run_seed() {
  static const std::uint64_t seed = [] {
    const char* given = std::getenv("HANDFAST_SEED");
    const std::uint64_t s = given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
    std::printf("HANDFAST_SEED=%llu\n", static_cast<unsigned long long>(s));
    return s;
  }();
  return seed;
}

std::uint64_t test_seed() {
  std::uint64_t mixed = run_seed();
  if (const auto* info = testing::UnitTest::GetInstance()->current_test_info()) {
    for (const char* c = info->name(); *c != '\0'; ++c)
      mixed = (mixed ^ static_cast<std::uint8_t>(*c)) * 0x100000001b3u;
  }
  return Rng{mixed}.next();
}

void Recorder::note(Time at, std::span<const std::byte> frame) {
  if (kept_.size() == most_frames) kept_.pop_front();
  kept_.push_back({at, {frame.begin(), frame.end()}});
}

void Recorder::write_on_failure() const {
  if (!testing::Test::HasFailure() || kept_.empty()) return;
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  static int number = 0;
  std::string name = info != nullptr ? std::string{info->test_suite_name()} + "." + info->name() : "test";
  for (char& c : name)
    if (c == '/') c = '_';
  const auto path = std::filesystem::temp_directory_path() /
                    ("handfast-" + name.substr(0, 80) + "-" + std::to_string(++number) + ".pcap");
  std::ofstream out(path, std::ios::binary);
  const auto put = [&out](std::uint32_t value) {
    out.write(reinterpret_cast<const char*>(&value), sizeof value);
  };
  // The classic format, host order: magic, version 2.4, zone, accuracy, snapshot length, Ethernet.
  put(0xa1b2c3d4);
  put(0x00040002);
  put(0);
  put(0);
  put(65535);
  put(1);
  for (const Kept& frame : kept_) {
    const auto us = frame.at.time_since_epoch().count() / 1000;
    put(static_cast<std::uint32_t>(us / 1000000));
    put(static_cast<std::uint32_t>(us % 1000000));
    put(static_cast<std::uint32_t>(frame.bytes.size()));
    put(static_cast<std::uint32_t>(frame.bytes.size()));
    out.write(reinterpret_cast<const char*>(frame.bytes.data()),
              static_cast<std::streamsize>(frame.bytes.size()));
  }
  std::printf("the last %zu frames: %s (HANDFAST_SEED=%llu)\n", kept_.size(), path.c_str(),
              static_cast<unsigned long long>(run_seed()));
}

}  // namespace handfast::test
