// Random programs of one op (make_op_case of random_programs.h).
#include <algorithm>
#include <cmath>

#include "tests/support/random_programs.h"

namespace ito::test {
namespace {

// Sums of rounding errors, and elementary functions of a few ulp.
constexpr double kExact = 0;
constexpr double kArithmetic = 1e-6;
constexpr double kFunction = 5e-6;
constexpr double kSum = 1e-5;

// --- elementwise ------------------------------------------------------------------------------

struct ElementwiseRow {
  Op op;
  std::vector<DType> dtypes;
  Fill first, second;
  double limit;
};

const std::vector<DType> kF32 = {DType::kF32};
const std::vector<DType> kSigned = {DType::kF32, DType::kI32};
const std::vector<DType> kNumbers = {DType::kF32, DType::kI32, DType::kU32};
const std::vector<DType> kIntegers = {DType::kI32, DType::kU32};
const std::vector<DType> kBits = {DType::kI32, DType::kU32, DType::kBool};
const std::vector<DType> kTruths = {DType::kBool};

const std::vector<ElementwiseRow>& unary_rows() {
  static const std::vector<ElementwiseRow> rows = {
      {Op::kNeg, kNumbers, Fill::kNormal, {}, kExact},
      {Op::kAbs, kSigned, Fill::kNormal, {}, kExact},
      {Op::kSign, kSigned, Fill::kFew, {}, kExact},
      {Op::kFloor, kF32, Fill::kNormal, {}, kExact},
      {Op::kExp, kF32, Fill::kNormal, {}, kFunction},
      {Op::kLog, kF32, Fill::kPositive, {}, kFunction},
      {Op::kSqrt, kF32, Fill::kPositive, {}, kArithmetic},
      {Op::kRsqrt, kF32, Fill::kPositive, {}, kFunction},
      {Op::kReciprocal, kF32, Fill::kAway, {}, kArithmetic},
      {Op::kSin, kF32, Fill::kNormal, {}, kFunction},
      {Op::kCos, kF32, Fill::kNormal, {}, kFunction},
      {Op::kTanh, kF32, Fill::kNormal, {}, kFunction},
      {Op::kSigmoid, kF32, Fill::kNormal, {}, kFunction},
      {Op::kErf, kF32, Fill::kNormal, {}, kFunction},
      {Op::kNot, kTruths, Fill::kTruth, {}, kExact},
      {Op::kStopGradient, kNumbers, Fill::kNormal, {}, kExact},
  };
  return rows;
}

const std::vector<ElementwiseRow>& binary_rows() {
  static const std::vector<ElementwiseRow> rows = {
      {Op::kAdd, kNumbers, Fill::kNormal, Fill::kNormal, kArithmetic},
      {Op::kSub, kNumbers, Fill::kNormal, Fill::kNormal, kArithmetic},
      {Op::kMul, kNumbers, Fill::kNormal, Fill::kNormal, kArithmetic},
      {Op::kDiv, kNumbers, Fill::kNormal, Fill::kAway, kArithmetic},
      {Op::kPow, kF32, Fill::kPositive, Fill::kNormal, kFunction},
      {Op::kMax, kNumbers, Fill::kNormal, Fill::kNormal, kExact},
      {Op::kMin, kNumbers, Fill::kFew, Fill::kFew, kExact},
      {Op::kRem, kIntegers, Fill::kNormal, Fill::kAway, kExact},
      {Op::kLess, kNumbers, Fill::kFew, Fill::kFew, kExact},
      {Op::kEqual, kNumbers, Fill::kFew, Fill::kFew, kExact},
      {Op::kAnd, kBits, Fill::kWords, Fill::kWords, kExact},
      {Op::kOr, kBits, Fill::kWords, Fill::kWords, kExact},
      {Op::kXor, kBits, Fill::kWords, Fill::kWords, kExact},
  };
  return rows;
}

// A shape that broadcasts to `shape`.
Shape narrowed(Random& random, const Shape& shape) {
  std::vector<int64_t> dims = shape.dims();
  const auto drop = random.chance(0.3) ? random.integer(0, shape.rank()) : 0;
  dims.erase(dims.begin(), dims.begin() + drop);
  for (int64_t& extent : dims)
    if (random.chance(0.25)) extent = 1;
  return Shape(std::move(dims));
}

double exact_unless_float(DType dtype, double limit) { return is_float(dtype) ? limit : kExact; }

// Both operands broadcast to one shape, as builders do before they add the node.
Tensor binary(Op op, Tensor a, Tensor b, const Shape& shape, DType dtype) {
  const Tensor operands[] = {broadcast_to(a, shape), broadcast_to(b, shape)};
  return a.graph().add(op, dtype, shape, operands);
}

bool add_unary(RandomCase& test, Op op) {
  for (const ElementwiseRow& row : unary_rows()) {
    if (row.op != op) continue;
    for (DType dtype : row.dtypes) {
      const Tensor x[] = {test.input(test.random.shape(static_cast<int>(test.random.integer(0, 4))),
                                     dtype, row.first)};
      test.output("unary", x[0].graph().add(op, dtype, x[0].shape(), x),
                  exact_unless_float(dtype, row.limit));
    }
    return true;
  }
  return false;
}

bool add_binary(RandomCase& test, Op op) {
  for (const ElementwiseRow& row : binary_rows()) {
    if (row.op != op) continue;
    for (DType dtype : row.dtypes) {
      const Shape shape = test.random.shape(static_cast<int>(test.random.integer(0, 4)));
      const Fill first = dtype == DType::kBool ? Fill::kTruth : row.first;
      const Fill second = dtype == DType::kBool ? Fill::kTruth : row.second;
      const Tensor a = test.input(narrowed(test.random, shape), dtype, first);
      const Tensor b = test.input(narrowed(test.random, shape), dtype, second);
      const bool compares = op == Op::kLess || op == Op::kEqual;
      test.output("binary", binary(op, a, b, shape, compares ? DType::kBool : dtype),
                  compares ? kExact : exact_unless_float(dtype, row.limit));
    }
    return true;
  }
  return false;
}

// x = (k + f) y with f well inside (0, 1), so that rounding cannot change the whole quotient.
void add_float_rem(RandomCase& test) {
  const Shape shape = test.random.shape(3);
  const Tensor y = test.input(shape, DType::kF32, Fill::kPositive);
  const Tensor whole = test.input(shape, DType::kF32, Fill::kFew);
  const Tensor part = sigmoid(test.input(shape)) * 0.5 + 0.25;
  test.output("float", rem((whole + part) * y, y), 2e-5);
}

void add_shift(RandomCase& test, Op op) {
  for (DType dtype : kIntegers) {
    const Shape shape = test.random.shape(2);
    const Tensor words = test.input(shape, dtype, Fill::kWords);
    const Tensor count = bit_and(test.input(narrowed(test.random, shape), dtype, Fill::kWords),
                                 scalar(*test.program.graph, 31, dtype));
    test.output("shift", binary(op, words, count, shape, dtype), kExact);
  }
}

void add_cast(RandomCase& test) {
  const std::vector<DType> all = {DType::kF32, DType::kI32, DType::kU32, DType::kBool};
  for (DType from : all)
    for (DType to : all) {
      if (from == to) continue;
      // Floats below 0 have no u32; those chosen are whole or not, as they come.
      Fill fill = from == DType::kBool ? Fill::kTruth : Fill::kFew;
      if (from == DType::kF32 && to == DType::kU32) fill = Fill::kPositive;
      const Tensor x = test.input(test.random.shape(2), from, fill);
      const Tensor source = from == DType::kF32 && to != DType::kBool ? x * 3.7 : x;
      test.output("cast", cast(source, to), exact_unless_float(to, kArithmetic));
    }
}

void add_select(RandomCase& test) {
  for (DType dtype : kNumbers) {
    const Shape shape = test.random.shape(3);
    const Tensor condition = test.input(narrowed(test.random, shape), DType::kBool, Fill::kTruth);
    const Tensor a = test.input(narrowed(test.random, shape), dtype);
    const Tensor b = test.input(narrowed(test.random, shape), dtype);
    const Tensor operands[] = {broadcast_to(condition, shape), broadcast_to(a, shape),
                               broadcast_to(b, shape)};
    test.output("select", test.program.graph->add(Op::kSelect, dtype, shape, operands), kExact);
  }
}

void add_philox(RandomCase& test) {
  const Shape shape = test.random.shape(2);
  std::vector<Tensor> words;
  for (int i = 0; i < 5; ++i)
    words.push_back(test.input(narrowed(test.random, shape), DType::kU32, Fill::kWords));
  const Tensor key = test.input({2}, DType::kU32, Fill::kWords);
  const Tensor lane = bit_and(words[4], scalar(*test.program.graph, 3, DType::kU32));
  test.output("philox", philox_bits(words[0], words[1], words[2], words[3], key, lane), kExact);
}

// --- leaves, movement, indexed ----------------------------------------------------------------

void add_leaf(RandomCase& test, Op op) {
  Graph& graph = *test.program.graph;
  const Shape shape = test.random.shape(3);
  if (op == Op::kInput) {
    for (DType dtype : kNumbers) test.output("input", test.input(shape, dtype), kExact);
  } else if (op == Op::kConstant) {
    std::vector<double> data(static_cast<size_t>(shape.numel()));
    for (double& value : data) value = static_cast<double>(test.random.integer(-8, 8)) / 4;
    test.output("constant", constant(graph, shape, data), kExact);
    for (double& value : data) value = static_cast<double>(test.random.integer(0, 0xffffffffLL));
    test.output("words", constant(graph, shape, data, DType::kU32), kExact);
  } else if (op == Op::kFull) {
    test.output("full", full(graph, shape, 0.75), kExact);
    test.output("zeros", full(graph, shape, 0), kExact);
    test.output("words", full(graph, {}, 4294967295.0, DType::kU32), kExact);
  } else {
    for (DType dtype : kNumbers)
      test.output("iota", iota(graph, shape, static_cast<int>(test.random.integer(0, 2)), dtype),
                  kExact);
  }
}

std::vector<int64_t> shuffled_axes(Random& random, int rank) {
  std::vector<int64_t> axes;
  for (int i = 0; i < rank; ++i) axes.insert(axes.begin() + random.integer(0, i), i);
  return axes;
}

Tensor random_slice(Random& random, Tensor x) {
  SliceAttr attr;
  Shape shape = x.shape();
  for (int i = 0; i < x.rank(); ++i) {
    const int64_t a = random.integer(0, x.dim(i) - 1), b = random.integer(0, x.dim(i) - 1);
    const int64_t step = random.integer(1, 3);
    shape[i] = std::abs(b - a) / step + 1;
    attr.start.push_back(a);
    attr.step.push_back(b < a ? -step : step);
  }
  const Tensor operands[] = {x};
  return x.graph().add(Op::kSlice, x.dtype(), shape, operands, attr);
}

Tensor random_pad(Random& random, Tensor x) {
  std::vector<int64_t> low, high, interior;
  for (int i = 0; i < x.rank(); ++i) {
    low.push_back(random.integer(0, 3));
    high.push_back(random.integer(0, 3));
    interior.push_back(random.chance(0.4) ? random.integer(1, 2) : 0);
  }
  return pad(x, low, high, random.chance(0.5) ? 0 : static_cast<double>(random.integer(1, 3)),
             interior);
}

Tensor random_concat(RandomCase& test, int parts, DType dtype) {
  Shape shape = test.random.shape(3, 300);
  const int axis = static_cast<int>(test.random.integer(0, 2));
  std::vector<Tensor> tensors;
  for (int i = 0; i < parts; ++i) {
    shape[axis] = test.random.integer(1, 5);
    tensors.push_back(test.input(shape, dtype));
  }
  return concat(tensors, axis);
}

void add_movement(RandomCase& test, Op op) {
  Random& random = test.random;
  if (op == Op::kConcat) {
    for (int parts : {1, 2, 4, 5, 9})
      test.output("concat", random_concat(test, parts, parts % 2 ? DType::kF32 : DType::kU32),
                  kExact);
    return;
  }
  for (DType dtype : kNumbers) {
    const int rank = static_cast<int>(random.integer(1, 4));
    const Tensor x = test.input(random.shape(rank), dtype);
    Tensor y;
    if (op == Op::kReshape) {
      const Shape& s = x.shape();
      y = reshape(x, rank == 1 ? Shape{1, s[0], 1} : Shape{s[0] * s[1], s.numel() / s[0] / s[1]});
    } else if (op == Op::kPermute) {
      y = permute(x, shuffled_axes(random, rank));
    } else if (op == Op::kBroadcast) {
      const Tensor narrow = test.input(narrowed(random, x.shape()), dtype);
      y = broadcast_to(narrow, x.shape());
      if (y == narrow) y = broadcast_to(reshape(x, {1, x.shape().numel()}), {3, x.shape().numel()});
    } else if (op == Op::kSlice) {
      y = random_slice(random, x);
    } else {
      y = random_pad(random, x);
    }
    test.output("move", y, kExact);
  }
}

void add_indexed(RandomCase& test, Op op) {
  Random& random = test.random;
  for (DType index_dtype : kIntegers) {
    Shape shape = random.shape(static_cast<int>(random.integer(1, 3)), 1500);
    const int64_t rows = random.integer(1, 12);
    if (op == Op::kGather) {
      shape[0] = rows;
      const int64_t count = random.extent();
      // Among few rows, small integers also fall outside.
      const Tensor index = test.input({count}, index_dtype, Fill::kFew);
      test.output("gather", gather(test.input(shape), index), kExact);
      test.output("words", gather(test.input(shape, DType::kU32, Fill::kWords), index), kExact);
    } else {
      const Tensor index = test.input({shape[0]}, index_dtype, Fill::kFew);
      test.output("scatter", scatter_add(test.input(shape), index, rows), kSum);
    }
  }
}

// --- reductions and contractions --------------------------------------------------------------

void add_reduction(RandomCase& test, Op op) {
  Random& random = test.random;
  auto reduce = [&](Tensor x, std::vector<int64_t> axes) {
    const bool keep = random.chance(0.5);
    const Tensor y = op == Op::kReduceSum ? sum(x, axes, keep) : max(x, axes, keep);
    test.output("reduce", y, op == Op::kReduceSum ? exact_unless_float(x.dtype(), kSum) : kExact);
  };
  // Every subset of the axes of one shape; which shape, the seed says.
  const Tensor x = test.input(random.shape(4));
  for (int subset = 1; subset < 16; ++subset) {
    std::vector<int64_t> axes;
    for (int axis = 0; axis < 4; ++axis)
      if (subset >> axis & 1) axes.push_back(axis);
    reduce(x, axes);
  }
  // Longer than any tile, in each direction.
  reduce(test.input({3, random.integer(3000, 9000)}), {1});
  reduce(test.input({random.integer(3000, 9000), 3}), {0});
  reduce(test.input({random.integer(30000, 70000)}), {0});
  for (DType dtype : kIntegers) reduce(test.input(random.shape(2), dtype), {1});
}

void add_matmul(RandomCase& test) {
  Random& random = test.random;
  const std::vector<int64_t> sizes = {1, 2, 3, 5, 7, 8, 16, 17, 31, 33, 64, 65, 97};
  for (int kind = 0; kind < 4; ++kind) {
    const bool ta = kind & 1, tb = kind & 2;
    const int64_t m = random.of(sizes), n = random.of(sizes), k = random.of(sizes);
    std::vector<int64_t> batch;
    for (int64_t i = random.integer(0, 2); i > 0; --i) batch.push_back(random.integer(1, 3));
    std::vector<int64_t> a = batch, b = random.chance(0.3) ? std::vector<int64_t>{} : batch;
    a.insert(a.end(), {ta ? k : m, ta ? m : k});
    b.insert(b.end(), {tb ? n : k, tb ? k : n});
    test.output("matmul", matmul(test.input(Shape(a)), test.input(Shape(b)), ta, tb), kSum);
  }
}

ConvAttr random_conv_attr(Random& random) {
  ConvAttr attr;
  for (size_t i = 0; i < 2; ++i) {
    attr.stride[i] = random.chance(0.4) ? random.integer(2, 3) : 1;
    attr.dilation[i] = random.chance(0.3) ? 2 : 1;
  }
  for (int64_t& pad : attr.pad) pad = random.integer(0, 2);
  attr.groups = random.chance(0.3) ? random.integer(2, 3) : 1;
  return attr;
}

// x [n,h,w,ci], w [k,k,ci/groups,co] and dy of the matching shape: any of the three directions.
void add_conv(RandomCase& test, Op op) {
  Random& random = test.random;
  const std::vector<int64_t> channels = {1, 2, 3, 5, 8, 16, 17, 33};
  for (int i = 0; i < 3; ++i) {
    const ConvAttr attr = random_conv_attr(random);
    const Shape kernel{random.integer(1, 4), random.integer(1, 4), random.of(channels),
                       random.of(channels) * attr.groups};
    auto size = [&](int axis) {
      const size_t k = static_cast<size_t>(axis);
      const int64_t least =
          (kernel[axis] - 1) * attr.dilation[k] + 1 - attr.pad[2 * k] - attr.pad[2 * k + 1];
      return std::max<int64_t>(least, 1) + random.integer(0, 9);
    };
    const Shape image{random.integer(1, 3), size(0), size(1), kernel[2] * attr.groups};
    const Tensor x = test.input(image), w = test.input(kernel);
    const Tensor y = conv2d(x, w, attr);
    if (op == Op::kConv2d) {
      test.output("conv", y, kSum);
      continue;
    }
    const Tensor dy = test.input(y.shape());
    test.output("conv",
                op == Op::kConv2dGradInput ? conv2d_grad_input(dy, w, image, attr)
                                           : conv2d_grad_weight(x, dy, kernel, attr),
                kSum);
  }
}

// Overlapping windows along one axis, and rows of the other operand that share its elements.
void add_contract(RandomCase& test) {
  Random& random = test.random;
  for (int i = 0; i < 3; ++i) {
    const int64_t m = random.extent(), n = random.extent(), k = random.extent();
    ContractAttr attr;
    attr.dims = {{m, 1, 0, n}, {n, 0, 1, 1}, {k, 2, 1, 0}};
    attr.b_offset = 3;
    const Tensor operands[] = {test.input({m + 2 * (k - 1)}), test.input({n + k + 2})};
    test.output("contract",
                test.program.graph->add(Op::kContract, DType::kF32, {m, n}, operands, attr), kSum);
  }
}

// Overlapping tiles of pictures, channels last, and back into other tiles.
void add_tile_transform(RandomCase& test) {
  Random& random = test.random;
  for (int i = 0; i < 3; ++i) {
    const int64_t rows = random.integer(1, 6), taps = random.integer(1, 6);
    const int64_t h = random.integer(1, 4), w = random.integer(1, 5);
    const int64_t c = i == 0 ? 32 : random.extent(), step = random.integer(1, taps);
    const int64_t height = (h - 1) * step + taps, width = (w - 1) * step + taps;
    const bool backwards = i == 2;
    TileTransformAttr attr;
    attr.rows = rows;
    attr.taps = taps;
    for (int64_t k = 0; k < rows * taps; ++k)
      attr.matrix.push_back(static_cast<double>(random.integer(-2, 2)) / 2);
    attr.dims = {{h, step * width * c, w * c}, {w, step * c, c}, {c, 1, 1}};
    attr.in_step = {width * c, c};
    attr.out_step = {rows * h * w * c, h * w * c};
    if (backwards) {
      attr.in_step = {-width * c, -c};
      attr.in_offset = (taps - 1) * (width + 1) * c;
    }
    const Tensor operands[] = {test.input({height, width, c})};
    test.output("tiles",
                test.program.graph->add(Op::kTileTransform, DType::kF32, {rows, rows, h * w, c},
                                        operands, attr),
                kSum);
  }
}

// --- composites -------------------------------------------------------------------------------

void add_norm(RandomCase& test, Op op) {
  Random& random = test.random;
  for (int i = 0; i < 2; ++i) {
    Shape shape = random.shape(op == Op::kGroupNorm ? 4 : 3, 3000);
    const int64_t groups = random.integer(1, 5);
    shape[-1] = groups * random.integer(i == 0 ? 2 : 1, 7);
    if (shape[-1] == 1) shape[-1] = 2;
    const Tensor gamma = test.input({shape[-1]}), beta = test.input({shape[-1]});
    // A mean far from 0 shows a variance computed by cancellation. The eps is large, because two
    // nearly equal elements of a group magnify the rounding of the mean by 1/sqrt(eps).
    constexpr double eps = 1e-3;
    const Tensor x = test.input(shape) + 3.0;
    test.output("norm",
                op == Op::kGroupNorm ? group_norm(x, gamma, beta, groups, eps)
                                     : layer_norm(x, gamma, beta, eps),
                2e-5);
  }
}

void add_softmax(RandomCase& test) {
  for (int rank = 1; rank <= 3; ++rank)
    test.output("softmax", softmax(test.input(test.random.shape(rank)) * 4.0), kSum);
  test.output("long", softmax(test.input({2, test.random.integer(600, 3000)})), kSum);
}

// The value and, for the ops of the gradient, the gradients that are built of them.
void add_attention(RandomCase& test, Op op) {
  Random& random = test.random;
  test.scale = 1;  // with one key the gradients of q and k are zero, up to rounding
  const std::vector<int64_t> lengths = {1, 3, 16, 17, 33, 70}, widths = {1, 4, 8, 12, 33, 40, 64};
  for (int i = 0; i < 2; ++i) {
    const int64_t b = random.integer(1, 2), heads = random.integer(1, 3), d = random.of(widths);
    const Shape queries{b, random.of(lengths), heads * d}, keys{b, random.of(lengths), heads * d};
    const Tensor q = test.input(queries), k = test.input(keys), v = test.input(keys);
    const double scale = 1 / std::sqrt(static_cast<double>(d));
    const Tensor y = attention(q, k, v, heads, scale);
    test.output("y", y, kSum);
    if (op == Op::kAttention) continue;
    const Tensor dy = test.input(queries);
    const std::vector<Tensor> gradients = grad(sum_all(y * dy), {q, k, v});
    for (Tensor gradient : gradients) test.output("gradient", gradient, 2e-5);
  }
}

}  // namespace

RandomCase make_op_case(Op op, uint64_t seed) {
  RandomCase test(seed * 1000 + static_cast<uint64_t>(op));
  if (add_unary(test, op)) return test;
  if (op == Op::kRem) add_float_rem(test);
  if (add_binary(test, op)) return test;
  switch (op_def(op).op_class) {
    case OpClass::kLeaf:
      add_leaf(test, op);
      return test;
    case OpClass::kMovement:
      add_movement(test, op);
      return test;
    case OpClass::kIndexed:
      add_indexed(test, op);
      return test;
    case OpClass::kReduce:
      add_reduction(test, op);
      return test;
    default:
      break;
  }
  switch (op) {
    case Op::kCast:
      add_cast(test);
      break;
    case Op::kShiftLeft:
    case Op::kShiftRight:
      add_shift(test, op);
      break;
    case Op::kSelect:
      add_select(test);
      break;
    case Op::kPhilox:
      add_philox(test);
      break;
    case Op::kMatmul:
      add_matmul(test);
      break;
    case Op::kConv2d:
    case Op::kConv2dGradInput:
    case Op::kConv2dGradWeight:
      add_conv(test, op);
      break;
    case Op::kContract:
      add_contract(test);
      break;
    case Op::kTileTransform:
      add_tile_transform(test);
      break;
    case Op::kGroupNorm:
    case Op::kLayerNorm:
      add_norm(test, op);
      break;
    case Op::kSoftmax:
      add_softmax(test);
      break;
    case Op::kAttention:
    case Op::kAttentionLse:
    case Op::kAttentionGradQ:
    case Op::kAttentionGradK:
    case Op::kAttentionGradV:
      add_attention(test, op);
      break;
    default:
      break;  // no case: the census says so
  }
  return test;
}

}  // namespace ito::test
