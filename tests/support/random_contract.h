// Seeded random contractions and their plain-loop oracle, for the tests of the contract archetype.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "graph/attrs.h"

namespace ito::test {

using ContractDim = ContractAttr::Dim;

// Convolution of an input already padded to h x w: out [n, oh, ow, groups * co].
inline ContractAttr conv_attr(int64_t n, int64_t h, int64_t w, int64_t ci, int64_t co, int64_t k,
                              int64_t stride = 1, int64_t dilation = 1, int64_t groups = 1) {
  const int64_t reach = dilation * (k - 1);
  const int64_t oh = (h - reach - 1) / stride + 1, ow = (w - reach - 1) / stride + 1;
  const int64_t c = groups * ci, o = groups * co;
  return {{{n, h * w * c, 0, oh * ow * o},
           {oh, stride * w * c, 0, ow * o},
           {ow, stride * c, 0, o},
           {groups, ci, co, co},
           {co, 0, 1, 1},
           {k, dilation * w * c, k * ci * o, 0},
           {k, dilation * c, ci * o, 0},
           {ci, 1, o, 0}},
          0,
          0};
}

// Gradient of its weight: a is the padded input, b the output gradient, out [k, k, ci, co].
inline ContractAttr conv_grad_weight_attr(int64_t n, int64_t h, int64_t w, int64_t ci, int64_t co,
                                          int64_t k, int64_t stride = 1) {
  const int64_t oh = (h - k) / stride + 1, ow = (w - k) / stride + 1;
  return {{{k, w * ci, 0, k * ci * co},
           {k, ci, 0, ci * co},
           {ci, 1, 0, co},
           {co, 0, 1, 1},
           {n, h * w * ci, oh * ow * co, 0},
           {oh, stride * w * ci, ow * co, 0},
           {ow, stride * ci, co, 0}},
          0,
          0};
}

inline ContractAttr matmul_attr(int64_t batch, int64_t m, int64_t n, int64_t k,
                                bool transpose_a = false, bool transpose_b = false) {
  return {{{batch, m * k, k * n, m * n},
           {m, transpose_a ? 1 : k, 0, n},
           {n, 0, transpose_b ? k : 1, 1},
           {k, transpose_a ? m : 1, transpose_b ? 1 : n, 0}},
          0,
          0};
}

// Any mixture of batch, one-sided, broadcast and reduced dims, strides (negative ones too) and
// offsets.
inline ContractAttr affine_attr(std::mt19937& rng) {
  auto pick = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(rng() % static_cast<uint32_t>(high - low + 1));
  };
  ContractAttr attr;
  const int64_t outputs = pick(0, 3), reduced = pick(0, 3);
  int64_t stride = 1;
  for (int64_t i = 0; i < outputs; ++i) {
    ContractDim dim{pick(1, 19), pick(1, 40), pick(1, 40), stride};
    const int64_t kind = pick(0, 5);
    if (kind == 1 || kind == 3) dim.a = 0;
    if (kind == 2 || kind == 3) dim.b = 0;
    stride *= dim.size;
    attr.dims.insert(attr.dims.begin(), dim);
  }
  for (int64_t i = 0; i < reduced; ++i)
    attr.dims.push_back({pick(1, 13), pick(0, 30), pick(0, 30), 0});
  attr.a_offset = pick(0, 9);
  attr.b_offset = pick(0, 9);
  for (ContractDim& dim : attr.dims) {
    if (pick(0, 4) == 0) {
      attr.a_offset += dim.a * (dim.size - 1);
      dim.a = -dim.a;
    }
    if (pick(0, 4) == 0) {
      attr.b_offset += dim.b * (dim.size - 1);
      dim.b = -dim.b;
    }
  }
  return attr;
}

// One of all of the above, with sizes around and below every tile: 1, odd, prime, round.
inline ContractAttr random_attr(std::mt19937& rng) {
  auto pick = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(rng() % static_cast<uint32_t>(high - low + 1));
  };
  const int64_t k = pick(0, 1) == 1 ? 3 : 1;
  switch (pick(0, 5)) {
    case 0:
      return conv_attr(pick(1, 3), pick(5, 12), pick(5, 21), pick(1, 20), pick(1, 40), k,
                       pick(1, 2), pick(1, 2));
    case 1:
      return conv_attr(pick(1, 2), pick(5, 9), pick(5, 19), pick(1, 3), pick(1, 5), k, 1, 1,
                       pick(2, 18));
    case 2:
      return conv_grad_weight_attr(pick(1, 3), pick(3, 9), pick(3, 19), pick(1, 20), pick(1, 40), k,
                                   pick(1, 2));
    case 3:
    case 4:
      return matmul_attr(pick(1, 4), pick(1, 40), pick(1, 70), pick(1, 50), pick(0, 1) == 1,
                         pick(0, 1) == 1);
    default:
      return affine_attr(rng);
  }
}

// Elements an operand must have.
inline int64_t operand_size(const ContractAttr& attr, int64_t ContractDim::*stride,
                            int64_t offset) {
  for (const ContractDim& dim : attr.dims)
    offset += std::max<int64_t>(0, (dim.size - 1) * (dim.*stride));
  return offset + 1;
}

inline int64_t output_size(const ContractAttr& attr) {
  int64_t n = 1;
  for (const ContractDim& dim : attr.dims)
    if (!dim.reduced()) n *= dim.size;
  return n;
}

// Plain nested loops, double accumulation.
inline std::vector<double> contract_by_loops(const ContractAttr& attr, const std::vector<float>& a,
                                             const std::vector<float>& b) {
  std::vector<double> out(static_cast<size_t>(output_size(attr)), 0);
  auto loop = [&](auto&& self, size_t d, int64_t ia, int64_t ib, int64_t io) -> void {
    if (d == attr.dims.size()) {
      out[static_cast<size_t>(io)] += static_cast<double>(a[static_cast<size_t>(ia)]) *
                                      static_cast<double>(b[static_cast<size_t>(ib)]);
      return;
    }
    const ContractDim& dim = attr.dims[d];
    for (int64_t i = 0; i < dim.size; ++i)
      self(self, d + 1, ia + i * dim.a, ib + i * dim.b, io + i * dim.out);
  };
  loop(loop, 0, attr.a_offset, attr.b_offset, 0);
  return out;
}

// For messages.
inline std::string describe(const ContractAttr& attr) {
  std::string text = "offsets " + std::to_string(attr.a_offset) + "," +
                     std::to_string(attr.b_offset) + " dims (size,a,b,out)";
  for (const ContractDim& dim : attr.dims)
    text += " (" + std::to_string(dim.size) + "," + std::to_string(dim.a) + "," +
            std::to_string(dim.b) + "," + std::to_string(dim.out) + ")";
  return text;
}

}  // namespace ito::test
