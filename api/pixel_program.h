// The program that turns samples in about [-1, 1] into pixels as images of Vulkan have them. Not
// for files (io/png.h), whose bytes those of kRgba8 are.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/shape.h"
#include "graph/port.h"
#include "graph/program.h"

namespace ito {

enum class PixelFormat : uint8_t {
  kRgba8,    // u32 a pixel: red in the lowest byte; x/2 + 0.5 clamped to [0,1], times 255, rounded
             // half to even; grey three times; alpha 255
  kRgba32F,  // f32 [4]: x/2 + 0.5 clamped to [0,1]; grey three times; alpha 1
  kR32F,     // f32: the same of one channel
};

namespace pixel_ports {
inline constexpr Port<float> kX{"x"};              // input [n,h,w,c]
inline constexpr Port<uint32_t> kBytes{"pixels"};  // output [n,h,w] of kRgba8
inline constexpr Port<float> kNumbers{"pixels"};   // output [n,h,w,4] or [n,h,w,1] of the others
}  // namespace pixel_ports

// Bytes of a pixel.
uint32_t pixel_bytes(PixelFormat format);

// Of samples [n,h,w,c]. Error kUnsupported: channels that the format does not show (1, 3 and 4 by
// kRgba8 and kRgba32F, 1 by kR32F).
Result<Program> pixel_program(const Shape& samples, PixelFormat format);

}  // namespace ito
