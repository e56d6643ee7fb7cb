// SumTree: the order in which a sum over equal parts is taken, whoever has which of them. Halves,
// their halves and so on, down to blocks that are summed one part after the other. Because fp32
// addition commutes, processes that own neighbouring parts of equal number get the bits of one that
// has all. What is smaller than the least normal number counts as zero, since devices differ in
// whether they keep such numbers.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace ito {

inline constexpr float kLeastNormal = 0x1p-126F;

// a + b as sums of such a tree are taken.
inline float sum_in_tree(float a, float b) {
  const float sum = a + b;
  return std::fabs(sum) < kLeastNormal ? 0.0F : sum;
}

struct SumTree {
  int64_t parts = 1;  // above 0

  // Parts that are summed one after the other: all factors of `parts` but those of two; where there
  // are only those, two.
  int64_t block() const {
    const int64_t odd = parts >> std::countr_zero(static_cast<uint64_t>(parts));
    if (odd > 1) return odd;
    return parts > 1 ? 2 : 1;
  }
  int64_t blocks() const { return parts / block(); }  // a power of two
  // Sums of blocks that wait for their neighbour, at most: one a level.
  int64_t levels() const { return std::countr_zero(static_cast<uint64_t>(blocks())); }
  // Behind block b: how many waiting sums, from level 0 on, are to be added to it, each on the left
  // of what there is. Less than levels(): the result then waits at that level. Else it is the sum.
  static int64_t merges_after(int64_t b) { return std::countr_one(static_cast<uint64_t>(b)); }

  // Whether as many processes may share the parts.
  bool splits_into(int64_t processes) const {
    return processes > 0 && std::has_single_bit(static_cast<uint64_t>(processes)) &&
           parts % processes == 0;
  }
  // What one of them sums: its part of the tree.
  SumTree share(int64_t processes) const { return {parts / processes}; }
  bool operator==(const SumTree&) const = default;
};

}  // namespace ito
