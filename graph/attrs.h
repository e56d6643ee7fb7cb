// Attributes of nodes: one small struct per family, held in a variant. Plain values with equality.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/dtype.h"

namespace ito {

struct InputAttr {
  std::string name;
  // What a network has learned: written seldom, read at every evaluation (passes/prologue).
  bool parameter = false;
  bool operator==(const InputAttr&) const = default;
};

// Data are shared, not copied, between graphs; equality is by content.
struct ConstantAttr {
  std::shared_ptr<const std::vector<double>> data;  // numel values, row-major
  bool operator==(const ConstantAttr& other) const {
    return data == other.data || *data == *other.data;
  }
};

struct FullAttr {
  double value = 0;
  bool operator==(const FullAttr&) const = default;
};

struct AxesAttr {
  std::vector<int64_t> axes;
  bool operator==(const AxesAttr&) const = default;
};

struct SliceAttr {
  std::vector<int64_t> start;
  std::vector<int64_t> step;  // not zero
  bool operator==(const SliceAttr&) const = default;
};

struct PadAttr {
  std::vector<int64_t> low, high;
  std::vector<int64_t> interior;  // elements inserted between neighbours
  double value = 0;
  bool operator==(const PadAttr&) const = default;
};

// `multiply`, of contractions: the type that both factors are rounded to: f32, f16 or bf16.
// Products are added up in f32 in any case. Set by passes/autocast, after differentiation.
struct MatmulAttr {
  bool transpose_a = false;
  bool transpose_b = false;
  DType multiply = DType::kF32;
  bool operator==(const MatmulAttr&) const = default;
};

struct ConvAttr {
  std::array<int64_t, 2> stride = {1, 1};
  std::array<int64_t, 4> pad = {0, 0, 0, 0};  // top, bottom, left, right
  std::array<int64_t, 2> dilation = {1, 1};
  int64_t groups = 1;
  DType multiply = DType::kF32;
  bool operator==(const ConvAttr&) const = default;
};

struct NormAttr {
  int64_t groups = 1;
  double eps = 1e-5;
  bool operator==(const NormAttr&) const = default;
};

struct AttentionAttr {
  int64_t heads = 1;
  double scale = 1;
  bool operator==(const AttentionAttr&) const = default;
};

// A contraction with affine addresses: out[o] = sum over reduced dims of A[a] * B[b], where each
// address is offset + sum_i index_i * stride_i (elements). Every matmul and every convolution
// direction is one of these, once its operands are padded.
struct ContractAttr {
  struct Dim {
    int64_t size = 1;
    int64_t a = 0, b = 0, out = 0;  // strides in elements; 0: the operand does not vary with it
    bool operator==(const Dim&) const = default;
    bool reduced() const { return out == 0; }
  };
  std::vector<Dim> dims;  // output dims in row-major order of the output, then reduced dims
  int64_t a_offset = 0, b_offset = 0;
  DType multiply = DType::kF32;
  bool operator==(const ContractAttr&) const = default;
};

// One linear map over both axes of every tile: with T the matrix [rows, taps],
//   out[o + p * out_step[0] + q * out_step[1]] =
//     sum over i, j of T[p,i] T[q,j] in[a + i * in_step[0] + j * in_step[1]],
// where o and a are the sums of index * stride over `dims` (a behind in_offset). Tiles of the input
// may overlap. What Winograd's convolution does to pictures, weights and products.
struct TileTransformAttr {
  struct Dim {
    int64_t size = 1;
    int64_t in = 0, out = 0;  // strides in elements
    bool operator==(const Dim&) const = default;
  };
  std::vector<Dim> dims;
  int64_t rows = 0, taps = 0;
  std::vector<double> matrix;
  std::array<int64_t, 2> in_step = {0, 0}, out_step = {0, 0};  // of the input also negative
  int64_t in_offset = 0;
  // Nodes that differ in it are computed each by themselves, so that what a forward pass made need
  // not be kept for gradients.
  int64_t copy = 0;
  bool operator==(const TileTransformAttr&) const = default;
};

using Attrs =
    std::variant<std::monostate, InputAttr, ConstantAttr, FullAttr, AxesAttr, SliceAttr, PadAttr,
                 MatmulAttr, ConvAttr, NormAttr, AttentionAttr, ContractAttr, TileTransformAttr>;

// Text form, e.g. "{axes=[1,2]}"; empty for no attributes. Also what value numbering hashes.
std::string attrs_to_string(const Attrs& attrs);

}  // namespace ito
