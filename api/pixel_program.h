// The programs that turn samples in about [-1, 1] into pixels as images of Vulkan have them, and
// such pixels into samples. Not for files (io/png.h), whose bytes those of kRgba8 are.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "base/shape.h"
#include "graph/port.h"
#include "graph/program.h"

namespace ito {

// Values are x/2 + 0.5 clamped to [0,1]; grey is shown three times, alpha is 1. Of pixels grey
// samples take the red, others as many channels as they have.
enum class PixelFormat : uint8_t {
  kRgba8,    // u32 a pixel: red in the lowest byte; the value times 255, rounded half to even
  kRgba32F,  // f32 [4]
  kR32F,     // f32: of one channel
  kRgba16F,  // f16 [4]: rounded half to even; red in the lowest bits
  kR8,       // a byte; of one channel; only made into samples, as the next
  kBytes,    // as many bytes as samples have channels: images of files and data sets
};

namespace pixel_ports {
inline constexpr Port<float> kX{"x"};              // input [n,h,w,c]
inline constexpr Port<uint32_t> kWords{"pixels"};  // output of kRgba8 [n,h,w,1], kRgba16F [n,h,w,2]
inline constexpr Port<float> kNumbers{"pixels"};   // output [n,h,w,4] or [n,h,w,1] of the others
}  // namespace pixel_ports

// Of source_program: the pixels, u32 [n, words] of whole words an image, or f32 [n,h,w,c] without a
// format; and what they are made into.
namespace source_ports {
inline constexpr Port<float> kPictures{"pictures"};
inline constexpr Port<float> kX{"x"};
}  // namespace source_ports

// Bytes of a pixel of images of so many channels.
uint32_t pixel_bytes(PixelFormat format, int64_t channels);

// Of samples [n,h,w,c]. Error kUnsupported: channels that the format does not show (1, 3 and 4 by
// those of four, 1 by those of one), a format that no samples are made into.
Result<Program> pixel_program(const Shape& samples, PixelFormat format);

// Makes pictures [n,h,w,c] of that format, or numbers in [-1, 1] without one, into samples
// [n,h,w,c] that may be larger, with -1 around them (as data sets are padded). Bytes become the
// numbers that those of a file become. Error kUnsupported: channels that the format does not show.
Result<Program> source_program(const Shape& pictures, const Shape& samples,
                               std::optional<PixelFormat> format);

}  // namespace ito
