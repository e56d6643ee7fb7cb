#include "io/layout.h"

#include "base/check.h"

namespace ito {

Shape transposed_shape(const Shape& shape, const std::vector<int>& order) {
  CHECK(static_cast<int>(order.size()) == shape.rank(), "one entry of order per axis");
  std::vector<int64_t> dims;
  for (int axis : order) dims.push_back(shape[axis]);
  return Shape(std::move(dims));
}

std::vector<float> transpose(const std::vector<float>& values, const Shape& shape,
                             const std::vector<int>& order) {
  CHECK(static_cast<int64_t>(values.size()) == shape.numel(),
        "values do not fill shape " + shape.to_string());
  Shape out_shape = transposed_shape(shape, order);
  std::vector<int64_t> source_strides = shape.strides(), steps;
  for (int axis : order) steps.push_back(source_strides[static_cast<size_t>(axis)]);

  std::vector<float> result(values.size());
  if (values.empty()) return result;
  const int rank = shape.rank();
  std::vector<int64_t> index(static_cast<size_t>(rank), 0);
  int64_t source = 0;
  for (float& out : result) {
    out = values[static_cast<size_t>(source)];
    for (int axis = rank - 1; axis >= 0; --axis) {  // odometer over the output's index
      auto a = static_cast<size_t>(axis);
      source += steps[a];
      if (++index[a] < out_shape[axis]) break;
      source -= steps[a] * out_shape[axis];
      index[a] = 0;
    }
  }
  return result;
}

std::vector<float> nchw_to_nhwc(const std::vector<float>& values, const Shape& nchw) {
  return transpose(values, nchw, {0, 2, 3, 1});
}

std::vector<float> nhwc_to_nchw(const std::vector<float>& values, const Shape& nhwc) {
  return transpose(values, nhwc, {0, 3, 1, 2});
}

}  // namespace ito
