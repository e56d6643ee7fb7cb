#include "api/pixel_program.h"

#include "base/error.h"
#include "graph/builder.h"

namespace ito {
namespace {

// Half to even, as std::nearbyint; x in [0, 2^24).
Tensor rounded(Tensor x) {
  Graph& graph = x.graph();
  const Tensor whole = floor(x), rest = x - whole;  // exact
  const Tensor half = scalar(graph, 0.5), one = scalar(graph, 1);
  const Tensor odd = equal(rem(whole, scalar(graph, 2)), one);
  const Tensor up = bit_or(less(half, rest), bit_and(equal(rest, half), odd));
  return whole + cast(up, DType::kF32);
}

}  // namespace

uint32_t pixel_bytes(PixelFormat format) { return format == PixelFormat::kRgba32F ? 16 : 4; }

Result<Program> pixel_program(const Shape& samples, PixelFormat format) {
  const int64_t channels = samples[3];
  const bool one = format == PixelFormat::kR32F;
  if (channels != 1 && (one || (channels != 3 && channels != 4)))
    return unsupported("pixels of {} channel{} cannot be made of samples of {}", one ? "1" : "4",
                       one ? "" : "s", channels);
  Program program;
  program.name = "pixels";
  Graph& graph = *program.graph;
  const Tensor x = input(graph, pixel_ports::kX, samples);
  const Tensor unit = clamp(x * 0.5 + 0.5, 0, 1);
  if (one) {
    program.output(pixel_ports::kNumbers, unit);
    return program;
  }
  std::vector<Tensor> colours;
  for (int64_t c = 0; c < 4; ++c) {
    const int64_t from = channels == 1 ? 0 : c;
    if (c == 3 && channels != 4) {
      colours.push_back(full(graph, Shape{samples[0], samples[1], samples[2], 1}, 1));
    } else {
      colours.push_back(slice_axis(unit, 3, from, from + 1));
    }
  }
  if (format == PixelFormat::kRgba32F) {
    program.output(pixel_ports::kNumbers, concat(colours, 3));
    return program;
  }
  Tensor word;
  for (int c = 0; c < 4; ++c) {
    const Tensor byte = cast(rounded(colours[static_cast<size_t>(c)] * 255.0), DType::kU32);
    const Tensor placed = c == 0 ? byte : shift_left(byte, scalar(graph, 8.0 * c, DType::kU32));
    word = c == 0 ? placed : bit_or(word, placed);
  }
  program.output(pixel_ports::kBytes, reshape(word, {samples[0], samples[1], samples[2]}));
  return program;
}

}  // namespace ito
