// Leaves and elementwise functions of builder.h.
#include "graph/builder.h"

#include <fmt/format.h>

#include "graph/broadcast.h"
namespace ito {
namespace {

Tensor unary(Op op, Tensor x) { return x.graph().add(op, x.dtype(), x.shape(), std::span(&x, 1)); }

Tensor binary(Op op, Tensor a, Tensor b, bool gives_bool = false) {
  CHECK(a.dtype() == b.dtype(), fmt::format("{}: dtypes {} and {} differ", op_def(op).name,
                                            dtype_name(a.dtype()), dtype_name(b.dtype())));
  Shape shape = broadcast_shape(a.shape(), b.shape());
  const Tensor operands[] = {broadcast_to(a, shape), broadcast_to(b, shape)};
  return a.graph().add(op, gives_bool ? DType::kBool : a.dtype(), shape, operands);
}

Tensor like(Tensor x, double value) { return full(x.graph(), x.shape(), value, x.dtype()); }

}  // namespace

Tensor input(Graph& graph, std::string name, Shape shape, DType dtype) {
  return graph.add(Op::kInput, dtype, std::move(shape), {}, InputAttr{std::move(name), false});
}

Tensor parameter_input(Graph& graph, std::string name, Shape shape, DType dtype) {
  return graph.add(Op::kInput, dtype, std::move(shape), {}, InputAttr{std::move(name), true});
}

Tensor constant(Graph& graph, Shape shape, std::vector<double> data, DType dtype) {
  auto shared = std::make_shared<const std::vector<double>>(std::move(data));
  return graph.add(Op::kConstant, dtype, std::move(shape), {}, ConstantAttr{std::move(shared)});
}

Tensor full(Graph& graph, Shape shape, double value, DType dtype) {
  return graph.add(Op::kFull, dtype, std::move(shape), {}, FullAttr{value});
}

Tensor scalar(Graph& graph, double value, DType dtype) { return full(graph, {}, value, dtype); }

Tensor iota(Graph& graph, Shape shape, int axis, DType dtype) {
  int64_t positive = axis < 0 ? axis + shape.rank() : axis;
  return graph.add(Op::kIota, dtype, std::move(shape), {}, AxesAttr{{positive}});
}

Tensor neg(Tensor x) { return unary(Op::kNeg, x); }
Tensor abs(Tensor x) { return unary(Op::kAbs, x); }
Tensor sign(Tensor x) { return unary(Op::kSign, x); }
Tensor floor(Tensor x) { return unary(Op::kFloor, x); }
Tensor exp(Tensor x) { return unary(Op::kExp, x); }
Tensor log(Tensor x) { return unary(Op::kLog, x); }
Tensor sqrt(Tensor x) { return unary(Op::kSqrt, x); }
Tensor rsqrt(Tensor x) { return unary(Op::kRsqrt, x); }
Tensor reciprocal(Tensor x) { return unary(Op::kReciprocal, x); }
Tensor sin(Tensor x) { return unary(Op::kSin, x); }
Tensor cos(Tensor x) { return unary(Op::kCos, x); }
Tensor tanh(Tensor x) { return unary(Op::kTanh, x); }
Tensor sigmoid(Tensor x) { return unary(Op::kSigmoid, x); }
Tensor erf(Tensor x) { return unary(Op::kErf, x); }
Tensor logical_not(Tensor x) { return unary(Op::kNot, x); }
Tensor stop_gradient(Tensor x) { return unary(Op::kStopGradient, x); }

Tensor cast(Tensor x, DType dtype) {
  return x.graph().add(Op::kCast, dtype, x.shape(), std::span(&x, 1));
}

Tensor add(Tensor a, Tensor b) { return binary(Op::kAdd, a, b); }
Tensor sub(Tensor a, Tensor b) { return binary(Op::kSub, a, b); }
Tensor mul(Tensor a, Tensor b) { return binary(Op::kMul, a, b); }
Tensor div(Tensor a, Tensor b) { return binary(Op::kDiv, a, b); }
Tensor pow(Tensor a, Tensor b) { return binary(Op::kPow, a, b); }
Tensor maximum(Tensor a, Tensor b) { return binary(Op::kMax, a, b); }
Tensor minimum(Tensor a, Tensor b) { return binary(Op::kMin, a, b); }
Tensor rem(Tensor a, Tensor b) { return binary(Op::kRem, a, b); }
Tensor less(Tensor a, Tensor b) { return binary(Op::kLess, a, b, true); }
Tensor equal(Tensor a, Tensor b) { return binary(Op::kEqual, a, b, true); }
Tensor bit_and(Tensor a, Tensor b) { return binary(Op::kAnd, a, b); }
Tensor bit_or(Tensor a, Tensor b) { return binary(Op::kOr, a, b); }
Tensor bit_xor(Tensor a, Tensor b) { return binary(Op::kXor, a, b); }
Tensor shift_left(Tensor a, Tensor b) { return binary(Op::kShiftLeft, a, b); }
Tensor shift_right(Tensor a, Tensor b) { return binary(Op::kShiftRight, a, b); }

Tensor select(Tensor condition, Tensor a, Tensor b) {
  Shape shape = broadcast_shape(condition.shape(), broadcast_shape(a.shape(), b.shape()));
  const Tensor operands[] = {broadcast_to(condition, shape), broadcast_to(a, shape),
                             broadcast_to(b, shape)};
  return a.graph().add(Op::kSelect, a.dtype(), shape, operands);
}

Tensor operator+(Tensor a, double b) { return add(a, like(a, b)); }
Tensor operator+(double a, Tensor b) { return add(like(b, a), b); }
Tensor operator-(Tensor a, double b) { return sub(a, like(a, b)); }
Tensor operator-(double a, Tensor b) { return sub(like(b, a), b); }
Tensor operator*(Tensor a, double b) { return mul(a, like(a, b)); }
Tensor operator*(double a, Tensor b) { return mul(like(b, a), b); }
Tensor operator/(Tensor a, double b) { return div(a, like(a, b)); }
Tensor operator/(double a, Tensor b) { return div(like(b, a), b); }

Tensor square(Tensor x) { return x * x; }

// By selection, not maximum, so that the derivative at 0 is 0 (PyTorch's choice).
Tensor relu(Tensor x) {
  Tensor zero = like(x, 0);
  return select(bit_or(less(x, zero), equal(x, zero)), zero, x);  // a NaN is neither, and stays
}

Tensor silu(Tensor x) { return x * sigmoid(x); }

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), written with selections whose branches are smooth at
// 0, so that every derivative is right there too.
Tensor softplus(Tensor x) {
  Tensor negative = less(x, like(x, 0));
  Tensor tail = log(exp(select(negative, x, -x)) + 1.0);
  return select(negative, tail, x + tail);
}

Tensor gelu(Tensor x) { return x * 0.5 * (erf(x * 0.70710678118654752440) + 1.0); }

// Hendrycks and Gimpel 2016: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
Tensor gelu_tanh(Tensor x) {
  Tensor inner = (x + x * x * x * 0.044715) * 0.79788456080286535588;
  return x * 0.5 * (tanh(inner) + 1.0);
}

// The derivative is 1 on the bounds themselves (PyTorch's choice).
Tensor clamp(Tensor x, double low, double high) {
  Tensor l = like(x, low), h = like(x, high);
  return select(less(x, l), l, select(less(h, x), h, x));
}

}  // namespace ito
