#include "graph/kernels/glsl_text.h"

#include <fmt/format.h>

#include <cmath>

namespace ito {

std::optional<int64_t> unsigned_value(const std::string& text) {
  if (text.size() < 2 || text.back() != 'u') return std::nullopt;
  for (size_t i = 0; i + 1 < text.size(); ++i)
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
  return std::stoll(text);
}

std::string unsigned_literal(int64_t value) { return fmt::format("{}u", value); }

std::string index_div(const std::string& a, int64_t divisor) {
  if (divisor == 1) return a;
  if (auto value = unsigned_value(a)) return unsigned_literal(*value / divisor);
  return fmt::format("({} / {}u)", a, divisor);
}

std::string index_rem(const std::string& a, int64_t divisor) {
  if (divisor == 1) return "0u";
  if (auto value = unsigned_value(a)) return unsigned_literal(*value % divisor);
  return fmt::format("({} % {}u)", a, divisor);
}

std::string index_add(const std::string& a, const std::string& b) {
  auto x = unsigned_value(a), y = unsigned_value(b);
  if (x && y) return unsigned_literal(*x + *y);
  if (x && *x == 0) return b;
  if (y && *y == 0) return a;
  return fmt::format("({} + {})", a, b);
}

std::string index_mul(const std::string& a, int64_t factor) {
  if (factor == 0) return "0u";
  if (factor == 1) return a;
  if (auto value = unsigned_value(a)) return unsigned_literal(*value * factor);
  return fmt::format("{} * {}u", a, factor);
}

std::string glsl_literal(DType dtype, double value) {
  switch (dtype) {
    case DType::kBool:
      return value != 0 ? "true" : "false";
    case DType::kU32:
      return fmt::format("{}u", static_cast<uint32_t>(value));
    case DType::kI32:
      // The most negative integer has no literal.
      if (value <= -2147483648.0) return "int(0x80000000u)";
      return fmt::format("{}", static_cast<int32_t>(value));
    default: {
      float single = static_cast<float>(value);
      if (std::isnan(single)) return "uintBitsToFloat(0x7fc00000u)";
      if (std::isinf(single))
        return single > 0 ? "uintBitsToFloat(0x7f800000u)" : "uintBitsToFloat(0xff800000u)";
      std::string text = fmt::format("{}", single);
      if (text.find_first_of(".e") == std::string::npos) text += ".0";
      return single < 0 ? "(" + text + ")" : text;
    }
  }
}

std::string plus_offset(int64_t offset) {
  return offset == 0 ? "" : fmt::format(" + {}u", static_cast<uint32_t>(offset));
}

std::string plus_scaled(const std::string& index, int64_t stride) {
  if (stride == 0) return "";
  if (stride == 1) return " + " + index;
  return fmt::format(" + {} * {}u", index, static_cast<uint32_t>(stride));
}

std::string address_mask(int64_t last) {
  constexpr int64_t kLimit = int64_t{1} << 30;
  return last < kLimit ? fmt::format(" & {}u", kLimit - 1) : "";
}

}  // namespace ito
