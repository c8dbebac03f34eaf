// SPDX-License-Identifier: BSD-3-Clause
// Runs a fuzz target without libFuzzer: first every file of the corpora, then mutations of them from a fixed seed.
// Layer: fuzz. So any compiler can replay a finding, and the corpora are tests. An input that fails is written out.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "fuzz/fuzz.hpp"

extern "C" {
// What a target may bring to change inputs in its own way and to make one of two; and what that may call.
[[gnu::weak]] std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed);
[[gnu::weak]] std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t* one, std::size_t one_size, const std::uint8_t* two,
                                                    std::size_t two_size, std::uint8_t* out, std::size_t most, unsigned seed);
std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);
}

namespace {

using Input = std::vector<std::uint8_t>;
using handfast::Rng;

constexpr std::size_t most_bytes = 4096;
Rng mutations{1};
const Input* running = nullptr;

/// Only what a signal handler may call.
void keep_input(int number) {
  static constexpr char path[] = "fuzz-finding.input";
  const int file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
  if (file >= 0 && running != nullptr) {
    const auto written = write(file, running->data(), running->size());
    static constexpr char told[] = "the input is in fuzz-finding.input; give it as the argument to replay\n";
    const auto said = write(2, told, sizeof told - 1);
    static_cast<void>(written + said);
  }
  std::signal(number, SIG_DFL);
  std::raise(number);
}

void run(const Input& input) {
  // A block of its own: what reads past the end is seen.
  const Input exact(input.begin(), input.end());
  running = &exact;
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
  running = nullptr;
}

std::vector<Input> read_all(const std::vector<std::string>& places) {
  std::vector<std::string> files;
  for (const std::string& place : places) {
    if (!std::filesystem::is_directory(place)) {
      files.push_back(place);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(place))
      if (entry.is_regular_file()) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  std::vector<Input> inputs;
  for (const std::string& name : files) {
    std::ifstream file(name, std::ios::binary);
    if (!file) {
      std::fprintf(stderr, "%s cannot be read\n", name.c_str());
      std::exit(2);
    }
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

}  // namespace

std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most) {
  if (size == 0) {
    if (most == 0) return 0;
    data[0] = static_cast<std::uint8_t>(mutations.next());
    return 1;
  }
  const std::size_t at = mutations.below(static_cast<std::uint32_t>(size));
  static constexpr std::uint8_t telling[] = {0, 1, 2, 4, 5, 8, 0x0f, 0x10, 0x40, 0x45, 0x7f, 0x80, 0xfe, 0xff};
  switch (mutations.below(6)) {
    case 0: data[at] ^= static_cast<std::uint8_t>(1u << mutations.below(8)); break;
    case 1: data[at] = static_cast<std::uint8_t>(mutations.next()); break;
    case 2: data[at] = telling[mutations.below(std::size(telling))]; break;
    case 3:  // out with some bytes
      if (size > 1) {
        const std::size_t n = 1 + mutations.below(static_cast<std::uint32_t>(std::min<std::size_t>(size - at, 8)));
        std::memmove(data + at, data + at + n, size - at - n);
        return size - n;
      }
      break;
    case 4:  // in with one
      if (size < most) {
        std::memmove(data + at + 1, data + at, size - at);
        data[at] = static_cast<std::uint8_t>(mutations.next());
        return size + 1;
      }
      break;
    default: {
      const std::size_t from = mutations.below(static_cast<std::uint32_t>(size));
      const std::size_t n = std::min({std::size_t{1} + mutations.below(16), size - at, size - from});
      std::memmove(data + at, data + from, n);
    }
  }
  return size;
}

int main(int argc, char** argv) {
  std::uint64_t runs = 0;
  std::vector<std::string> places;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--runs" && i + 1 < argc)
      runs = std::strtoull(argv[++i], nullptr, 0);
    else if (word == "--seed" && i + 1 < argc)
      mutations = Rng{std::strtoull(argv[++i], nullptr, 0)};
    else if (word.starts_with("-"))
      return std::fprintf(stderr, "%s [--runs N] [--seed N] FILE-OR-FOLDER...\n", argv[0]), 2;
    else
      places.push_back(word);
  }
  std::signal(SIGABRT, keep_input);
  const auto begin = std::chrono::steady_clock::now();
  std::vector<Input> inputs = read_all(places);
  for (const Input& input : inputs) run(input);
  const std::size_t files = inputs.size();
  if (inputs.empty()) inputs.emplace_back(1);
  const auto any = [&]() -> const Input& { return inputs[mutations.below(static_cast<std::uint32_t>(inputs.size()))]; };
  Input input;
  for (std::uint64_t i = 0; i < runs; ++i) {
    const Input& chosen = any();
    std::size_t size = std::min(chosen.size(), most_bytes);
    input.resize(most_bytes);
    if (LLVMFuzzerCustomCrossOver != nullptr && mutations.below(2) == 0) {
      const Input& other = any();
      size = LLVMFuzzerCustomCrossOver(chosen.data(), chosen.size(), other.data(), other.size(), input.data(), most_bytes,
                                       static_cast<unsigned>(mutations.next()));
    } else {
      std::copy_n(chosen.begin(), size, input.begin());
    }
    for (std::uint32_t changes = 1 + mutations.below(4); changes != 0; --changes) {
      size = LLVMFuzzerCustomMutator != nullptr
                 ? LLVMFuzzerCustomMutator(input.data(), size, most_bytes, static_cast<unsigned>(mutations.next()))
                 : LLVMFuzzerMutate(input.data(), size, most_bytes);
    }
    input.resize(size);
    run(input);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%zu files and %llu mutations in %.2f s\n", files, static_cast<unsigned long long>(runs), took.count());
  return 0;
}
