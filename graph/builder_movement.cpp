// Movement, reductions and contractions of builder.h.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "graph/builder.h"

namespace ito {
namespace {

int64_t positive_axis(Tensor x, int64_t axis) {
  int64_t positive = axis < 0 ? axis + x.rank() : axis;
  CHECK(positive >= 0 && positive < x.rank(),
        fmt::format("no axis {} in {}", axis, x.shape().to_string()));
  return positive;
}

std::vector<int64_t> sorted_axes(Tensor x, std::vector<int64_t> axes) {
  for (int64_t& axis : axes) axis = positive_axis(x, axis);
  std::sort(axes.begin(), axes.end());
  axes.erase(std::unique(axes.begin(), axes.end()), axes.end());
  return axes;
}

Shape without_axes(const Shape& shape, const std::vector<int64_t>& sorted) {
  std::vector<int64_t> dims;
  for (int i = 0; i < shape.rank(); ++i)
    if (!std::binary_search(sorted.begin(), sorted.end(), i)) dims.push_back(shape[i]);
  return Shape(std::move(dims));
}

Tensor reduce(Op op, Tensor x, const std::vector<int64_t>& axes, bool keepdim) {
  const std::vector<int64_t> sorted = sorted_axes(x, axes);
  Shape kept = x.shape();
  for (int64_t axis : sorted) kept[static_cast<int>(axis)] = 1;
  Tensor y = x.graph().add(op, x.dtype(), kept, std::span(&x, 1), AxesAttr{sorted});
  return keepdim ? y : reshape(y, without_axes(x.shape(), sorted));
}

// Elements that are folded into one.
double reduced_count(Tensor x, const std::vector<int64_t>& axes) {
  double count = 1;
  for (int64_t axis : sorted_axes(x, axes)) count *= static_cast<double>(x.dim(int(axis)));
  return count;
}

std::vector<int64_t> all_axes(Tensor x) {
  std::vector<int64_t> axes;
  for (int i = 0; i < x.rank(); ++i) axes.push_back(i);
  return axes;
}

}  // namespace

Tensor reshape(Tensor x, Shape shape) {
  int64_t known = 1;
  int free_axis = -1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] != -1) {
      known *= shape[i];
    } else {
      CHECK(free_axis < 0, "reshape: only one extent may be -1");
      free_axis = i;
    }
  }
  if (free_axis >= 0) shape[free_axis] = x.shape().numel() / known;
  return x.graph().add(Op::kReshape, x.dtype(), std::move(shape), std::span(&x, 1));
}

Tensor permute(Tensor x, std::vector<int64_t> axes) {
  std::vector<int64_t> dims;
  for (int64_t& axis : axes) {
    axis = positive_axis(x, axis);
    dims.push_back(x.dim(static_cast<int>(axis)));
  }
  return x.graph().add(Op::kPermute, x.dtype(), Shape(std::move(dims)), std::span(&x, 1),
                       AxesAttr{std::move(axes)});
}

Tensor transpose(Tensor x, int a, int b) {
  std::vector<int64_t> axes = all_axes(x);
  std::swap(axes[size_t(positive_axis(x, a))], axes[size_t(positive_axis(x, b))]);
  return permute(x, axes);
}

Tensor broadcast_to(Tensor x, Shape shape) {
  CHECK(x.rank() <= shape.rank(),
        fmt::format("{} does not broadcast to {}", x.shape().to_string(), shape.to_string()));
  std::vector<int64_t> dims(static_cast<size_t>(shape.rank() - x.rank()), 1);
  dims.insert(dims.end(), x.shape().dims().begin(), x.shape().dims().end());
  Tensor same_rank = reshape(x, Shape(std::move(dims)));
  return x.graph().add(Op::kBroadcast, x.dtype(), std::move(shape), std::span(&same_rank, 1));
}

Tensor slice(Tensor x, std::vector<int64_t> start, std::vector<int64_t> stop,
             std::vector<int64_t> step) {
  if (step.empty()) step.assign(start.size(), 1);
  CHECK(start.size() == size_t(x.rank()) && stop.size() == start.size() &&
            step.size() == start.size(),
        fmt::format("slice of {}: one start, stop and step per axis", x.shape().to_string()));
  std::vector<int64_t> dims;
  for (size_t i = 0; i < start.size(); ++i) {
    const int64_t sign = step[i] < 0 ? -1 : 1;
    dims.push_back((stop[i] - start[i] + step[i] - sign) / step[i]);
  }
  return x.graph().add(Op::kSlice, x.dtype(), Shape(std::move(dims)), std::span(&x, 1),
                       SliceAttr{std::move(start), std::move(step)});
}

Tensor slice_axis(Tensor x, int axis, int64_t start, int64_t stop) {
  std::vector<int64_t> starts(static_cast<size_t>(x.rank()), 0), stops = x.shape().dims();
  const size_t k = static_cast<size_t>(positive_axis(x, axis));
  starts[k] = start;
  stops[k] = stop;
  return slice(x, starts, stops);
}

Tensor flip(Tensor x, std::vector<int64_t> axes) {
  if (axes.empty()) return x;
  std::vector<int64_t> start(static_cast<size_t>(x.rank()), 0), stop = x.shape().dims();
  std::vector<int64_t> step(static_cast<size_t>(x.rank()), 1);
  for (int64_t axis : sorted_axes(x, std::move(axes))) {
    const size_t k = static_cast<size_t>(axis);
    start[k] = stop[k] - 1;
    stop[k] = -1;
    step[k] = -1;
  }
  return slice(x, start, stop, step);
}

Tensor pad(Tensor x, std::vector<int64_t> low, std::vector<int64_t> high, double value,
           std::vector<int64_t> interior) {
  if (interior.empty()) interior.assign(low.size(), 0);
  CHECK(
      low.size() == size_t(x.rank()) && high.size() == low.size() && interior.size() == low.size(),
      fmt::format("pad of {}: one low, high and interior per axis", x.shape().to_string()));
  Shape shape = x.shape();
  for (size_t i = 0; i < low.size(); ++i) {
    int64_t& extent = shape[static_cast<int>(i)];
    extent += low[i] + high[i] + (extent - 1) * interior[i];
  }
  return x.graph().add(Op::kPad, x.dtype(), shape, std::span(&x, 1),
                       PadAttr{std::move(low), std::move(high), std::move(interior), value});
}

Tensor concat(std::vector<Tensor> parts, int axis) {
  CHECK(!parts.empty(), "concat of nothing");
  const int64_t k = positive_axis(parts[0], axis);
  Shape shape = parts[0].shape();
  for (size_t i = 1; i < parts.size(); ++i) shape[int(k)] += parts[i].dim(static_cast<int>(k));
  return parts[0].graph().add(Op::kConcat, parts[0].dtype(), shape, parts, AxesAttr{{k}});
}

// An index of any rank: its axes replace the first axis of x.
Tensor gather(Tensor x, Tensor index) {
  std::vector<int64_t> dims = index.shape().dims();
  dims.insert(dims.end(), x.shape().dims().begin() + 1, x.shape().dims().end());
  Shape rows = x.shape();
  rows[0] = index.shape().numel();
  const Tensor operands[] = {x, reshape(index, {rows[0]})};
  return reshape(x.graph().add(Op::kGather, x.dtype(), rows, operands), Shape(std::move(dims)));
}

Tensor scatter_add(Tensor updates, Tensor index, int64_t rows) {
  Shape shape = updates.shape();
  shape[0] = rows;
  const Tensor operands[] = {updates, index};
  return updates.graph().add(Op::kScatterAdd, updates.dtype(), shape, operands);
}

Tensor sum(Tensor x, std::vector<int64_t> axes, bool keepdim) {
  return reduce(Op::kReduceSum, x, axes, keepdim);
}

Tensor max(Tensor x, std::vector<int64_t> axes, bool keepdim) {
  return reduce(Op::kReduceMax, x, axes, keepdim);
}

Tensor mean(Tensor x, std::vector<int64_t> axes, bool keepdim) {
  return sum(x, axes, keepdim) * (1 / reduced_count(x, axes));
}

Tensor var(Tensor x, std::vector<int64_t> axes, int correction, bool keepdim) {
  const double count = reduced_count(x, axes);
  return sum(square(x - mean(x, axes, true)), axes, keepdim) * (1 / (count - correction));
}

Tensor sum_all(Tensor x) { return sum(x, all_axes(x)); }
Tensor mean_all(Tensor x) { return mean(x, all_axes(x)); }

// The subtracted maximum cancels in the value, so no gradient passes through it.
Tensor logsumexp(Tensor x, std::vector<int64_t> axes, bool keepdim) {
  Tensor top = stop_gradient(max(x, axes, true));
  Tensor y = log(sum(exp(x - top), axes, true)) + top;
  return keepdim ? y : reshape(y, without_axes(x.shape(), sorted_axes(x, axes)));
}

Tensor matmul(Tensor a, Tensor b, bool transpose_a, bool transpose_b) {
  CHECK(a.rank() >= 2 && b.rank() >= 2,
        fmt::format("matmul of {} and {}", a.shape().to_string(), b.shape().to_string()));
  // One matrix for every batch entry: the batch joins the rows.
  if (b.rank() == 2 && a.rank() > 2 && !transpose_a) {
    Shape shape = a.shape();
    shape[-1] = b.dim(transpose_b ? 0 : 1);
    return reshape(matmul(reshape(a, {-1, a.dim(-1)}), b, false, transpose_b), shape);
  }
  // Otherwise batch axes broadcast as numpy's.
  const int rank = std::max(a.rank(), b.rank());
  std::vector<int64_t> batch(static_cast<size_t>(rank - 2), 1);
  for (Tensor x : {a, b})
    for (int i = 3; i <= x.rank(); ++i)
      if (x.dim(-i) != 1) batch[static_cast<size_t>(rank - i)] = x.dim(-i);
  auto with_batch = [&](Tensor x) {
    std::vector<int64_t> dims = batch;
    dims.push_back(x.dim(-2));
    dims.push_back(x.dim(-1));
    return broadcast_to(x, Shape(std::move(dims)));
  };
  const Tensor operands[] = {with_batch(a), with_batch(b)};
  batch.push_back(a.dim(transpose_a ? -1 : -2));
  batch.push_back(b.dim(transpose_b ? -2 : -1));
  return a.graph().add(Op::kMatmul, a.dtype(), Shape(batch), operands,
                       MatmulAttr{transpose_a, transpose_b});
}

Tensor linear(Tensor x, Tensor weight, Tensor bias) {
  Tensor y = x.rank() == 1 ? reshape(matmul(reshape(x, {1, x.dim(0)}), weight), {weight.dim(1)})
                           : matmul(x, weight);
  return bias ? y + bias : y;
}

Tensor conv2d(Tensor x, Tensor weight, const ConvAttr& attr) {
  CHECK(x.rank() == 4 && weight.rank() == 4,
        fmt::format("conv2d of {} by {}", x.shape().to_string(), weight.shape().to_string()));
  Shape shape{x.dim(0), 0, 0, weight.dim(3)};
  for (int i = 0; i < 2; ++i) {
    const size_t k = static_cast<size_t>(i);
    const int64_t padded = x.dim(1 + i) + attr.pad[2 * k] + attr.pad[2 * k + 1];
    const int64_t window = (weight.dim(i) - 1) * attr.dilation[k] + 1;
    CHECK(padded >= window, fmt::format("conv2d: window {} is larger than the padded image {}",
                                        weight.shape().to_string(), x.shape().to_string()));
    shape[1 + i] = (padded - window) / attr.stride[k] + 1;
  }
  const Tensor operands[] = {x, weight};
  return x.graph().add(Op::kConv2d, x.dtype(), shape, operands, attr);
}

Tensor conv2d_grad_input(Tensor dy, Tensor weight, Shape input_shape, const ConvAttr& attr) {
  const Tensor operands[] = {dy, weight};
  return dy.graph().add(Op::kConv2dGradInput, dy.dtype(), std::move(input_shape), operands, attr);
}

Tensor conv2d_grad_weight(Tensor x, Tensor dy, Shape weight_shape, const ConvAttr& attr) {
  const Tensor operands[] = {x, dy};
  return x.graph().add(Op::kConv2dGradWeight, x.dtype(), std::move(weight_shape), operands, attr);
}

}  // namespace ito
