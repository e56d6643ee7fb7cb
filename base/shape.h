// Shape: the static extents of a tensor, row-major. Not for strides of views (passes compute
// those).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace ito {

class Shape {
 public:
  Shape() = default;  // rank 0: a scalar of one element
  Shape(std::initializer_list<int64_t> dims) : dims_(dims) {}
  explicit Shape(std::vector<int64_t> dims) : dims_(std::move(dims)) {}

  int rank() const { return static_cast<int>(dims_.size()); }
  // Extent of an axis; negative axes count from the end.
  int64_t operator[](int axis) const {
    return dims_[static_cast<size_t>(axis < 0 ? axis + rank() : axis)];
  }
  int64_t& operator[](int axis) {
    return dims_[static_cast<size_t>(axis < 0 ? axis + rank() : axis)];
  }
  int64_t numel() const {
    int64_t n = 1;
    for (int64_t d : dims_) n *= d;
    return n;
  }
  const std::vector<int64_t>& dims() const { return dims_; }
  // Row-major strides in elements.
  std::vector<int64_t> strides() const;
  // "[2,3,4]"; "[]" for a scalar.
  std::string to_string() const;

  bool operator==(const Shape& other) const = default;

 private:
  std::vector<int64_t> dims_;
};

}  // namespace ito
