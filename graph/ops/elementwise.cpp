// Elementwise ops: one row per function. Every operand has the result's shape (select and philox
// too); builders broadcast beforehand. GLSL rows may use `$t`, the GLSL type of the result, and
// functions named ito_*, whose text glsl_helper() (graph/kernels/glsl_lib.h) gives.
#include <cmath>
#include <numbers>

#include "graph/builder.h"
#include "graph/ops/families.h"
#include "graph/ops/integers.h"
#include "graph/ops/support.h"

namespace ito {
namespace {

// Which dtypes a row takes.
enum class Takes { kFloat, kNumber, kSigned, kInteger, kBits, kBool, kAny };
// The result's dtype.
enum class Gives { kSame, kBool, kNode };

bool takes(Takes rule, DType dtype) {
  bool integer = dtype == DType::kI32 || dtype == DType::kU32;
  switch (rule) {
    case Takes::kFloat:
      return is_float(dtype);
    case Takes::kNumber:
      return is_float(dtype) || integer;
    case Takes::kSigned:
      return is_float(dtype) || dtype == DType::kI32;
    case Takes::kInteger:
      return integer;
    case Takes::kBits:
      return integer || dtype == DType::kBool;
    case Takes::kBool:
      return dtype == DType::kBool;
    case Takes::kAny:
      return true;
  }
  return false;
}

template <Takes rule, Gives gives = Gives::kSame>
Result<Shape> infer_same(const Graph& graph, const Node& node) {
  const Node& first = operand(graph, node, 0);
  if (!takes(rule, first.dtype))
    return node_error(graph, node, "not defined for {}", dtype_name(first.dtype));
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    const Node& other = operand(graph, node, i);
    if (other.shape != first.shape || other.dtype != first.dtype)
      return node_error(graph, node, "operands must have one shape and dtype");
  }
  DType expected = gives == Gives::kSame   ? first.dtype
                   : gives == Gives::kBool ? DType::kBool
                                           : node.dtype;
  if (node.dtype != expected)
    return node_error(graph, node, "result must be {}, found {}", dtype_name(expected),
                      dtype_name(node.dtype));
  return first.shape;
}

Result<Shape> infer_select(const Graph& graph, const Node& node) {
  const Node& condition = operand(graph, node, 0);
  const Node& a = operand(graph, node, 1);
  const Node& b = operand(graph, node, 2);
  if (condition.dtype != DType::kBool || a.dtype != node.dtype || b.dtype != node.dtype)
    return node_error(graph, node, "expected (bool, {0}, {0})", dtype_name(node.dtype));
  if (a.shape != condition.shape || b.shape != condition.shape)
    return node_error(graph, node, "operands must have one shape");
  return a.shape;
}

// --- evaluation -------------------------------------------------------------------------------

template <typename Fn>
HostValue map_unary(const Node& node, std::span<const HostValue* const> in, Fn fn) {
  HostValue out{in[0]->shape, in[0]->data};
  for (double& v : out.data) v = fn(v);
  if (!is_float(node.dtype))
    for (double& v : out.data) v = wrap_to(node.dtype, static_cast<int64_t>(v));
  return out;
}

template <double (*fn)(double)>
HostValue eval_unary(const Node& node, std::span<const HostValue* const> in) {
  return map_unary(node, in, fn);
}

double negate(double x) { return -x; }
double sign_of(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }
double inverse_sqrt(double x) { return 1 / std::sqrt(x); }
double inverse(double x) { return 1 / x; }
double logistic(double x) {
  double e = std::exp(-std::fabs(x));
  return x < 0 ? e / (1 + e) : 1 / (1 + e);
}
double not_of(double x) { return x == 0 ? 1 : 0; }
double same(double x) { return x; }

HostValue eval_cast(const Node& node, std::span<const HostValue* const> in) {
  HostValue out{in[0]->shape, in[0]->data};
  for (double& v : out.data) v = convert_to(node.dtype, v);
  return out;
}

// Functions of two operands: in the reals, and on exact 32-bit integer values.
struct AddFn {
  static double real(double a, double b) { return a + b; }
  static int64_t integer(int64_t a, int64_t b) { return a + b; }
};
struct SubFn {
  static double real(double a, double b) { return a - b; }
  static int64_t integer(int64_t a, int64_t b) { return a - b; }
};
struct MulFn {
  static double real(double a, double b) { return a * b; }
  static int64_t integer(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  }
};
struct DivFn {
  static double real(double a, double b) { return a / b; }
  static int64_t integer(int64_t a, int64_t b) { return b == 0 ? 0 : a / b; }
};
struct PowFn {
  static double real(double a, double b) { return std::pow(a, b); }
  static int64_t integer(int64_t a, int64_t) { return a; }  // infer admits floats only
};
struct MaxFn {  // of floats: a NaN in either place is the result, as in PyTorch
  static double real(double a, double b) { return a < b || std::isnan(b) ? b : a; }
  static int64_t integer(int64_t a, int64_t b) { return a < b ? b : a; }
};
struct MinFn {
  static double real(double a, double b) { return b < a || std::isnan(b) ? b : a; }
  static int64_t integer(int64_t a, int64_t b) { return b < a ? b : a; }
};
struct RemFn {
  static double real(double a, double b) { return a - b * std::floor(a / b); }
  static int64_t integer(int64_t a, int64_t b) { return b == 0 ? 0 : a % b; }
};
struct AndFn {
  static double real(double a, double b) { return double(integer(int64_t(a), int64_t(b))); }
  static int64_t integer(int64_t a, int64_t b) { return a & b; }
};
struct OrFn {
  static double real(double a, double b) { return double(integer(int64_t(a), int64_t(b))); }
  static int64_t integer(int64_t a, int64_t b) { return a | b; }
};
struct XorFn {
  static double real(double a, double b) { return double(integer(int64_t(a), int64_t(b))); }
  static int64_t integer(int64_t a, int64_t b) { return a ^ b; }
};
struct ShiftLeftFn {
  static double real(double a, double b) { return double(integer(int64_t(a), int64_t(b))); }
  static int64_t integer(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) << (b & 31));
  }
};
struct ShiftRightFn {
  static double real(double a, double b) { return double(integer(int64_t(a), int64_t(b))); }
  static int64_t integer(int64_t a, int64_t b) { return a >> (b & 31); }
};

template <typename Fn>
HostValue eval_binary(const Node& node, std::span<const HostValue* const> in) {
  HostValue out{in[0]->shape, in[0]->data};
  const std::vector<double>& b = in[1]->data;
  bool real = is_float(node.dtype);
  for (size_t i = 0; i < b.size(); ++i) {
    double& v = out.data[i];
    v = real
            ? Fn::real(v, b[i])
            : wrap_to(node.dtype, Fn::integer(static_cast<int64_t>(v), static_cast<int64_t>(b[i])));
  }
  return out;
}

template <typename Compare>
HostValue compare_values(std::span<const HostValue* const> in, Compare compare) {
  HostValue out{in[0]->shape, in[0]->data};
  for (size_t i = 0; i < out.data.size(); ++i)
    out.data[i] = compare(out.data[i], in[1]->data[i]) ? 1 : 0;
  return out;
}

HostValue eval_less(const Node&, std::span<const HostValue* const> in) {
  return compare_values(in, [](double a, double b) { return a < b; });
}

HostValue eval_equal(const Node&, std::span<const HostValue* const> in) {
  return compare_values(in, [](double a, double b) { return a == b; });
}

HostValue eval_select(const Node&, std::span<const HostValue* const> in) {
  HostValue out{in[1]->shape, in[1]->data};
  for (size_t i = 0; i < out.data.size(); ++i)
    if (in[0]->data[i] == 0) out.data[i] = in[2]->data[i];
  return out;
}

// --- gradients --------------------------------------------------------------------------------

using Inputs = std::span<const Tensor>;
using Grads = std::vector<Tensor>;

Grads grad_neg(Tensor, Inputs, Tensor dy) { return {-dy}; }
Grads grad_abs(Tensor, Inputs x, Tensor dy) { return {dy * sign(x[0])}; }
Grads grad_exp(Tensor y, Inputs, Tensor dy) { return {dy * y}; }
Grads grad_log(Tensor, Inputs x, Tensor dy) { return {dy / x[0]}; }
Grads grad_sqrt(Tensor y, Inputs, Tensor dy) { return {dy * 0.5 / y}; }
Grads grad_rsqrt(Tensor y, Inputs, Tensor dy) { return {dy * (y * y * y) * -0.5}; }
Grads grad_reciprocal(Tensor y, Inputs, Tensor dy) { return {-(dy * (y * y))}; }
Grads grad_sin(Tensor, Inputs x, Tensor dy) { return {dy * cos(x[0])}; }
Grads grad_cos(Tensor, Inputs x, Tensor dy) { return {-(dy * sin(x[0]))}; }
Grads grad_tanh(Tensor y, Inputs, Tensor dy) { return {dy * (1.0 - y * y)}; }
Grads grad_sigmoid(Tensor y, Inputs, Tensor dy) { return {dy * (y * (1.0 - y))}; }

// 2 / sqrt(pi) exp(-x^2)
Grads grad_erf(Tensor, Inputs x, Tensor dy) {
  return {dy * (exp(-square(x[0])) * (2 / std::sqrt(std::numbers::pi)))};
}

Grads grad_cast(Tensor, Inputs x, Tensor dy) {
  if (!is_float(x[0].dtype()) || !is_float(dy.dtype())) return {Tensor()};
  return {cast(dy, x[0].dtype())};
}

Grads grad_add(Tensor, Inputs, Tensor dy) { return {dy, dy}; }
Grads grad_sub(Tensor, Inputs, Tensor dy) { return {dy, -dy}; }
Grads grad_mul(Tensor, Inputs x, Tensor dy) { return {dy * x[1], dy * x[0]}; }

Grads grad_div(Tensor y, Inputs x, Tensor dy) {
  Tensor da = dy / x[1];
  return {da, -(da * y)};
}

// d(a^b)/db = a^b log(a), taken as 0 where a <= 0 (the limit for a = 0, b > 0).
Grads grad_pow(Tensor y, Inputs x, Tensor dy) {
  Tensor positive = less(full(x[0].graph(), x[0].shape(), 0, x[0].dtype()), x[0]);
  Tensor one = full(x[0].graph(), x[0].shape(), 1, x[0].dtype());
  return {dy * (x[1] * pow(x[0], x[1] - 1.0)), dy * (y * log(select(positive, x[0], one)))};
}

// Ties share evenly.
Grads share_by_order(Tensor first_wins, Tensor tie, Tensor dy) {
  Tensor zero = full(dy.graph(), dy.shape(), 0, dy.dtype());
  Tensor da = select(tie, dy * 0.5, select(first_wins, dy, zero));
  Tensor db = select(tie, dy * 0.5, select(first_wins, zero, dy));
  return {da, db};
}

Grads grad_max(Tensor, Inputs x, Tensor dy) {
  return share_by_order(less(x[1], x[0]), equal(x[0], x[1]), dy);
}

Grads grad_min(Tensor, Inputs x, Tensor dy) {
  return share_by_order(less(x[0], x[1]), equal(x[0], x[1]), dy);
}

Grads grad_rem(Tensor, Inputs x, Tensor dy) { return {dy, -(dy * floor(x[0] / x[1]))}; }

Grads grad_select(Tensor, Inputs x, Tensor dy) {
  Tensor zero = full(dy.graph(), dy.shape(), 0, dy.dtype());
  return {Tensor(), select(x[0], dy, zero), select(x[0], zero, dy)};
}

// --- rows -------------------------------------------------------------------------------------

using Infer = decltype(OpDef::infer);
using Eval = decltype(OpDef::eval);
using Grad = decltype(OpDef::grad);

// A row; without a gradient the op is explicitly not differentiable.
constexpr OpDef row(Op op, std::string_view name, int arity, Infer infer, Eval eval, Grad grad,
                    std::string_view glsl, int cost) {
  OpDef def;
  def.op = op;
  def.name = name;
  def.op_class = OpClass::kElementwise;
  def.arity = arity;
  def.infer = infer;
  def.eval = eval;
  def.grad = grad;
  def.differentiable = grad != nullptr;
  def.glsl = glsl;
  def.cost = cost;
  return def;
}

constexpr Infer kFloats = infer_same<Takes::kFloat>;
constexpr Infer kNumbers = infer_same<Takes::kNumber>;
constexpr Infer kSigned = infer_same<Takes::kSigned>;
constexpr Infer kIntegers = infer_same<Takes::kInteger>;
constexpr Infer kBits = infer_same<Takes::kBits>;
constexpr Infer kBools = infer_same<Takes::kBool>;
constexpr Infer kAny = infer_same<Takes::kAny>;
constexpr Infer kAnyToNode = infer_same<Takes::kAny, Gives::kNode>;
constexpr Infer kNumbersToBool = infer_same<Takes::kNumber, Gives::kBool>;
constexpr Infer kAnyToBool = infer_same<Takes::kAny, Gives::kBool>;

constexpr OpDef kElementwiseOps[] = {
    row(Op::kNeg, "neg", 1, kNumbers, eval_unary<negate>, grad_neg, "(-$0)", 1),
    row(Op::kAbs, "abs", 1, kSigned, eval_unary<std::fabs>, grad_abs, "abs($0)", 1),
    row(Op::kSign, "sign", 1, kSigned, eval_unary<sign_of>, nullptr, "sign($0)", 1),
    row(Op::kFloor, "floor", 1, kFloats, eval_unary<std::floor>, nullptr, "floor($0)", 1),
    row(Op::kExp, "exp", 1, kFloats, eval_unary<std::exp>, grad_exp, "exp($0)", 8),
    row(Op::kLog, "log", 1, kFloats, eval_unary<std::log>, grad_log, "log($0)", 8),
    row(Op::kSqrt, "sqrt", 1, kFloats, eval_unary<std::sqrt>, grad_sqrt, "sqrt($0)", 4),
    row(Op::kRsqrt, "rsqrt", 1, kFloats, eval_unary<inverse_sqrt>, grad_rsqrt, "inversesqrt($0)",
        4),
    row(Op::kReciprocal, "reciprocal", 1, kFloats, eval_unary<inverse>, grad_reciprocal,
        "(1.0 / $0)", 4),
    row(Op::kSin, "sin", 1, kFloats, eval_unary<std::sin>, grad_sin, "ito_sin($0)", 16),
    row(Op::kCos, "cos", 1, kFloats, eval_unary<std::cos>, grad_cos, "ito_cos($0)", 16),
    row(Op::kTanh, "tanh", 1, kFloats, eval_unary<std::tanh>, grad_tanh, "ito_tanh($0)", 12),
    row(Op::kSigmoid, "sigmoid", 1, kFloats, eval_unary<logistic>, grad_sigmoid, "ito_sigmoid($0)",
        12),
    row(Op::kErf, "erf", 1, kFloats, eval_unary<std::erf>, grad_erf, "ito_erf($0)", 16),
    row(Op::kNot, "not", 1, kBools, eval_unary<not_of>, nullptr, "(!$0)", 1),
    row(Op::kCast, "cast", 1, kAnyToNode, eval_cast, grad_cast, "$t($0)", 1),
    row(Op::kStopGradient, "stop_gradient", 1, kAny, eval_unary<same>, nullptr, "$0", 0),
    row(Op::kAdd, "add", 2, kNumbers, eval_binary<AddFn>, grad_add, "($0 + $1)", 1),
    row(Op::kSub, "sub", 2, kNumbers, eval_binary<SubFn>, grad_sub, "($0 - $1)", 1),
    row(Op::kMul, "mul", 2, kNumbers, eval_binary<MulFn>, grad_mul, "($0 * $1)", 1),
    row(Op::kDiv, "div", 2, kNumbers, eval_binary<DivFn>, grad_div, "($0 / $1)", 4),
    row(Op::kPow, "pow", 2, kFloats, eval_binary<PowFn>, grad_pow, "ito_pow($0, $1)", 24),
    row(Op::kMax, "max", 2, kNumbers, eval_binary<MaxFn>, grad_max, "ito_max($0, $1)", 2),
    row(Op::kMin, "min", 2, kNumbers, eval_binary<MinFn>, grad_min, "ito_min($0, $1)", 2),
    row(Op::kRem, "rem", 2, kNumbers, eval_binary<RemFn>, grad_rem, "ito_rem($0, $1)", 6),
    row(Op::kLess, "less", 2, kNumbersToBool, eval_less, nullptr, "($0 < $1)", 1),
    row(Op::kEqual, "equal", 2, kAnyToBool, eval_equal, nullptr, "($0 == $1)", 1),
    row(Op::kAnd, "and", 2, kBits, eval_binary<AndFn>, nullptr, "ito_and($0, $1)", 1),
    row(Op::kOr, "or", 2, kBits, eval_binary<OrFn>, nullptr, "ito_or($0, $1)", 1),
    row(Op::kXor, "xor", 2, kBits, eval_binary<XorFn>, nullptr, "ito_xor($0, $1)", 1),
    row(Op::kShiftLeft, "shift_left", 2, kIntegers, eval_binary<ShiftLeftFn>, nullptr, "($0 << $1)",
        1),
    row(Op::kShiftRight, "shift_right", 2, kIntegers, eval_binary<ShiftRightFn>, nullptr,
        "($0 >> $1)", 1),
    row(Op::kSelect, "select", 3, infer_select, eval_select, grad_select, "($0 ? $1 : $2)", 1),
};

}  // namespace

std::span<const OpDef> elementwise_ops() { return kElementwiseOps; }

}  // namespace ito
