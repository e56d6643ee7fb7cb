// GLSL text of literals, and index arithmetic on uint expressions with constants folded. Knows
// nothing of graphs or lanes (graph/kernels/expression.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/dtype.h"

namespace ito {

// Literal of a dtype's arithmetic type.
std::string glsl_literal(DType dtype, double value);

// 12 → "12u", and "12u" → 12 (nothing for any other text).
std::string unsigned_literal(int64_t value);
std::optional<int64_t> unsigned_value(const std::string& text);

// a + b, a * factor, a / divisor and a % divisor.
std::string index_add(const std::string& a, const std::string& b);
std::string index_mul(const std::string& a, int64_t factor);
std::string index_div(const std::string& a, int64_t divisor);
std::string index_rem(const std::string& a, int64_t divisor);

// Terms of an address: " + 12u", and nothing for 0; " + x * 12u", and nothing for stride 0. What is
// negative wraps around, as unsigned arithmetic does.
std::string plus_offset(int64_t offset);
std::string plus_scaled(const std::string& index, int64_t stride);

// What keeps an address that reaches `last` at most below 2^30, as text behind it: it changes no
// value, but tells a CPU driver's compiler that the address plus a constant cannot wrap, so that
// constants become displacements and neighbouring loads merge into one. Nothing for larger tensors.
std::string address_mask(int64_t last);

}  // namespace ito
