// The closed set of operations and the one table that describes them.
// Not where ops are implemented: each family has its file under graph/ops/.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "base/shape.h"

namespace ito {

enum class Op : uint8_t {
  // Leaves.
  kInput,     // a named external tensor (InputAttr)
  kConstant,  // dense data known when the graph is built (ConstantAttr)
  kFull,      // every element the same value (FullAttr)
  kIota,      // element = its index along one axis (AxesAttr: one axis); u32, i32 or f32
  // Elementwise, one operand.
  kNeg,
  kAbs,
  kSign,
  kFloor,
  kExp,
  kLog,
  kSqrt,
  kRsqrt,
  kReciprocal,
  kSin,
  kCos,
  kTanh,
  kSigmoid,
  kErf,
  kNot,           // bool
  kCast,          // value conversion to the node's dtype (float → integer truncates)
  kStopGradient,  // identity without gradient; canonicalize removes it
  // Elementwise, two operands of equal shape and dtype.
  kAdd,
  kSub,
  kMul,
  kDiv,
  kPow,
  kMax,
  kMin,
  kRem,    // integers: remainder of u32/i32 division; floats: x - y * floor(x / y)
  kLess,   // → bool
  kEqual,  // → bool
  kAnd,    // bool, or bits of u32/i32
  kOr,
  kXor,
  kShiftLeft,   // u32, i32
  kShiftRight,  // u32 logical, i32 arithmetic
  // Elementwise, more operands.
  kSelect,  // (bool condition, a, b)
  kPhilox,  // (c0, c1, c2, c3, k0, k1, lane), all u32 → word `lane` (0 to 3) of Philox4x32-10
  // Movement: change which element is where, never its value.
  kReshape,    // row-major reinterpretation to the node's shape
  kPermute,    // AxesAttr: output axis i is input axis axes[i]
  kBroadcast,  // same rank; axes of extent 1 become the node's extent
  kSlice,      // SliceAttr: start and step per axis (step may be negative); extents: the node's
  kPad,        // PadAttr: low, high and interior zeros-or-value per axis (low, high >= 0)
  kConcat,     // AxesAttr: one axis; any number of operands
  kGather,  // (x, i32 or u32 index[n]) → rows x[index[j], ...]; first axis. Out of range clamps
  kScatterAdd,  // (updates [n, ...], index[n]) → sum of rows by index into the node's shape;
                // out of range clamps as in gather, whose adjoint it is
  // Reduction over AxesAttr axes, kept as extent 1.
  kReduceSum,
  kReduceMax,
  // Contractions; each one's gradient is another of them.
  kMatmul,            // MatmulAttr; [b..., m, k] x [b..., k, n] after the transposes, equal batch
  kConv2d,            // ConvAttr; (x [n,h,w,ci], w [kh,kw,ci/groups,co]) → [n,oh,ow,co]
  kConv2dGradInput,   // ConvAttr; (dy, w) → the node's shape (x's); also transposed convolution
  kConv2dGradWeight,  // ConvAttr; (x, dy) → the node's shape (w's)
  // Composites: carry decompose(), which is fallback kernel, fallback gradient and oracle at once.
  kGroupNorm,     // NormAttr; (x [n,...,c], gamma [c], beta [c]) statistics per n and channel group
  kLayerNorm,     // NormAttr; (x [...,c], gamma [c], beta [c]) statistics over the last axis
  kSoftmax,       // over the last axis
  kAttention,     // AttentionAttr; (q [b,sq,heads*d], k [b,sk,heads*d], v [b,sk,heads*d])
  kAttentionLse,  // (q, k) → [b,heads,sq] log-sum-exp of the scaled scores
  kAttentionGradQ,  // (q, k, v, dy, lse, delta[b,heads,sq]) → dq; delta = rowsum(dy * y) per head
  kAttentionGradK,  // the same operands → dk
  kAttentionGradV,  // (q, k, dy, lse) → dv
  // Introduced by passes/lower only; never built by users.
  kContract,       // ContractAttr
  kTileTransform,  // TileTransformAttr
  kCount,
};

// What a pass may assume about an op without knowing it.
enum class OpClass : uint8_t {
  kLeaf,
  kElementwise,
  kMovement,
  kIndexed,  // gather, scatter_add
  kReduce,
  kContraction,
  kComposite,
};

struct Node;
class Graph;
class Tensor;

// A value in the CPU oracle: double for every dtype (u32 and i32 are exact in it).
struct HostValue {
  Shape shape;
  std::vector<double> data;
};

// One op is one value. A null function pointer means "does not apply"; the census test says which
// combinations are legal.
struct OpDef {
  Op op = Op::kCount;
  std::string_view name;
  OpClass op_class = OpClass::kLeaf;
  int arity = 0;  // -1: any number
  // Checks operands and attributes; returns the result shape. Ops whose shape is given by the
  // builder (input, full, reshape, broadcast, slice, ...) check node.shape and return it.
  Result<Shape> (*infer)(const Graph& graph, const Node& node) = nullptr;
  // The CPU oracle: plain loops, double accumulation.
  HostValue (*eval)(const Node& node, std::span<const HostValue* const> inputs) = nullptr;
  // The gradient in ops: one tensor per operand; an empty Tensor for an operand without gradient.
  std::vector<Tensor> (*grad)(Tensor self, std::span<const Tensor> inputs, Tensor dy) = nullptr;
  bool differentiable = true;  // false: explicitly no gradient (comparisons, integers, floor)
  // The same value by simpler ops, built into the same graph.
  Tensor (*decompose)(Tensor self, std::span<const Tensor> inputs) = nullptr;
  // Elementwise only: GLSL expression with $0, $1... for operands, e.g. "($0 + $1)".
  // Operands are expressions of the arithmetic type of their dtype; `$t` is the GLSL type of the
  // result. Functions named ito_* come from glsl_helper (graph/kernels/glsl_lib.h).
  std::string_view glsl = {};
  // Relative cost of one elementwise evaluation: 1 for add, about 8 for exp.
  int cost = 1;
};

const OpDef& op_def(Op op);
// All rows, in enum order.
std::span<const OpDef> op_table();

}  // namespace ito
