// SPDX-License-Identifier: BSD-3-Clause
// Writes the seeds of the corpora: fuzz-seeds FOLDER makes FOLDER/<target>/<name>. Layer: fuzz.
// What is found later by running is added by scripts/fuzz; this is what a run begins with.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "fuzz/seeds.hpp"

namespace handfast::fuzz {

void Seeds::add(const std::string& target, const std::string& name, std::span<const std::byte> bytes) {
  const auto folder = std::filesystem::path{root_} / target;
  std::filesystem::create_directories(folder);
  std::ofstream file{folder / name, std::ios::binary};
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace handfast::fuzz

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "fuzz-seeds FOLDER\n"), 2;
  handfast::fuzz::Seeds seeds{argv[1]};
  handfast::fuzz::add_frame_seeds(seeds);
  handfast::fuzz::add_program_seeds(seeds);
  handfast::fuzz::add_connection_seeds(seeds);
  handfast::fuzz::add_transfer_seeds(seeds);
  handfast::fuzz::add_set_seeds(seeds);
  handfast::fuzz::add_text_seeds(seeds);
  return 0;
}
