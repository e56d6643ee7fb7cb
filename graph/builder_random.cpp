// Randomness of builder.h: counter-based words and their mapping to uniforms, normals and indices.
#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "graph/broadcast.h"
#include "graph/builder.h"

namespace ito {
namespace {

constexpr double kTwoToMinus32 = 1.0 / 4294967296.0;

Tensor word(Graph& graph, uint32_t value) { return scalar(graph, value, DType::kU32); }
Tensor to_float(Tensor x) { return cast(x, DType::kF32); }

// Element number e of each image, u32 [1, elements per image].
Tensor element_index(Graph& graph, const Shape& shape) {
  const int64_t elements = shape.numel() / shape[0];
  CHECK(elements <= int64_t{1} << 32, "a random image has too many elements");
  return iota(graph, {1, elements}, 1);
}

struct Counter {
  Tensor block, image, step, stream, key;
  Tensor words(Tensor lane) const { return philox_bits(block, image, step, stream, key, lane); }
};

// Counter words for `shape` [n, ...] flattened to [n, elements per image]; four elements share one
// block.
Counter counter_of(Tensor element, Tensor key, Tensor image, Tensor step, uint32_t stream) {
  Graph& graph = key.graph();
  CHECK(image.rank() == 1 && image.dtype() == DType::kU32 && step.shape().numel() == 1,
        "random: image must be u32 [n], step one u32");
  return {shift_right(element, word(graph, 2)), reshape(image, {image.dim(0), 1}),
          reshape(step, {}), word(graph, stream), key};
}

// sqrt(-2 ln u) for u = (x + 0.5) 2^-32. Where u > 3/4 the logarithm comes from 1 - u, which the
// complement of x gives exactly: -ln(1 - d) = 2 atanh(d / (2 - d)), a series in s <= 1/7.
Tensor radius(Tensor bits) {
  Graph& graph = bits.graph();
  Tensor d = (to_float(bit_xor(bits, word(graph, 0xffffffffu))) + 0.5) * kTwoToMinus32;
  Tensor s = d / (2.0 - d);
  Tensor s2 = s * s;
  Tensor tail = (((s2 * (1.0 / 9) + 1.0 / 7) * s2 + 1.0 / 5) * s2 + 1.0 / 3) * s2 + 1.0;
  Tensor u = (to_float(bits) + 0.5) * kTwoToMinus32;
  Tensor near_one = less(word(graph, 0xc0000000u), bits);
  return sqrt(select(near_one, s * tail * 4.0, log(u) * -2.0));
}

// cos (turn 0) or sin (turn 3) of 2 pi u for u = (x + 0.5) 2^-32. The nearest multiple of a quarter
// turn is split off in integers, so that the rest keeps all its bits.
Tensor circular(Tensor bits, Tensor turn) {
  Graph& graph = bits.graph();
  Tensor quadrant = shift_right(bits + word(graph, 0x20000000u), word(graph, 30));
  Tensor rest = cast(bits - shift_left(quadrant, word(graph, 30)), DType::kI32);
  Tensor angle = (to_float(rest) + 0.5) * (2 * std::numbers::pi * kTwoToMinus32);
  // cos(angle + q pi/2) for q = 0..3: cos, -sin, -cos, sin.
  Tensor q = bit_and(quadrant + turn, word(graph, 3));
  Tensor odd = equal(bit_and(q, word(graph, 1)), word(graph, 1));
  Tensor value = select(odd, sin(angle), cos(angle));
  Tensor negative = equal(bit_and(q + word(graph, 1), word(graph, 2)), word(graph, 2));
  return select(negative, -value, value);
}

}  // namespace

Tensor philox_bits(Tensor c0, Tensor c1, Tensor c2, Tensor c3, Tensor key, Tensor lane) {
  CHECK(key.shape() == Shape{2} && key.dtype() == DType::kU32,
        fmt::format("philox key must be u32[2], found {}{}", dtype_name(key.dtype()),
                    key.shape().to_string()));
  Tensor k0 = reshape(slice_axis(key, 0, 0, 1), {});
  Tensor k1 = reshape(slice_axis(key, 0, 1, 2), {});
  std::vector<Tensor> operands = {c0, c1, c2, c3, k0, k1, lane};
  Shape shape;
  for (Tensor x : operands) shape = broadcast_shape(shape, x.shape());
  for (Tensor& x : operands) x = broadcast_to(x, shape);
  return key.graph().add(Op::kPhilox, DType::kU32, shape, operands);
}

// The largest float below 1 bounds the words that would round to 1.
Tensor bits_to_uniform(Tensor bits) {
  Tensor u = (to_float(bits) + 0.5) * kTwoToMinus32;
  return minimum(u, full(u.graph(), u.shape(), 1 - 0x1p-24));
}

Tensor bits_to_normal(Tensor a, Tensor b, Tensor second) {
  // cos for the first of a pair, sin (three quarters of a turn on) for the second.
  Tensor turn = select(second, word(a.graph(), 3), word(a.graph(), 0));
  return radius(a) * circular(b, turn);
}

Tensor random_normal(Shape shape, Tensor key, Tensor image, Tensor step, uint32_t stream) {
  Graph& graph = key.graph();
  Tensor element = element_index(graph, shape);
  Counter counter = counter_of(element, key, image, step, stream);
  Tensor pair = bit_and(element, word(graph, 2));
  Tensor second = equal(bit_and(element, word(graph, 1)), word(graph, 1));
  return reshape(
      bits_to_normal(counter.words(pair), counter.words(bit_or(pair, word(graph, 1))), second),
      shape);
}

Tensor random_uniform(Shape shape, Tensor key, Tensor image, Tensor step, uint32_t stream) {
  Tensor element = element_index(key.graph(), shape);
  Counter counter = counter_of(element, key, image, step, stream);
  Tensor lane = bit_and(element, word(key.graph(), 3));
  return reshape(bits_to_uniform(counter.words(lane)), shape);
}

// floor((x + 0.5) bound / 2^32) in exact integers: with x = high 2^16 + low, no product leaves 32
// bits as long as bound <= 2^16.
Tensor random_index(Tensor key, Tensor image, Tensor step, uint32_t stream, uint32_t bound) {
  Graph& graph = key.graph();
  CHECK(bound >= 1 && bound <= 65536, fmt::format("random_index: bound {} exceeds 65536", bound));
  Tensor element = full(graph, {1, 1}, 0, DType::kU32);
  Tensor x = counter_of(element, key, image, step, stream).words(element);
  Tensor low = bit_and(x, word(graph, 0xffff)), high = shift_right(x, word(graph, 16));
  Tensor carry = shift_right(low * word(graph, bound) + word(graph, bound / 2), word(graph, 16));
  Tensor index = shift_right(high * word(graph, bound) + carry, word(graph, 16));
  return reshape(index, {image.dim(0)});
}

}  // namespace ito
