// 32-bit integer values held in doubles: wrapping and conversion as the device does them.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/dtype.h"

namespace ito {

// The value modulo 2^32 as u32 or i32; bool: 0 or 1. Floats pass.
inline double wrap_to(DType dtype, int64_t value) {
  switch (dtype) {
    case DType::kU32:
      return static_cast<double>(static_cast<uint32_t>(value));
    case DType::kI32:
      return static_cast<double>(static_cast<int32_t>(static_cast<uint32_t>(value)));
    case DType::kBool:
      return value != 0 ? 1 : 0;
    default:
      return static_cast<double>(value);
  }
}

// Value conversion of a cast. Narrow floats keep full precision here: their rounding belongs to
// storage. Floats outside the integer range are undefined on devices; here they give 0.
inline double convert_to(DType dtype, double value) {
  if (is_float(dtype)) return value;
  if (dtype == DType::kBool) return value != 0 ? 1 : 0;
  if (!(std::fabs(value) < 9e18)) return 0;
  return wrap_to(dtype, static_cast<int64_t>(value));
}

}  // namespace ito
