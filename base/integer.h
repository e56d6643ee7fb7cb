// Whole-number arithmetic that the standard library lacks.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace ito {

// ⌈a / b⌉ for a ≥ 0, b > 0, as a whole number of a's type.
template <std::integral T>
constexpr T ceil_div(T a, std::type_identity_t<T> b) {
  return static_cast<T>((a + b - 1) / b);
}

// The least multiple of b that is not below a, for b > 0.
constexpr uint64_t round_up(uint64_t a, uint64_t b) { return ceil_div(a, b) * b; }

}  // namespace ito
