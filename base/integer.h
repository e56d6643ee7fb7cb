// Whole-number arithmetic that the standard library lacks.
#pragma once

#include <cstdint>

namespace ito {

// ⌈a / b⌉ for a ≥ 0, b > 0.
constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The least multiple of b that is not below a, for b > 0.
constexpr uint64_t round_up(uint64_t a, uint64_t b) { return (a + b - 1) / b * b; }

}  // namespace ito
