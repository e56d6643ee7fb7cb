// A list of small uses of every op, for tests that hold for all of them: gradients against finite
// differences, decompositions against evaluation, the device against the interpreter.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "graph/builder.h"
#include "graph/interpret.h"

namespace ito::test {

// One random operand, uniform in [low, high).
struct Operand {
  Shape shape;
  double low = -1, high = 1;
};

struct OpCase {
  std::string name;
  Op op;  // the op it exercises
  std::vector<Operand> operands;
  std::function<Tensor(std::vector<Tensor>)> build;
  bool smooth = true;    // false: without a gradient worth checking by finite differences
  double precision = 0;  // what half precision on the way costs a device, relative; 0: nothing
};

using Values = std::unordered_map<std::string, HostValue>;

inline std::string operand_name(size_t i) { return fmt::format("x{}", i); }

// Adds the case's operands as inputs x0, x1, ... and returns its result.
inline Tensor build_case(Graph& graph, const OpCase& c, std::vector<Tensor>* inputs) {
  for (size_t i = 0; i < c.operands.size(); ++i)
    inputs->push_back(input(graph, operand_name(i), c.operands[i].shape));
  return c.build(*inputs);
}

inline HostValue random_value(const Shape& shape, double low, double high, std::mt19937& rng) {
  HostValue value{shape, {}};
  for (int64_t i = 0; i < shape.numel(); ++i) {
    double unit = static_cast<double>(rng()) / 4294967296.0;
    value.data.push_back(low + (high - low) * unit);
  }
  return value;
}

inline Values random_operands(const OpCase& c, uint32_t seed) {
  std::mt19937 rng(seed);
  Values values;
  for (size_t i = 0; i < c.operands.size(); ++i)
    values[operand_name(i)] =
        random_value(c.operands[i].shape, c.operands[i].low, c.operands[i].high, rng);
  return values;
}

inline std::vector<OpCase> elementwise_cases() {
  using T = std::vector<Tensor>;
  const Operand any{{2, 3}, -2, 2}, positive{{2, 3}, 0.3, 2}, wide{{2, 3}, -30, 30};
  auto bits = [](Tensor x) { return cast(x, DType::kU32); };
  auto flag = [](Tensor x) { return cast(x, DType::kF32); };
  auto zero = [](Tensor x) { return full(x.graph(), x.shape(), 0); };
  return {
      {"neg", Op::kNeg, {any}, [](T x) { return neg(x[0]) * x[0]; }},
      {"abs", Op::kAbs, {any}, [](T x) { return abs(x[0]) * x[0]; }},
      {"sign", Op::kSign, {any}, [](T x) { return sign(x[0]); }, false},
      {"floor", Op::kFloor, {wide}, [](T x) { return floor(x[0]); }, false},
      {"exp", Op::kExp, {any}, [](T x) { return exp(x[0]); }},
      {"log", Op::kLog, {positive}, [](T x) { return log(x[0]); }},
      {"sqrt", Op::kSqrt, {positive}, [](T x) { return sqrt(x[0]); }},
      {"rsqrt", Op::kRsqrt, {positive}, [](T x) { return rsqrt(x[0]); }},
      {"reciprocal", Op::kReciprocal, {positive}, [](T x) { return reciprocal(x[0]); }},
      {"sin", Op::kSin, {any}, [](T x) { return sin(x[0]); }},
      {"cos", Op::kCos, {any}, [](T x) { return cos(x[0]); }},
      {"tanh", Op::kTanh, {any}, [](T x) { return tanh(x[0]); }},
      {"sigmoid", Op::kSigmoid, {any}, [](T x) { return sigmoid(x[0]); }},
      {"erf", Op::kErf, {any}, [](T x) { return erf(x[0]); }},
      {"not",
       Op::kNot,
       {any},
       [=](T x) { return flag(logical_not(less(x[0], zero(x[0])))); },
       false},
      {"cast", Op::kCast, {wide}, [=](T x) { return flag(cast(x[0], DType::kI32)); }, false},
      {"cast_narrow",
       Op::kCast,
       {any},
       [](T x) { return cast(cast(x[0], DType::kF16) * cast(x[0], DType::kF16), DType::kF32); },
       true,
       2e-3},
      {"stop_gradient",
       Op::kStopGradient,
       {any},
       [](T x) { return stop_gradient(x[0] * x[0]); },
       false},
      {"add", Op::kAdd, {any, {{3}}}, [](T x) { return (x[0] + x[1]) * x[1]; }},
      {"sub", Op::kSub, {any, {{2, 1}}}, [](T x) { return (x[0] - x[1]) * x[1]; }},
      {"mul", Op::kMul, {any, {{1, 3}}}, [](T x) { return x[0] * x[1]; }},
      {"div", Op::kDiv, {any, positive}, [](T x) { return x[0] / x[1]; }},
      {"pow", Op::kPow, {positive, any}, [](T x) { return pow(x[0], x[1]); }},
      {"maximum", Op::kMax, {any, any}, [](T x) { return maximum(x[0], x[1] * x[1]); }},
      {"minimum", Op::kMin, {any, any}, [](T x) { return minimum(x[0], x[1] * x[1]); }},
      {"rem", Op::kRem, {wide, {{2, 3}, 2, 5}}, [](T x) { return rem(x[0], x[1]) * x[1]; }},
      {"less", Op::kLess, {any, any}, [=](T x) { return flag(less(x[0], x[1])); }, false},
      {"equal",
       Op::kEqual,
       {any, any},
       [=](T x) { return flag(equal(floor(x[0]), floor(x[1]))); },
       false},
      {"and",
       Op::kAnd,
       {{{8}, 0, 1e6}, {{8}, 0, 1e6}},
       [=](T x) { return flag(bit_and(bits(x[0]), bits(x[1]))); },
       false},
      {"or",
       Op::kOr,
       {{{8}, 0, 1e6}, {{8}, 0, 1e6}},
       [=](T x) { return flag(bit_or(bits(x[0]), bits(x[1]))); },
       false},
      {"xor",
       Op::kXor,
       {{{8}, 0, 1e6}, {{8}, 0, 1e6}},
       [=](T x) { return flag(bit_xor(bits(x[0]), bits(x[1]))); },
       false},
      {"shift_left",
       Op::kShiftLeft,
       {{{8}, 0, 1e3}, {{8}, 0, 12}},
       [=](T x) { return flag(shift_left(bits(x[0]), bits(x[1]))); },
       false},
      {"shift_right",
       Op::kShiftRight,
       {{{8}, 0, 1e6}, {{8}, 0, 12}},
       [=](T x) { return flag(shift_right(bits(x[0]), bits(x[1]))); },
       false},
      {"select",
       Op::kSelect,
       {any, any},
       [=](T x) { return select(less(x[0], x[1]), x[0] * x[0], x[1] * x[0]); }},
      {"philox",
       Op::kPhilox,
       {{{4}, 0, 1e6}},
       [=](T x) {
         Tensor key = constant(x[0].graph(), {2}, {11, 7}, DType::kU32);
         Tensor word = bits(x[0]);
         Tensor lane = iota(x[0].graph(), {4}, 0);
         return bits_to_uniform(philox_bits(word, lane, word, word, key, lane));
       },
       false},
  };
}

inline std::vector<OpCase> leaf_and_movement_cases() {
  using T = std::vector<Tensor>;
  const Operand x23{{2, 3}}, x234{{2, 3, 4}};
  auto index = [](Tensor x, std::vector<double> rows) {
    int64_t n = static_cast<int64_t>(rows.size());
    return constant(x.graph(), {n}, std::move(rows), DType::kU32);
  };
  return {
      {"input", Op::kInput, {x23}, [](T x) { return x[0]; }},
      {"constant",
       Op::kConstant,
       {x23},
       [](T x) {
         return square(x[0]) * constant(x[0].graph(), {3}, {1.5, -2, 0.25});
       }},
      {"full", Op::kFull, {x23}, [](T x) { return square(x[0]) + 0.5; }},
      {"iota",
       Op::kIota,
       {x23},
       [](T x) {
         return square(x[0]) * iota(x[0].graph(), {2, 3}, 1, DType::kF32);
       }},
      {"reshape",
       Op::kReshape,
       {x234},
       [](T x) {
         return square(reshape(x[0], {6, -1}));
       }},
      {"permute",
       Op::kPermute,
       {x234},
       [](T x) {
         return square(permute(x[0], {2, 0, 1}));
       }},
      {"broadcast",
       Op::kBroadcast,
       {{{3, 1}}},
       [](T x) {
         return square(broadcast_to(x[0], {2, 3, 4}));
       }},
      {"slice",
       Op::kSlice,
       {{{4, 7}}},
       [](T x) {
         return square(slice(x[0], {1, 0}, {3, 6}, {1, 2}));
       }},
      {"slice_backwards",
       Op::kSlice,
       {{{4, 7}}},
       [](T x) {
         return square(slice(x[0], {3, 5}, {0, -1}, {-1, -3}));
       }},
      {"flip",
       Op::kSlice,
       {x234},
       [](T x) {
         return square(flip(x[0], {0, -1}));
       }},
      {"pad",
       Op::kPad,
       {x23},
       [](T x) {
         return square(pad(x[0], {1, 0}, {0, 2}, 0.5, {1, 2}));
       }},
      {"concat",
       Op::kConcat,
       {x23, {{2, 1}}, x23},
       [](T x) {
         return square(concat({x[0], x[1], x[2], x[0]}, 1));
       }},
      {"gather",
       Op::kGather,
       {{{4, 3}}},
       [=](T x) {
         return square(gather(x[0], index(x[0], {2, 0, 2, 9, 3})));
       }},
      {"scatter_add",
       Op::kScatterAdd,
       {{{5, 3}}},
       [=](T x) {
         return square(scatter_add(x[0], index(x[0], {2, 0, 2, 9, 3}), 4));
       }},
      {"reduce_sum",
       Op::kReduceSum,
       {x234},
       [](T x) {
         return square(sum(x[0], {0, 2}));
       }},
      {"reduce_max", Op::kReduceMax, {x234}, [](T x) { return square(max(x[0], {1}, true)); }},
      {"reduce_max_all",
       Op::kReduceMax,
       {x234},
       [](T x) {
         return max(x[0], {0, 1, 2});
       }},
  };
}

inline std::vector<OpCase> contraction_cases() {
  using T = std::vector<Tensor>;
  std::vector<OpCase> cases;
  for (bool ta : {false, true})
    for (bool tb : {false, true})
      cases.push_back(
          {fmt::format("matmul_{}{}", ta ? "t" : "n", tb ? "t" : "n"),
           Op::kMatmul,
           {{ta ? Shape{2, 4, 3} : Shape{2, 3, 4}}, {tb ? Shape{2, 5, 4} : Shape{2, 4, 5}}},
           [=](T x) { return matmul(x[0], x[1], ta, tb); }});
  cases.push_back({"matmul_shared_matrix", Op::kMatmul, {{{2, 3, 4}}, {{4, 5}}}, [](T x) {
                     return matmul(x[0], x[1]);
                   }});
  cases.push_back({"matmul_broadcast_batch", Op::kMatmul, {{{3, 4}}, {{2, 4, 5}}}, [](T x) {
                     return matmul(x[0], x[1]);
                   }});
  // Strides that leave a rest, dilation, groups, uneven padding.
  struct Conv {
    std::string name;
    Shape x, w;
    ConvAttr attr;
  };
  const std::vector<Conv> convs = {
      {"3x3", {1, 4, 3, 2}, {3, 3, 2, 3}, {.pad = {1, 1, 1, 1}}},
      {"1x1", {2, 3, 2, 3}, {1, 1, 3, 2}, {}},
      {"stride_with_rest", {1, 6, 5, 1}, {3, 2, 1, 2}, {.stride = {2, 3}, .pad = {0, 1, 0, 1}}},
      {"dilated", {1, 6, 5, 1}, {2, 3, 1, 1}, {.pad = {1, 0, 2, 1}, .dilation = {3, 2}}},
      {"grouped", {1, 3, 3, 4}, {2, 2, 2, 6}, {.stride = {1, 2}, .pad = {1, 0, 0, 1}, .groups = 2}},
      {"depthwise", {1, 3, 4, 3}, {3, 3, 1, 3}, {.pad = {1, 1, 1, 1}, .groups = 3}},
  };
  for (const Conv& c : convs) {
    const ConvAttr attr = c.attr;
    Shape y{c.x[0], 0, 0, c.w[3]};
    for (int i = 0; i < 2; ++i) {
      const size_t k = static_cast<size_t>(i);
      y[1 + i] = (c.x[1 + i] + attr.pad[2 * k] + attr.pad[2 * k + 1] -
                  (c.w[i] - 1) * attr.dilation[k] - 1) /
                     attr.stride[k] +
                 1;
    }
    cases.push_back({"conv2d_" + c.name, Op::kConv2d, {{c.x}, {c.w}}, [=](T x) {
                       return conv2d(x[0], x[1], attr);
                     }});
    cases.push_back({"conv2d_grad_input_" + c.name, Op::kConv2dGradInput, {{y}, {c.w}}, [=](T x) {
                       return conv2d_grad_input(x[0], x[1], c.x, attr);
                     }});
    cases.push_back({"conv2d_grad_weight_" + c.name, Op::kConv2dGradWeight, {{c.x}, {y}}, [=](T x) {
                       return conv2d_grad_weight(x[0], x[1], c.w, attr);
                     }});
  }
  // [2,3] x [3,4] with the left operand read through an offset.
  ContractAttr contract{.dims = {{2, 3, 0, 4}, {4, 0, 1, 1}, {3, 1, 4, 0}}, .a_offset = 1};
  cases.push_back({"contract",
                   Op::kContract,
                   {{{7}}, {{3, 4}}},
                   [=](T x) {
                     return x[0].graph().add(Op::kContract, DType::kF32, {2, 4}, x, contract);
                   },
                   false});
  // Two overlapping tiles of 3x3 for each of two channels, read from the last column backwards.
  TileTransformAttr tiles{.dims = {{2, 8, 2}, {2, 1, 1}},
                          .rows = 2,
                          .taps = 3,
                          .matrix = {1, -0.5, 0, 2, 0, -1},
                          .in_step = {14, -2},
                          .out_step = {8, 4},
                          .in_offset = 4};
  cases.push_back(
      {"tile_transform",
       Op::kTileTransform,
       {{{3, 7, 2}}},
       [=](T x) {
         return x[0].graph().add(Op::kTileTransform, DType::kF32, {2, 2, 2, 2}, x, tiles);
       },
       false});
  return cases;
}

inline std::vector<OpCase> composite_cases() {
  using T = std::vector<Tensor>;
  const AttentionAttr attr{2, 0.7};
  auto node = [attr](Op op, Shape shape, T x) {
    return x[0].graph().add(op, DType::kF32, std::move(shape), x, attr);
  };
  const Operand q{{1, 2, 4}}, k{{1, 3, 4}}, rows{{1, 2, 2}};
  return {
      {"group_norm",
       Op::kGroupNorm,
       {{{2, 2, 2, 4}}, {{4}}, {{4}}},
       [](T x) { return group_norm(x[0], x[1], x[2], 2, 1e-3); }},
      {"group_norm_vectors",
       Op::kGroupNorm,
       {{{2, 6}}, {{6}}, {{6}}},
       [](T x) { return group_norm(x[0], x[1], x[2], 2, 1e-3); }},
      {"layer_norm",
       Op::kLayerNorm,
       {{{2, 2, 5}}, {{5}}, {{5}}},
       [](T x) { return layer_norm(x[0], x[1], x[2], 1e-3); }},
      {"softmax", Op::kSoftmax, {{{2, 5}, -2, 2}}, [](T x) { return softmax(x[0]); }},
      {"attention",
       Op::kAttention,
       {q, k, k},
       [=](T x) { return attention(x[0], x[1], x[2], attr.heads, attr.scale); }},
      {"self_attention",
       Op::kAttention,
       {q},
       [=](T x) { return attention(x[0], x[0], x[0], attr.heads, attr.scale); }},
      {"attention_lse",
       Op::kAttentionLse,
       {q, k},
       [=](T x) {
         return node(Op::kAttentionLse, {1, 2, 2}, x);
       }},
      {"attention_grad_q",
       Op::kAttentionGradQ,
       {q, k, k, q, rows, rows},
       [=](T x) {
         return node(Op::kAttentionGradQ, {1, 2, 4}, x);
       }},
      {"attention_grad_k",
       Op::kAttentionGradK,
       {q, k, k, q, rows, rows},
       [=](T x) {
         return node(Op::kAttentionGradK, {1, 3, 4}, x);
       }},
      {"attention_grad_v",
       Op::kAttentionGradV,
       {q, k, q, rows},
       [=](T x) {
         return node(Op::kAttentionGradV, {1, 3, 4}, x);
       }},
  };
}

// Functions of builder.h that are built of several ops.
inline std::vector<OpCase> builder_cases() {
  using T = std::vector<Tensor>;
  const Operand any{{2, 3}, -2, 2}, image{{1, 4, 3, 2}};
  return {
      {"relu", Op::kSelect, {any}, [](T x) { return relu(x[0]) * x[0]; }},
      {"silu", Op::kSigmoid, {any}, [](T x) { return silu(x[0]); }},
      {"softplus", Op::kLog, {any}, [](T x) { return softplus(x[0]); }},
      {"gelu", Op::kErf, {any}, [](T x) { return gelu(x[0]); }},
      {"gelu_tanh", Op::kTanh, {any}, [](T x) { return gelu_tanh(x[0]); }},
      {"clamp", Op::kSelect, {any}, [](T x) { return clamp(x[0], -1, 0.5) * x[0]; }},
      {"mean", Op::kReduceSum, {any}, [](T x) { return square(mean(x[0], {-1})); }},
      {"var",
       Op::kReduceSum,
       {any},
       [](T x) {
         return var(x[0], {0, 1}, 1);
       }},
      {"logsumexp", Op::kReduceSum, {any}, [](T x) { return logsumexp(x[0], {-1}); }},
      {"linear",
       Op::kMatmul,
       {{{2, 3, 4}}, {{4, 5}}, {{5}}},
       [](T x) { return linear(x[0], x[1], x[2]); }},
      {"upsample_nearest2x",
       Op::kBroadcast,
       {image},
       [](T x) { return square(upsample_nearest2x(x[0])); }},
      {"upsample_nearest",
       Op::kGather,
       {image},
       [](T x) { return square(upsample_nearest(x[0], 7, 5)); }},
      {"upsample_bilinear",
       Op::kMatmul,
       {image},
       [](T x) { return square(upsample_bilinear(x[0], 7, 5)); }},
      {"avg_pool2", Op::kReduceSum, {image}, [](T x) { return square(avg_pool2(x[0])); }},
      {"fir_up2", Op::kConcat, {image}, [](T x) { return square(fir_up2(x[0])); }},
      {"fir_down2", Op::kSlice, {{{1, 4, 6, 2}}}, [](T x) { return square(fir_down2(x[0])); }},
      {"fir_up2_conv",
       Op::kConv2dGradInput,
       {image, {{3, 3, 2, 1}}},
       [](T x) { return fir_up2_conv(x[0], x[1]); }},
      {"fir_down2_conv",
       Op::kConv2d,
       {{{1, 4, 6, 2}}, {{3, 3, 2, 1}}},
       [](T x) { return fir_down2_conv(x[0], x[1]); }},
      {"timestep_embedding",
       Op::kSin,
       {{{3}, 0, 10}},
       [](T x) { return timestep_embedding(x[0], 7, true, 0); }},
      {"fourier_features",
       Op::kCos,
       {{{2}, 0.5, 2}, {{3}}},
       [](T x) { return fourier_features(x[0], x[1], true, false); }},
  };
}

inline std::vector<OpCase> op_cases() {
  std::vector<OpCase> all;
  for (auto* cases : {&elementwise_cases, &leaf_and_movement_cases, &contraction_cases,
                      &composite_cases, &builder_cases})
    for (OpCase& c : cases()) all.push_back(std::move(c));
  return all;
}

}  // namespace ito::test
