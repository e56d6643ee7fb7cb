// Choices of the contract archetype that need no device.
#include "graph/kernels/contract.h"

#include <gtest/gtest.h>

#include "graph/kernels/contract_tiling.h"
#include "tests/support/random_contract.h"

namespace ito::test {
namespace {

DeviceCaps cpu(uint32_t lanes, uint32_t units = 2) {
  DeviceCaps caps;
  caps.is_cpu = true;
  caps.subgroup_size = lanes;
  caps.compute_units = units;
  return caps;
}

std::string emit(const ContractAttr& attr, const DeviceCaps& caps) {
  KernelWriter writer;
  const std::string a = writer.argument(0, DType::kF32, true, false);
  const std::string b = writer.argument(1, DType::kF32, true, false);
  const std::string out = writer.argument(2, DType::kF32, false, true);
  writer.function("void put(uint o, uint base, uint lane, float value) { " +
                  writer.store(out, "o", "value") + " }");
  return emit_contract(writer, "contract", attr, a, b, "put", caps).kernel.glsl;
}

TEST(SimplifyContract, MergesADenseMatmulIntoThreeDims) {
  // [2,3,k] x [k,n] with k = 4 x 5 contiguous in both operands.
  const ContractAttr attr{
      {{2, 60, 0, 21}, {3, 20, 0, 7}, {7, 0, 1, 1}, {4, 5, 35, 0}, {5, 1, 7, 0}}, 0, 0};
  const ContractAttr expected{{{6, 20, 0, 7}, {7, 0, 1, 1}, {20, 1, 7, 0}}, 0, 0};
  EXPECT_EQ(simplify_contract(attr), expected);
}

TEST(SimplifyContract, KeepsTheValue) {
  std::mt19937 rng(7);
  for (int i = 0; i < 50; ++i) {
    const ContractAttr attr = random_attr(rng);
    std::vector<float> a(static_cast<size_t>(operand_size(attr, &ContractDim::a, attr.a_offset)));
    std::vector<float> b(static_cast<size_t>(operand_size(attr, &ContractDim::b, attr.b_offset)));
    for (float& x : a) x = static_cast<float>(rng() % 9);
    for (float& x : b) x = static_cast<float>(rng() % 9);
    EXPECT_EQ(contract_by_loops(simplify_contract(attr), a, b), contract_by_loops(attr, a, b))
        << describe(attr);
  }
}

TEST(RegisterTiling, ForwardConvolutionRunsLanesOverOutputChannels) {
  const ContractAttr attr = simplify_contract(conv_attr(16, 34, 34, 64, 64, 3));
  const RegisterTiling tiling = choose_register_tiling(attr, cpu(16));
  EXPECT_EQ(tiling.a, LaneAccess::kUniform);
  EXPECT_EQ(tiling.b, LaneAccess::kUnit);
  EXPECT_EQ(tiling.rows_a, 16);
  EXPECT_EQ(tiling.rows_b, 1);
  EXPECT_GE(tiling.unroll, 4);
}

TEST(RegisterTiling, ThinOutputsRunLanesOverPixels) {
  const ContractAttr attr = simplify_contract(conv_attr(2, 34, 34, 16, 1, 3));
  const RegisterTiling tiling = choose_register_tiling(attr, cpu(16));
  EXPECT_EQ(tiling.b, LaneAccess::kUniform);
  EXPECT_NE(tiling.a, LaneAccess::kUniform);
}

TEST(RegisterTiling, KeepsKernelsSmall) {
  // Text, hence compile time, is bounded whatever the shape.
  std::mt19937 rng(3);
  for (const uint32_t lanes : {1u, 4u, 8u, 16u, 32u}) {
    for (int i = 0; i < 30; ++i) {
      const ContractAttr attr = random_attr(rng);
      const RegisterTiling tiling = choose_register_tiling(simplify_contract(attr), cpu(lanes));
      EXPECT_LE(tiling.rows_a * tiling.rows_b, 16) << describe(attr);
      EXPECT_LE(tiling.rows_a * tiling.rows_b * tiling.unroll, 128) << describe(attr);
      EXPECT_LT(emit(attr, cpu(lanes)).size(), 60000u) << describe(attr);
    }
  }
}

TEST(RegisterForm, UniformAddressesNeverDependOnTheLane) {
  // What makes the driver load scalars: no load has the lane in its index.
  const std::string text = emit(conv_attr(16, 34, 34, 64, 64, 3), cpu(16));
  EXPECT_EQ(text.find("gl_LocalInvocationID"), std::string::npos);
  EXPECT_EQ(text.find("b0.v[a_at + lane"), std::string::npos);
  EXPECT_NE(text.find("b0.v[a_at + "), std::string::npos);
  EXPECT_NE(text.find("lane == 15u"), std::string::npos);
  EXPECT_LT(text.find("lane == 15u"), text.find("for (uint step"));
}

TEST(SharedTiling, FitsTheSmallestDevice) {
  DeviceCaps caps;  // 128 invocations, 16 KiB
  for (const int64_t size : {1, 17, 64, 1000}) {
    const MatrixView view = matrix_view(matmul_attr(1, size, 1001 - size, 64));
    const SharedTiling tiling = choose_shared_tiling(view, caps);
    EXPECT_LE(tiling.invocations(), 128u);
    EXPECT_LE(tiling.shared_bytes(), 16384u);
  }
}

TEST(SharedTiling, ThinMatricesGetThinTiles) {
  DeviceCaps caps;
  caps.max_workgroup_invocations = 256;
  caps.max_workgroup_size_x = 256;
  EXPECT_EQ(choose_shared_tiling(matrix_view(matmul_attr(1, 4096, 8, 64)), caps).block_n, 16);
  EXPECT_EQ(choose_shared_tiling(matrix_view(matmul_attr(1, 4096, 512, 64)), caps).block_n, 64);
}

TEST(SplitReduction, LeavesFullDevicesAndShortSumsAlone) {
  ContractAttr full = conv_attr(16, 34, 34, 64, 64, 3);
  EXPECT_EQ(split_reduction(full, cpu(16)), 1);
  ContractAttr tiny = matmul_attr(1, 4, 4, 32);
  EXPECT_EQ(split_reduction(tiny, cpu(16, 64)), 1);
}

TEST(SplitReduction, FillsTheWorkersOfALongSum) {
  // Few outputs, 16384 terms, eight workers.
  ContractAttr attr = matmul_attr(1, 16, 16, 16384);
  const ContractAttr whole = attr;
  const int64_t parts = split_reduction(attr, cpu(16, 8));
  EXPECT_GE(parts, 2);
  EXPECT_EQ(attr.dims.size(), whole.dims.size() + 1);
  EXPECT_EQ(attr.dims[0].size, parts);
  EXPECT_EQ(attr.dims[0].out, output_size(whole));
  DeviceCaps gpu;
  gpu.compute_units = 64;
  attr = whole;
  EXPECT_GE(split_reduction(attr, gpu), 8);
}

}  // namespace
}  // namespace ito::test
