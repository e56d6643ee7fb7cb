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

}  // namespace ito
