// Golden family ops: a case names an operation; its row in the table below builds the same with the
// builder, and y and every d_<input> = grad(sum(y * dy)) come from one program.
#include <array>
#include <cmath>
#include <functional>
#include <map>

#include "base/error.h"
#include "graph/builder.h"
#include "tests/golden_runner/families.h"
#include "tests/golden_runner/op_case.h"
#include "tests/golden_runner/program_run.h"

namespace ito::golden {
namespace {

using Build = std::function<Result<Edged>(OpCase&)>;

Error misfit(const char* what, Tensor a, Tensor b) {
  return corrupt("{}: shapes {} and {} do not fit", what, a.shape().to_string(),
                 b.shape().to_string());
}

// An attribute that may be one number or one per axis (vertical, horizontal).
Result<std::array<int64_t, 2>> pair_or(const Json& attrs, const std::string& key,
                                       int64_t fallback) {
  if (attrs.contains(key) && attrs.at(key).is_array()) {
    ITO_ASSIGN(const std::vector<int64_t> numbers, integers(attrs, key));
    if (numbers.size() != 2) return corrupt("key '{}': expected two integers", key);
    return std::array<int64_t, 2>{numbers[0], numbers[1]};
  }
  ITO_ASSIGN(const int64_t both, integer_or(attrs, key, fallback));
  return std::array<int64_t, 2>{both, both};
}

// An axis in [-rank, rank).
Status check_axis(int64_t axis, Tensor x) {
  if (axis < -x.rank() || axis >= x.rank())
    return corrupt("axis {} of a tensor of rank {}", axis, x.rank());
  return {};
}

Build unary(Tensor (*function)(Tensor)) {
  return [function](OpCase& op) -> Result<Edged> {
    ITO_ASSIGN(const Tensor x, op.input("x"));
    return Edged{function(x)};
  };
}

Build binary(Tensor (*function)(Tensor, Tensor)) {
  return [function](OpCase& op) -> Result<Edged> {
    ITO_ASSIGN(const Tensor a, op.input("a"));
    ITO_ASSIGN(const Tensor b, op.input("b"));
    for (int i = 1; i <= std::min(a.rank(), b.rank()); ++i)
      if (a.dim(-i) != b.dim(-i) && a.dim(-i) != 1 && b.dim(-i) != 1)
        return misfit("broadcasting", a, b);
    return Edged{function(a, b)};
  };
}

using Reduction = Tensor (*)(Tensor, std::vector<int64_t>, bool);

struct ReductionAttrs {
  std::vector<int64_t> axes;
  bool keepdim = false;
};

Result<ReductionAttrs> reduction_attrs(const OpCase& op, Tensor x) {
  ReductionAttrs attrs;
  if (op.attrs().contains("axes")) {
    ITO_ASSIGN(attrs.axes, integers(op.attrs(), "axes"));
  } else {
    ITO_ASSIGN(const int64_t axis, integer_or(op.attrs(), "axis", -1));
    attrs.axes = {axis};
  }
  for (int64_t axis : attrs.axes) ITO_TRY(check_axis(axis, x));
  ITO_ASSIGN(attrs.keepdim, boolean_or(op.attrs(), "keepdim", false));
  return attrs;
}

Build reduction(Reduction function) {
  return [function](OpCase& op) -> Result<Edged> {
    ITO_ASSIGN(const Tensor x, op.input("x"));
    ITO_ASSIGN(const ReductionAttrs attrs, reduction_attrs(op, x));
    return Edged{function(x, attrs.axes, attrs.keepdim)};
  };
}

Result<Edged> build_var(OpCase& op) {
  ITO_ASSIGN(const Tensor x, op.input("x"));
  ITO_ASSIGN(const ReductionAttrs attrs, reduction_attrs(op, x));
  ITO_ASSIGN(const int64_t correction, integer_or(op.attrs(), "correction", 1));
  return Edged{var(x, attrs.axes, static_cast<int>(correction), attrs.keepdim)};
}

Result<Edged> build_softmax(OpCase& op) {
  ITO_ASSIGN(const Tensor x, op.input("x"));
  ITO_ASSIGN(const int64_t axis, integer_or(op.attrs(), "axis", -1));
  ITO_TRY(check_axis(axis, x));
  const int place = static_cast<int>(axis < 0 ? axis + x.rank() : axis), last = x.rank() - 1;
  if (place == last) return Edged{softmax(x)};
  return Edged{transpose(softmax(transpose(x, place, last)), place, last)};
}

Result<Edged> build_matmul(OpCase& op) {
  ITO_ASSIGN(const Tensor a, op.input("a"));
  ITO_ASSIGN(const Tensor b, op.input("b"));
  ITO_ASSIGN(const bool ta, boolean_or(op.attrs(), "ta", false));
  ITO_ASSIGN(const bool tb, boolean_or(op.attrs(), "tb", false));
  if (a.rank() < 2 || b.rank() < 2 || a.dim(ta ? -2 : -1) != b.dim(tb ? -1 : -2))
    return misfit("matmul", a, b);
  for (int i = 3; i <= std::min(a.rank(), b.rank()); ++i)
    if (a.dim(-i) != b.dim(-i) && a.dim(-i) != 1 && b.dim(-i) != 1) return misfit("matmul", a, b);
  return Edged{matmul(a, b, ta, tb)};
}

Result<Edged> build_linear(OpCase& op) {
  ITO_ASSIGN(const Tensor x, op.input("x"));
  ITO_ASSIGN(const Tensor w, op.input("w", Edge::kMatrix));
  ITO_ASSIGN(const Tensor b, op.optional_input("b"));
  if (x.rank() < 1 || x.dim(-1) != w.dim(0)) return misfit("linear", x, w);
  return Edged{linear(x, w, b)};
}

Result<Edged> build_embedding(OpCase& op) {
  ITO_ASSIGN(const Tensor ids, op.input("ids", Edge::kPlain, Holds::kIntegers));
  ITO_ASSIGN(const Tensor w, op.input("w"));
  if (w.rank() != 2) return misfit("embedding", ids, w);
  Shape shape = ids.shape();
  std::vector<int64_t> dims = shape.dims();
  dims.push_back(w.dim(1));
  return Edged{reshape(gather(w, reshape(ids, {-1})), Shape(std::move(dims)))};
}

// [left, right, top, bottom] → ours: top, bottom, left, right.
Result<std::array<int64_t, 4>> read_pads(const Json& attrs) {
  if (!attrs.contains("pad_lrtb")) return std::array<int64_t, 4>{0, 0, 0, 0};
  ITO_ASSIGN(const std::vector<int64_t> pads, integers(attrs, "pad_lrtb"));
  if (pads.size() != 4) return corrupt("key 'pad_lrtb': expected four integers");
  return std::array<int64_t, 4>{pads[2], pads[3], pads[0], pads[1]};
}

Result<Edged> with_bias(OpCase& op, Tensor y) {
  ITO_ASSIGN(const Tensor b, op.optional_input("b"));
  if (b && (b.rank() != 1 || b.dim(0) != y.dim(-1))) return misfit("bias", b, y);
  return Edged{b ? y + b : y, Edge::kChannelsLast};
}

Result<Edged> build_conv2d(OpCase& op) {
  ITO_ASSIGN(const Tensor x, op.image("x"));
  ITO_ASSIGN(const Tensor w, op.input("w", Edge::kConvolution));
  ConvAttr attr;
  ITO_ASSIGN(attr.stride, pair_or(op.attrs(), "stride", 1));
  ITO_ASSIGN(attr.dilation, pair_or(op.attrs(), "dilation", 1));
  ITO_ASSIGN(attr.groups, integer_or(op.attrs(), "groups", 1));
  ITO_ASSIGN(attr.pad, read_pads(op.attrs()));
  if (attr.groups < 1 || x.dim(3) != w.dim(2) * attr.groups || w.dim(3) % attr.groups != 0)
    return misfit("conv2d", x, w);
  for (size_t i = 0; i < 2; ++i)
    if (x.dim(static_cast<int>(i) + 1) + attr.pad[2 * i] + attr.pad[2 * i + 1] <=
        (w.dim(static_cast<int>(i)) - 1) * attr.dilation[i])
      return misfit("conv2d", x, w);
  return with_bias(op, conv2d(x, w, attr));
}

// PyTorch's transposed convolution is the gradient of a convolution with respect to its input.
Result<Edged> build_conv_transpose2d(OpCase& op) {
  ITO_ASSIGN(const Tensor x, op.image("x"));
  ITO_ASSIGN(const Tensor w, op.input("w", Edge::kConvolution));  // [kh, kw, out/groups, in]
  ConvAttr attr;
  ITO_ASSIGN(attr.stride, pair_or(op.attrs(), "stride", 1));
  ITO_ASSIGN(attr.dilation, pair_or(op.attrs(), "dilation", 1));
  ITO_ASSIGN(attr.groups, integer_or(op.attrs(), "groups", 1));
  ITO_ASSIGN(const auto padding, pair_or(op.attrs(), "padding", 0));
  ITO_ASSIGN(const auto output_padding, pair_or(op.attrs(), "output_padding", 0));
  if (x.dim(3) != w.dim(3)) return misfit("conv_transpose2d", x, w);
  Shape shape = {x.dim(0), 0, 0, w.dim(2) * attr.groups};
  for (size_t i = 0; i < 2; ++i) {
    const int axis = static_cast<int>(i);
    attr.pad[2 * i] = attr.pad[2 * i + 1] = padding[i];
    shape[axis + 1] = (x.dim(axis + 1) - 1) * attr.stride[i] - 2 * padding[i] +
                      attr.dilation[i] * (w.dim(axis) - 1) + output_padding[i] + 1;
    if (shape[axis + 1] < 1 || output_padding[i] >= std::max(attr.stride[i], attr.dilation[i]))
      return misfit("conv_transpose2d", x, w);
  }
  return with_bias(op, conv2d_grad_input(x, w, shape, attr));
}

Result<Edged> build_group_norm(OpCase& op) {
  ITO_ASSIGN(const Tensor x, op.input("x", Edge::kChannelsLast));
  ITO_ASSIGN(const Tensor w, op.input("w"));
  ITO_ASSIGN(const Tensor b, op.input("b"));
  ITO_ASSIGN(const int64_t groups, integer(op.attrs(), "groups"));
  ITO_ASSIGN(const double eps, number_or(op.attrs(), "eps", 1e-5));
  if (x.rank() < 2 || groups < 1 || x.dim(-1) % groups != 0 || w.shape() != Shape{x.dim(-1)} ||
      b.shape() != w.shape())
    return misfit("group_norm", x, w);
  return Edged{group_norm(x, w, b, groups, eps), Edge::kChannelsLast};
}

Result<Edged> build_layer_norm(OpCase& op) {
  ITO_ASSIGN(const Tensor x, op.input("x"));
  ITO_ASSIGN(const Tensor w, op.input("w"));
  ITO_ASSIGN(const Tensor b, op.input("b"));
  ITO_ASSIGN(const double eps, number_or(op.attrs(), "eps", 1e-5));
  if (x.rank() < 1 || w.shape() != Shape{x.dim(-1)} || b.shape() != w.shape())
    return misfit("layer_norm", x, w);
  return Edged{layer_norm(x, w, b, eps)};
}

Result<Edged> build_attention(OpCase& op) {
  ITO_ASSIGN(const Tensor q, op.input("q"));
  ITO_ASSIGN(const Tensor k, op.input("k"));
  ITO_ASSIGN(const Tensor v, op.input("v"));
  ITO_ASSIGN(const int64_t heads, integer(op.attrs(), "heads"));
  if (q.rank() != 3 || k.rank() != 3 || heads < 1 || q.dim(2) % heads != 0 ||
      q.dim(0) != k.dim(0) || q.dim(2) != k.dim(2) || v.shape() != k.shape())
    return misfit("attention", q, k);
  ITO_ASSIGN(const int64_t head_dim, integer_or(op.attrs(), "head_dim", q.dim(2) / heads));
  if (head_dim * heads != q.dim(2)) return corrupt("attention: heads * head_dim is not the width");
  const double scale = 1 / std::sqrt(static_cast<double>(head_dim));
  return Edged{attention(q, k, v, heads, scale)};
}

Build resampling(Tensor (*function)(Tensor)) {
  return [function](OpCase& op) -> Result<Edged> {
    ITO_ASSIGN(const Tensor x, op.image("x"));
    return Edged{function(x), Edge::kChannelsLast};
  };
}

Result<Edged> build_upsample_bilinear(OpCase& op) {
  ITO_ASSIGN(const Tensor x, op.image("x"));
  ITO_ASSIGN(const bool corners, boolean_or(op.attrs(), "align_corners", false));
  if (corners) return unsupported("upsample_bilinear with align_corners");
  ITO_ASSIGN(const std::vector<int64_t> size, integers(op.attrs(), "size"));
  if (size.size() != 2 || size[0] < 1 || size[1] < 1)
    return corrupt("key 'size': expected two positive integers");
  return Edged{upsample_bilinear(x, size[0], size[1]), Edge::kChannelsLast};
}

Status check_fir_kernel(const OpCase& op) {
  if (!op.attrs().contains("kernel")) return {};
  ITO_ASSIGN(const std::vector<int64_t> kernel, integers(op.attrs(), "kernel"));
  if (kernel != std::vector<int64_t>{1, 3, 3, 1})
    return unsupported("a FIR kernel other than [1,3,3,1]");
  return {};
}

Build fir(Tensor (*function)(Tensor)) {
  return [function](OpCase& op) -> Result<Edged> {
    ITO_TRY(check_fir_kernel(op));
    ITO_ASSIGN(const Tensor x, op.image("x"));
    return Edged{function(x), Edge::kChannelsLast};
  };
}

Build fir_conv(Tensor (*function)(Tensor, Tensor)) {
  return [function](OpCase& op) -> Result<Edged> {
    ITO_TRY(check_fir_kernel(op));
    ITO_ASSIGN(const Tensor x, op.image("x"));
    ITO_ASSIGN(const Tensor w, op.input("w", Edge::kConvolution));
    if (w.dim(0) != 3 || w.dim(1) != 3 || w.dim(2) != x.dim(3)) return misfit("fir conv", x, w);
    return with_bias(op, function(x, w));
  };
}

Result<Edged> build_pad(OpCase& op) {
  ITO_ASSIGN(const Tensor x, op.image("x"));
  ITO_ASSIGN(const auto pads, read_pads(op.attrs()));
  ITO_ASSIGN(const double value, number_or(op.attrs(), "value", 0));
  if (*std::min_element(pads.begin(), pads.end()) < 0) return unsupported("negative padding");
  return Edged{pad(x, {0, pads[0], pads[2], 0}, {0, pads[1], pads[3], 0}, value),
               Edge::kChannelsLast};
}

Result<Edged> build_slice(OpCase& op) {
  ITO_ASSIGN(const Tensor x, op.input("x"));
  ITO_ASSIGN(const std::vector<int64_t> start, integers(op.attrs(), "start"));
  ITO_ASSIGN(const std::vector<int64_t> stop, integers(op.attrs(), "stop"));
  std::vector<int64_t> step(start.size(), 1);
  if (op.attrs().contains("step")) {
    ITO_ASSIGN(step, integers(op.attrs(), "step"));
  }
  const size_t rank = static_cast<size_t>(x.rank());
  if (start.size() != rank || stop.size() != rank || step.size() != rank)
    return corrupt("slice: expected {} numbers in start, stop and step", rank);
  for (size_t i = 0; i < rank; ++i)
    if (step[i] == 0 || start[i] < 0 || start[i] >= x.dim(static_cast<int>(i)) ||
        stop[i] > x.dim(static_cast<int>(i)))
      return corrupt("slice: start, stop or step of axis {} is out of range", i);
  return Edged{slice(x, start, stop, step)};
}

// Operands a, b, c, ... as many as there are.
Result<Edged> build_concat(OpCase& op) {
  std::vector<Tensor> parts;
  for (char name = 'a'; name <= 'z' && op.has(std::string(1, name)); ++name) {
    ITO_ASSIGN(const Tensor part, op.input(std::string(1, name)));
    parts.push_back(part);
  }
  if (parts.empty()) return corrupt("concat: tensor 'a' is missing");
  ITO_ASSIGN(const int64_t axis, integer(op.attrs(), "axis"));
  ITO_TRY(check_axis(axis, parts[0]));
  for (Tensor part : parts) {
    Shape a = parts[0].shape(), b = part.shape();
    if (a.rank() == b.rank()) a[static_cast<int>(axis)] = b[static_cast<int>(axis)] = 0;
    if (a != b) return misfit("concat", parts[0], part);
  }
  return Edged{concat(parts, static_cast<int>(axis))};
}

Result<Edged> build_timestep_embedding(OpCase& op) {
  ITO_ASSIGN(const Tensor t, op.input("t", Edge::kPlain, Holds::kNumbers));
  ITO_ASSIGN(const int64_t dim, integer(op.attrs(), "dim"));
  ITO_ASSIGN(const bool flip, boolean_or(op.attrs(), "flip_sin_to_cos", false));
  ITO_ASSIGN(const double shift, number_or(op.attrs(), "freq_shift", 1));
  ITO_ASSIGN(const double scale, number_or(op.attrs(), "scale", 1));
  ITO_ASSIGN(const double max_period, number_or(op.attrs(), "max_period", 10000));
  if (t.rank() != 1 || dim < 2) return corrupt("timestep_embedding: t must be [n], dim 2 or more");
  return Edged{timestep_embedding(t, dim, flip, shift, scale, max_period)};
}

Result<Edged> build_fourier_features(OpCase& op) {
  ITO_ASSIGN(const Tensor t, op.input("t", Edge::kPlain, Holds::kNumbers));
  ITO_ASSIGN(const Tensor w, op.input("w"));
  ITO_ASSIGN(const bool log_input, boolean_or(op.attrs(), "log", true));
  ITO_ASSIGN(const bool flip, boolean_or(op.attrs(), "flip_sin_to_cos", false));
  if (t.rank() != 1 || w.rank() != 1) return misfit("fourier_features", t, w);
  return Edged{fourier_features(t, w, log_input, flip)};
}

const std::map<std::string, Build>& builds() {
  static const std::map<std::string, Build> table = {
      {"exp", unary(exp)},
      {"log", unary(log)},
      {"sqrt", unary(sqrt)},
      {"rsqrt", unary(rsqrt)},
      {"reciprocal", unary(reciprocal)},
      {"neg", unary(neg)},
      {"abs", unary(abs)},
      {"square", unary(square)},
      {"sin", unary(sin)},
      {"cos", unary(cos)},
      {"tanh", unary(tanh)},
      {"sigmoid", unary(sigmoid)},
      {"erf", unary(erf)},
      {"silu", unary(silu)},
      {"relu", unary(relu)},
      {"softplus", unary(softplus)},
      {"gelu_erf", unary(gelu)},
      {"gelu_tanh", unary(gelu_tanh)},
      {"add", binary(add)},
      {"sub", binary(sub)},
      {"mul", binary(mul)},
      {"div", binary(div)},
      {"pow", binary(pow)},
      {"maximum", binary(maximum)},
      {"minimum", binary(minimum)},
      {"sum", reduction(sum)},
      {"mean", reduction(mean)},
      {"max", reduction(max)},
      {"logsumexp", reduction(logsumexp)},
      {"var", build_var},
      {"softmax", build_softmax},
      {"matmul", build_matmul},
      {"linear", build_linear},
      {"embedding", build_embedding},
      {"conv2d", build_conv2d},
      {"conv_transpose2d", build_conv_transpose2d},
      {"group_norm", build_group_norm},
      {"layer_norm", build_layer_norm},
      {"attention", build_attention},
      {"avgpool2", resampling(avg_pool2)},
      {"upsample_nearest2x", resampling(upsample_nearest2x)},
      {"upsample_bilinear", build_upsample_bilinear},
      {"fir_up", fir(fir_up2)},
      {"fir_down", fir(fir_down2)},
      {"fir_up_conv", fir_conv(fir_up2_conv)},
      {"fir_down_conv", fir_conv(fir_down2_conv)},
      {"pad", build_pad},
      {"slice", build_slice},
      {"concat", build_concat},
      {"timestep_embedding", build_timestep_embedding},
      {"fourier_features", build_fourier_features},
  };
  return table;
}

// The README's row "ops": the limit of one tensor.
Result<double> limit_of(const Case& golden, const std::string& op, const std::string& tensor) {
  ITO_ASSIGN(const double floor, noise_floor(golden, tensor));
  double limit = std::max(1e-5, 5 * floor);
  if (op == "fourier_features") limit = 2e-4;
  // Gradients of sigmoid and tanh are differences of nearly equal numbers where they saturate.
  if ((op == "sigmoid" || op == "tanh") && tensor.starts_with("d_")) {
    ITO_ASSIGN(const Array x, golden.array("x"));
    if (largest_magnitude(x.data) > 8) limit = 2e-4;
  }
  return limit;
}

}  // namespace

Result<Outcome> run_op(vk::Device& device, const Case& golden) {
  ITO_ASSIGN(const std::string op, text(golden.json, "op"));
  const auto build = builds().find(op);
  if (build == builds().end()) return unsupported("unknown operation '{}'", op);

  OpCase building(golden);
  ITO_TRY(building.read_attrs());
  ITO_ASSIGN(const Edged y, build->second(building));
  ITO_ASSIGN(const Array expected_y, golden.array("y"));
  ITO_ASSIGN(const std::vector<int> y_order, order_of(y.edge, expected_y.shape.rank()));
  const Shape y_shape = permuted(expected_y, y_order).shape;
  if (y.tensor.shape() != y_shape)
    return corrupt("y has shape {} in the file, but the operation gives {} (channels last)",
                   y_shape.to_string(), y.tensor.shape().to_string());

  // With an upstream gradient there is one of every input that is no index.
  std::vector<std::string> names;
  std::vector<Tensor> wrt;
  if (golden.has("dy")) {
    for (const auto& [name, operand] : building.inputs) {
      if (!is_float(operand.tensor.dtype())) continue;
      names.push_back(name);
      wrt.push_back(operand.tensor);
    }
  }
  for (const std::string& tensor : golden.tensor_names())
    if (tensor.starts_with("d_") &&
        std::find(names.begin(), names.end(), tensor.substr(2)) == names.end())
      return corrupt("{} is the gradient of no input, or dy is missing", tensor);
  building.program.output("y", y.tensor);
  if (!wrt.empty()) {
    ITO_ASSIGN(const Tensor dy, building.input("dy", y.edge));
    if (dy.shape() != y_shape) return corrupt("dy has not the shape of y");
    const std::vector<Tensor> gradients = grad(sum_all(y.tensor * dy), wrt);
    for (size_t i = 0; i < names.size(); ++i)
      building.program.output("d_" + names[i], gradients[i]);
  }

  ITO_ASSIGN(const HostValues results, run_on_device(device, building.program, building.values));
  Comparison comparison;
  auto compare = [&](const std::string& tensor, Edge edge) -> Status {
    ITO_ASSIGN(const Array expected, golden.array(tensor));
    const HostValue& value = result_of(results, tensor);
    ITO_ASSIGN(const std::vector<int> order, order_of(edge, value.shape.rank()));
    const Array actual = to_array(value, order);
    if (op == "timestep_embedding") {
      comparison.absolute(tensor, actual, expected, 1e-4);
      return {};
    }
    ITO_ASSIGN(const double limit, limit_of(golden, op, tensor));
    comparison.relative(tensor, actual, expected, limit);
    return {};
  };
  ITO_TRY(compare("y", y.edge));
  for (const std::string& name : names) ITO_TRY(compare("d_" + name, building.inputs[name].edge));
  return comparison.outcome();
}

}  // namespace ito::golden
