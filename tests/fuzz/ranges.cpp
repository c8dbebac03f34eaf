// SPDX-License-Identifier: BSD-3-Clause
// F7: what is out of order and what is in flight: RangeSet, LargeRangeSet, ReceiveBuffer and ChunkQueue against models
// that are arrays. Layer: fuzz. Input: one byte for which, one for the place in sequence space, then ops of five bytes.
#include <algorithm>
#include <array>
#include <deque>
#include <vector>

#include "ds/large_range_set.hpp"
#include "ds/range_set.hpp"
#include "fuzz/fuzz.hpp"
#include "tcp/receive_buffer.hpp"

namespace handfast::fuzz {
namespace {

using ds::Insert;
using ds::Range;

constexpr std::uint32_t space = 256;

/// A set as an array of flags; and when each number was last part of a range that something was put into.
struct Model {
  std::array<bool, space> in{};
  std::array<std::uint32_t, space> touched{};
  std::uint32_t clock = 0, floor = 0;

  [[nodiscard]] std::vector<Range> ranges(Seq base) const {
    std::vector<Range> all;
    for (std::uint32_t i = 0; i < space; ++i) {
      if (!in[i]) continue;
      std::uint32_t end = i;
      while (end < space && in[end]) ++end;
      all.push_back({base + i, base + end});
      i = end;
    }
    return all;
  }
  [[nodiscard]] unsigned count() const {
    unsigned n = 0;
    for (std::uint32_t i = 0; i < space; ++i) n += in[i] && (i == 0 || !in[i - 1]) ? 1 : 0;
    return n;
  }
  [[nodiscard]] bool has_all(std::uint32_t left, std::uint32_t right) const {
    for (std::uint32_t i = left; i < right; ++i)
      if (!in[i]) return false;
    return true;
  }
  void add(std::uint32_t left, std::uint32_t right) {
    ++clock;
    for (std::uint32_t i = left; i < right; ++i) in[i] = true;
    while (left > 0 && in[left - 1]) --left;
    while (right < space && in[right]) ++right;
    for (std::uint32_t i = left; i < right; ++i) touched[i] = clock;
  }
  void trim(std::uint32_t to) {
    for (std::uint32_t i = 0; i < to; ++i) in[i] = false;
  }
  /// Whether adding this would be a range of its own, touching none.
  [[nodiscard]] bool stands_alone(std::uint32_t left, std::uint32_t right) const {
    for (std::uint32_t i = left == 0 ? 0 : left - 1; i < std::min(right + 1, space); ++i)
      if (in[i]) return false;
    return true;
  }
};

struct RangeOp {
  unsigned what;
  std::uint32_t left, right;
};
RangeOp read_range_op(Reader& in) {
  const unsigned what = in.u8();
  const std::uint32_t left = in.u8(), length = in.u8();
  return {what, left, std::min(left + ((what & 0x80) != 0 ? length % 8 : length), space)};
}

template <class Set>
void check_gaps(const Set& set, const Model& model, Seq base, std::uint32_t left, std::uint32_t right) {
  std::uint32_t at = left;
  set.for_each_gap(base + left, base + right, [&](const Range& gap) {
    while (at < right && model.in[at]) ++at;
    FUZZ_CHECK(gap.left == base + at);
    while (at < right && !model.in[at]) ++at;
    FUZZ_CHECK(gap.right == base + at);
  });
  while (at < right && model.in[at]) ++at;
  FUZZ_CHECK(at == right);
}

// --- RangeSet ----------------------------------------------------------------------------------------------------

void check_recent(const ds::RangeSet<6>& set, const Model& model, Seq base, std::uint32_t named) {
  std::array<Range, 4> out;
  const unsigned n = set.recent(out, base + named);
  FUZZ_CHECK(n == std::min(4u, set.size()));
  const auto age = [&](const Range& r) {
    const std::uint32_t first = distance(base, r.left);
    return before_eq(r.left, base + named) && before(base + named, r.right) ? 0 : model.clock - model.touched[first] + 1;
  };
  for (unsigned i = 0; i + 1 < n; ++i) FUZZ_CHECK(age(out[i]) <= age(out[i + 1]));
  const auto last = n == 0 ? 0 : age(out[n - 1]);
  unsigned younger = 0;
  for (const Range& r : set) younger += age(r) < last ? 1 : 0;
  FUZZ_CHECK(n == 0 || younger < n);
}

void run_range_set(Reader& in, Seq base) {
  ds::RangeSet<6> set;
  Model model;
  for (int ops = 0; in.left() != 0 && ops < 64; ++ops) {
    const RangeOp op = read_range_op(in);
    const bool all = model.has_all(op.left, op.right);
    if (op.what % 4 != 0) {
      const Insert done = set.insert(base + op.left, base + op.right);
      const bool full = op.left != op.right && model.count() == 6 && model.stands_alone(op.left, op.right);
      FUZZ_CHECK(done == (full ? Insert::full : all ? Insert::duplicate : Insert::added));
      if (!full && op.left != op.right) model.add(op.left, op.right);
    } else {
      set.trim_below(base + op.left);
      model.trim(op.left);
    }
    const auto expected = model.ranges(base);
    FUZZ_CHECK(std::equal(set.begin(), set.end(), expected.begin(), expected.end()));
    FUZZ_CHECK(set.bytes() == static_cast<std::uint32_t>(std::ranges::count(model.in, true)) && set.empty() == expected.empty());
    FUZZ_CHECK(set.covers(base + op.left, base + op.right) == model.has_all(op.left, op.right));
    FUZZ_CHECK(set.contains(base + op.left) == model.in[op.left]);
    check_gaps(set, model, base, op.left, op.right);
    check_recent(set, model, base, op.left);
  }
}

// --- LargeRangeSet -------------------------------------------------------------------------------------------------

/// Small blocks, so that a few ranges make a tree; a heap block each, so that what reaches over its end is seen.
struct SmallPool {
  struct alignas(16) Block {
    std::array<std::byte, 128> bytes;
  };
  unsigned left, out = 0;
  Block* allocate() {
    if (left == 0) return nullptr;
    --left;
    ++out;
    return new Block;
  }
  void free(Block* block) {
    FUZZ_CHECK(out != 0);
    --out;
    ++left;
    delete block;
  }
};

void run_large_set(Reader& in, Seq base) {
  using Set = ds::LargeRangeSet<SmallPool, 4, 32>;
  SmallPool pool{in.u8() % 16u};
  Set set;
  Model model;
  for (int ops = 0; in.left() != 0 && ops < 96; ++ops) {
    const RangeOp op = read_range_op(in);
    const bool all = model.has_all(op.left, op.right);
    if ((op.what & 0x40) != 0 && (op.what & 0xf) == 0) {
      set.clear(pool);
      model.trim(space);
    } else if (op.what % 8 != 0) {
      const unsigned blocks = pool.left;
      const Insert done = set.insert(pool, base + op.left, base + op.right);
      const bool alone = op.left != op.right && model.stands_alone(op.left, op.right);
      FUZZ_CHECK(done != Insert::full || (alone && (model.count() == Set::max_ranges || blocks < Set::blocks_of_insert)));
      FUZZ_CHECK(done == Insert::full || (done == Insert::duplicate) == all);
      FUZZ_CHECK(!alone || model.count() < Set::max_ranges || done == Insert::full);
      if (done == Insert::added) model.add(op.left, op.right);
    } else {
      set.trim_below(pool, base + op.left);
      model.trim(op.left);
    }
    const auto expected = model.ranges(base);
    std::size_t i = 0;
    set.for_each([&](const Range& r) {
      FUZZ_CHECK(i < expected.size() && r == expected[i]);
      return ++i != 0;
    });
    FUZZ_CHECK(i == expected.size() && set.size() == i && set.blocks() == pool.out);
    FUZZ_CHECK(set.bytes() == static_cast<std::uint32_t>(std::ranges::count(model.in, true)));
    FUZZ_CHECK(expected.empty() || (set.front() == expected.front() && set.back() == expected.back()));
    const auto found = set.find_range(base + op.left);
    FUZZ_CHECK(found.has_value() == model.in[op.left]);
    const auto overlap = set.first_overlap(base + op.left, base + op.right);
    std::uint32_t first = op.left;
    while (first < op.right && !model.in[first]) ++first;
    FUZZ_CHECK(overlap.has_value() == (first < op.right));
    if (overlap) FUZZ_CHECK(overlap->left == base + first);
    check_gaps(set, model, base, op.left, op.right);
  }
  set.clear(pool);
  FUZZ_CHECK(pool.out == 0);
}

// --- ReceiveBuffer ---------------------------------------------------------------------------------------------------

constexpr std::uint32_t window = 12 * 1024;

void run_receive_buffer(Reader& in, Seq base) {
  static tcp::ChunkPool all{64};
  static tcp::ReceiveChunks pool{all};
  static std::array<std::byte, window> bytes, out;
  static std::array<bool, window> has;
  has.fill(false);
  tcp::ReceiveBuffer buffer{};
  buffer.unread = base;
  std::uint32_t unread = 0, next = 0;  // offsets of what was not taken, and of what is expected
  const unsigned hoarded = in.u8() % 64;
  std::array<tcp::Chunk*, 64> hoard{};
  for (unsigned i = 0; i < hoarded; ++i) hoard[i] = pool.allocate();
  for (std::uint32_t ops = 1; in.left() != 0 && ops < 48; ++ops) {
    const unsigned what = in.u8();
    const std::uint32_t at = std::min<std::uint32_t>(next + in.u16() % 8192u, window), length = std::min<std::uint32_t>(in.u16() % 3000u, window - at);
    if (what % 4 != 0 && length != 0) {
      static std::array<std::byte, 3000> segment;
      for (std::uint32_t i = 0; i < length; ++i) segment[i] = static_cast<std::byte>((at + i) * 31 + ops);
      if (!buffer.put(pool, base + next, base + at, std::span{segment}.first(length))) continue;
      for (std::uint32_t i = 0; i < length; ++i) {
        if (has[at + i]) continue;
        has[at + i] = true;
        bytes[at + i] = segment[i];
      }
      while (next < window && has[next]) ++next;
      if (at <= next) buffer.beyond.trim_below(pool, base + next);
    } else {
      const std::uint32_t n = std::min(length, next - unread);
      buffer.read(n, std::span{out}.first(n));
      FUZZ_CHECK(n == 0 || std::memcmp(out.data(), bytes.data() + unread, n) == 0);
      buffer.consume(pool, n);
      unread += n;
    }
    FUZZ_CHECK(buffer.unread == base + unread && buffer.chunks <= 64);
    const auto front = buffer.front(base + next);
    FUZZ_CHECK(front.size() <= next - unread && front.empty() == (next == unread));
    FUZZ_CHECK(front.empty() || std::memcmp(front.data(), bytes.data() + unread, front.size()) == 0);
    std::array<Range, 4> blocks;
    const unsigned n = buffer.blocks_to_report(blocks);
    FUZZ_CHECK(n == std::min(4u, buffer.beyond.size()));
    for (unsigned i = 0; i < n; ++i)
      for (std::uint32_t o = distance(base, blocks[i].left); o < distance(base, blocks[i].right); ++o) FUZZ_CHECK(o > next && has[o]);
  }
  buffer.clear(pool);
  for (unsigned i = 0; i < hoarded; ++i) pool.free(hoard[i]);
  FUZZ_CHECK(pool.in_use() == 0);
}

// --- ChunkQueue --------------------------------------------------------------------------------------------------

void run_chunk_queue(Reader& in) {
  struct Big {
    std::array<std::uint64_t, 64> words;  // four to a chunk
  };
  static tcp::ChunkPool pool{40};
  // What others hold: it may run empty anywhere.
  std::array<tcp::Chunk*, 40> hoard{};
  const unsigned hoarded = in.u8() % 40;
  for (unsigned i = 0; i < hoarded; ++i) hoard[i] = pool.allocate();
  tcp::ChunkQueue<Big, 2> queue{};
  std::deque<std::uint64_t> model;
  std::uint64_t number = 0;
  for (int ops = 0; in.left() != 0 && ops < 256; ++ops) {
    const unsigned what = in.u8();
    const std::uint32_t times = what >> 3;
    if (what % 8 < 4) {
      for (std::uint32_t i = 0; i < times; ++i) {
        if (!queue.reserve(pool)) {
          FUZZ_CHECK(pool.in_use() == pool.capacity() || pool.in_use() + 3 >= pool.capacity());
          break;
        }
        Big big{};
        big.words[63] = big.words[0] = ++number;
        queue.push(big);
        model.push_back(number);
      }
    } else if (what % 8 < 7) {
      for (std::uint32_t i = 0; i < times && !model.empty(); ++i) {
        FUZZ_CHECK(queue.front().words[63] == model.front());
        queue.pop(pool);
        model.pop_front();
      }
    } else if (times == 31) {
      queue.clear(pool);
      model.clear();
    }
    FUZZ_CHECK(queue.size() == model.size() && queue.empty() == model.empty());
    if (model.empty()) continue;
    FUZZ_CHECK(queue.back().words[0] == model.back());
    const std::uint32_t some = in.u8() % queue.size();
    FUZZ_CHECK(queue[queue.front_number() + some].words[63] == model[some]);
  }
  queue.clear(pool);
  for (unsigned i = 0; i < hoarded; ++i) pool.free(hoard[i]);
  FUZZ_CHECK(pool.in_use() == 0);
}

}  // namespace
}  // namespace handfast::fuzz

using namespace handfast;
using namespace handfast::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Tally tally{"lists of ops"};
  Reader in{data, size};
  const unsigned what = in.u8();
  const Seq base{0xffffff00u + in.u8() * 2u};
  tally.add();
  switch (what & 7) {
    case 0:
    case 1:
    case 2: run_range_set(in, base); break;
    case 3:
    case 4:
    case 5: run_large_set(in, base); break;
    case 6: run_receive_buffer(in, base); break;
    default: run_chunk_queue(in); break;
  }
  return 0;
}
