// The contract archetype: out[o] = sum_k A[..] * B[..] for affine addresses (ContractAttr), which
// is every matmul and every direction of a convolution. A register-tiled form for CPU-like devices,
// a shared-memory form for GPUs, and one of cooperative matrices for what multiplies in 16 bits on
// GPUs that have them. Not where operands are padded or split-K is added up: those
// are graph nodes (passes/lower).
#pragma once

#include <string>

#include "base/device_caps.h"
#include "graph/attrs.h"
#include "graph/kernels/kernel_writer.h"

namespace ito {

// Which dims of a contraction count images. An image's bits must not depend on how many others are
// computed with it, so neither may the order in which its sums are taken.
enum class ImageDim {
  kSummed,   // the images are summed over, or there are none
  kFirst,    // dims[0]
  kUnknown,  // some output dim may
};

// Cycles that one more dispatch costs all workers of a CPU together.
inline constexpr double kDispatchCycles = 200000;

// For decisions on an order of summation: computed as if there were so many images.
int64_t nominal_images(const DeviceCaps& caps);

// Splits the reduction so that the device is filled: returns 1, or the number of equal parts. With
// more than one part, `attr` gets a new first output dim (of that size) and the caller adds the
// parts up in order. Deterministic: depends on the arguments only, on the number of images only if
// they are summed over; kUnknown is never split.
int64_t split_reduction(ContractAttr& attr, const DeviceCaps& caps,
                        ImageDim images = ImageDim::kSummed);

// Whether the lanes of a subgroup hold neighbouring outputs: then `store` is called with o = base +
// lane, base the same for all lanes and a multiple of their number, and lane = the subgroup
// invocation.
bool contract_stores_lanes(const ContractAttr& attr, const DeviceCaps& caps);

// Writes the kernel. `a` and `b` are argument names of `writer`; `store` is the name of a GLSL
// function `void store(uint o, uint base, uint lane, float value)` already in `writer`, called once
// for each output element with its row-major index o (see contract_stores_lanes for the rest).
GridKernel emit_contract(KernelWriter& writer, const std::string& name, const ContractAttr& attr,
                         const std::string& a, const std::string& b, const std::string& store,
                         const DeviceCaps& caps);

}  // namespace ito
