// SPDX-License-Identifier: BSD-3-Clause
// F5: connections of one stack, driven by programs of segments, calls, time and shortage (program.hpp). After each op the
// stack's invariants hold, what it sends is well formed and is what was written, what it delivers is what was sent, and in
// the end nothing is left. Layer: fuzz.
#include <cstdlib>

#include "fuzz/world.hpp"

using namespace handfast::fuzz;

namespace {

/// A stack costs much more to make than a program to run, so it serves many; what a program meets does not depend on those
/// before it but for the clock. To make sure of that for a finding: HANDFAST_FUZZ_FRESH=1 makes one for each.
constexpr unsigned programs_per_world = 4096;

struct Place {
  std::unique_ptr<World> world;
  unsigned programs = 0;
};

struct Report {
  ~Report() { Inside::report(); }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Report report;
  static Tally tally{"ops"}, programs{"programs"};
  static Place places[variants];
  static const bool fresh = std::getenv("HANDFAST_FUZZ_FRESH") != nullptr;
  if (size < header_bytes) return 0;
  const Program header = read_header({data, size});
  Place& place = places[header.variant % variants];
  if (!place.world || fresh || place.programs++ >= programs_per_world || place.world->is_worn()) {
    place.world = nullptr;
    place.world = std::make_unique<World>(header.variant % variants);
    place.programs = 0;
  }
  place.world->begin(header);
  std::span<const std::uint8_t> left{data + header_bytes, size - header_bytes};
  std::size_t ops = 0;
  for (; left.size() >= op_bytes && ops < most_ops; left = left.subspan(op_bytes), ++ops) place.world->run(read_op(left));
  if ((header.spare & 31) == 30) {
    place.world->drop();
    place.world = nullptr;
  } else {
    place.world->finish();
  }
  tally.add(ops);
  programs.add();
  return 0;
}
