// Element types of tensors. Not for conversions of whole arrays (io does those at the edges).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ito {

enum class DType : uint8_t {
  kF32,
  kF16,   // storage and multiplier input only; arithmetic is fp32
  kBF16,  // likewise
  kI32,
  kU32,
  kBool,  // stored as a 32-bit 0 or 1
};

// Bytes of one stored element.
size_t dtype_size(DType dtype);
// Text form: "f32", "f16", "bf16", "i32", "u32", "bool".
std::string_view dtype_name(DType dtype);
bool is_float(DType dtype);

}  // namespace ito
