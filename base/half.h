// The two 16-bit floating types on the host: IEEE half and bfloat16 to fp32 (exact) and back (round
// to nearest, ties to even; NaN stays NaN, what is too large becomes infinite). Not for whole
// tensors (io/host_tensor.h).
#pragma once

#include <cstdint>

namespace ito {

float half_to_float(uint16_t bits);
uint16_t float_to_half(float value);
float bfloat16_to_float(uint16_t bits);
uint16_t float_to_bfloat16(float value);

}  // namespace ito
