#include "api/pixel_program.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "base/check.h"
#include "base/error.h"
#include "graph/builder.h"
#include "io/pictures/picture.h"

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

// Words of several values along the last axis, the first in the lowest bits.
Tensor packed(Tensor values, int64_t in_word) {
  Graph& graph = values.graph();
  Shape shape = values.shape();
  const int axis = shape.rank() - 1;
  const int64_t words = shape[axis] / in_word;
  shape[axis] = words;
  std::vector<int64_t> extents(shape.dims().begin(), shape.dims().end());
  extents.push_back(in_word);
  const Tensor groups = reshape(values, Shape(extents));
  Tensor word;
  for (int64_t i = 0; i < in_word; ++i) {
    const Tensor part = reshape(slice_axis(groups, axis + 1, i, i + 1), shape);
    const double bits = 32.0 / static_cast<double>(in_word) * static_cast<double>(i);
    const Tensor placed = i == 0 ? part : shift_left(part, scalar(graph, bits, DType::kU32));
    word = i == 0 ? placed : bit_or(word, placed);
  }
  return word;
}

// The values of words [n, words], which lie in them as packed() puts them: u32 [n, words in_word].
Tensor unpacked(Tensor words, int64_t in_word) {
  Graph& graph = words.graph();
  const int64_t bits = 32 / in_word, n = words.dim(0), count = words.dim(1);
  const Tensor shifts =
      iota(graph, {1, 1, in_word}, 2) * scalar(graph, static_cast<double>(bits), DType::kU32);
  const Tensor mask = scalar(graph, static_cast<double>((int64_t{1} << bits) - 1), DType::kU32);
  const Tensor values =
      bit_and(shift_right(broadcast_to(reshape(words, {n, count, 1}), {n, count, in_word}),
                          broadcast_to(shifts, {n, count, in_word})),
              mask);
  return reshape(values, {n, count * in_word});
}

// table[index] for indices of any shape.
Tensor looked_up(std::vector<double> table, Tensor index) {
  const auto rows = static_cast<int64_t>(table.size());
  const Tensor values = gather(constant(index.graph(), {rows}, std::move(table)),
                               reshape(index, {index.shape().numel()}));
  return reshape(values, index.shape());
}

// The bits of half floats. v in [0, 1]: its binary exponent is found by comparing, so that no bits
// of floats are looked at, which may be flushed to zero.
Tensor half_bits(Tensor v) {
  Graph& graph = v.graph();
  Tensor binade = scalar(graph, 0, DType::kU32), scale = scalar(graph, std::ldexp(1.0, 24));
  for (int k = -13; k <= 0; ++k) {  // normal numbers begin at 2^-14
    const Tensor above = logical_not(less(v, scalar(graph, std::ldexp(1.0, k))));
    binade = binade + cast(above, DType::kU32);
    scale = select(above, broadcast_to(scale * 0.5, v.shape()), broadcast_to(scale, v.shape()));
  }
  const Tensor mantissa = cast(rounded(v * scale), DType::kU32);
  return shift_left(binade, scalar(graph, 10, DType::kU32)) + mantissa;
}

// And their numbers, exactly; a NaN becomes an infinity.
Tensor half_numbers(Tensor bits) {
  Graph& graph = bits.graph();
  std::vector<double> scales;  // by sign and exponent
  for (int sign : {1, -1})
    for (int exponent = 0; exponent < 32; ++exponent)
      scales.push_back(exponent == 31 ? sign * std::numeric_limits<double>::infinity()
                                      : std::ldexp(sign, std::max(exponent, 1) - 25));
  const Tensor upper = shift_right(bits, scalar(graph, 10, DType::kU32));
  const Tensor fraction = bit_and(bits, scalar(graph, 1023, DType::kU32));
  const Tensor exponent = bit_and(upper, scalar(graph, 31, DType::kU32));
  const Tensor leading = select(equal(exponent, scalar(graph, 0, DType::kU32)),
                                full(graph, bits.shape(), 0, DType::kU32),
                                full(graph, bits.shape(), 1024, DType::kU32));
  return looked_up(std::move(scales), upper) * cast(fraction + leading, DType::kF32);
}

Tensor bytes_of_units(Tensor unit) { return cast(rounded(unit * 255.0), DType::kU32); }
Tensor signed_of_units(Tensor unit) { return unit * 2.0 - 1.0; }

Tensor samples_of_bytes(Tensor words) {
  std::vector<double> table;
  for (int byte = 0; byte < 256; ++byte)
    table.push_back(double{number_of_byte(static_cast<uint8_t>(byte))});
  return looked_up(std::move(table), unpacked(words, 4));
}

// Pixels of one kind. Words of an image are u32, or the numbers themselves.
struct PixelForm {
  PixelFormat format;
  int64_t channels;              // 0: as many as samples have
  uint32_t bytes;                // of each
  Tensor (*to)(Tensor unit);     // [n,h,w,channels] in [0,1] → [..., words]; may be null
  Tensor (*from)(Tensor words);  // [n, words] → numbers [n, at least h w channels] in [-1,1]
  DType words = DType::kU32;
};
constexpr PixelForm kPixelForms[] = {
    {PixelFormat::kRgba8, 4, 1, [](Tensor unit) { return packed(bytes_of_units(unit), 4); },
     samples_of_bytes},
    {PixelFormat::kRgba32F, 4, 4, [](Tensor unit) { return unit; }, signed_of_units, DType::kF32},
    {PixelFormat::kR32F, 1, 4, [](Tensor unit) { return unit; }, signed_of_units, DType::kF32},
    {PixelFormat::kRgba16F, 4, 2, [](Tensor unit) { return packed(half_bits(unit), 2); },
     [](Tensor words) { return signed_of_units(half_numbers(unpacked(words, 2))); }},
    {PixelFormat::kR8, 1, 1, nullptr, samples_of_bytes},
    {PixelFormat::kBytes, 0, 1, nullptr, samples_of_bytes},
};

const PixelForm& form_of(PixelFormat format) {
  const auto* found = std::find_if(std::begin(kPixelForms), std::end(kPixelForms),
                                   [&](const PixelForm& form) { return form.format == format; });
  CHECK(found != std::end(kPixelForms), "a pixel format without a form");
  return *found;
}

int64_t channels_of(const PixelForm& form, int64_t of_samples) {
  return form.channels == 0 ? of_samples : form.channels;
}

Status check_channels(const PixelForm& form, int64_t channels) {
  if (form.channels == 0 || channels == 1 || (form.channels == 4 && channels >= 3 && channels <= 4))
    return {};
  return unsupported("pixels of {} channel{} do not show samples of {}", form.channels,
                     form.channels == 1 ? "" : "s", channels);
}

}  // namespace

uint32_t pixel_bytes(PixelFormat format, int64_t channels) {
  const PixelForm& form = form_of(format);
  return static_cast<uint32_t>(channels_of(form, channels)) * form.bytes;
}

Result<Program> pixel_program(const Shape& samples, PixelFormat format) {
  const PixelForm& form = form_of(format);
  const int64_t channels = samples[3];
  if (form.to == nullptr) return unsupported("no images are made into pixels of one byte");
  ITO_TRY(check_channels(form, channels));
  Program program;
  program.name = "pixels";
  Graph& graph = *program.graph;
  const Tensor x = input(graph, pixel_ports::kX, samples);
  const Tensor unit = clamp(x * 0.5 + 0.5, 0, 1);
  std::vector<Tensor> colours;
  for (int64_t c = 0; c < form.channels; ++c) {
    const int64_t from = channels == 1 ? 0 : c;
    if (c == 3 && channels != 4) {
      colours.push_back(full(graph, Shape{samples[0], samples[1], samples[2], 1}, 1));
    } else {
      colours.push_back(slice_axis(unit, 3, from, from + 1));
    }
  }
  const Tensor pixels = form.to(form.channels == 1 ? unit : concat(colours, 3));
  if (form.words == DType::kF32)
    program.output(pixel_ports::kNumbers, pixels);
  else
    program.output(pixel_ports::kWords, pixels);
  return program;
}

Result<Program> source_program(const Shape& pictures, const Shape& samples,
                               std::optional<PixelFormat> format) {
  Program program;
  program.name = "source";
  Graph& graph = *program.graph;
  const int64_t n = pictures[0], h = pictures[1], w = pictures[2], c = pictures[3];
  Tensor x;
  if (format) {
    const PixelForm& form = form_of(*format);
    ITO_TRY(check_channels(form, c));
    const int64_t channels = channels_of(form, c), numbers = h * w * channels;
    const int64_t words = (numbers * form.bytes + 3) / 4;
    const Tensor given = input(graph, source_ports::kPictures.name, {n, words}, form.words);
    const Tensor pixels = reshape(slice_axis(form.from(given), 1, 0, numbers), {n, h, w, channels});
    x = slice_axis(pixels, 3, 0, c);
  } else {
    x = input(graph, source_ports::kPictures, pictures);
  }
  const int64_t down = samples[1] - h, across = samples[2] - w;
  if (down > 0 || across > 0)
    x = pad(x, {0, down / 2, across / 2, 0}, {0, down - down / 2, across - across / 2, 0}, -1);
  program.update(input(graph, source_ports::kX, samples), x);
  return program;
}

}  // namespace ito
