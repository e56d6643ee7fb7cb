// Choices of the contract archetype that need no device.
#include "graph/kernels/contract.h"

#include <gtest/gtest.h>

#include "graph/kernels/contract_blocks.h"
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

// A GPU with a product of fragments of m x n x k.
DeviceCaps with_matrices(uint32_t m, uint32_t n, uint32_t k, uint32_t lanes) {
  DeviceCaps caps;
  caps.max_workgroup_invocations = caps.max_workgroup_size_x = 1024;
  caps.shared_memory_bytes = 65536;
  caps.subgroup_size = 64;
  caps.min_subgroup_size = lanes;
  caps.max_subgroup_size = 64;
  caps.required_subgroup_size = caps.shader_float16 = caps.cooperative_matrix = true;
  const MatrixElement half = MatrixElement::kF16, full = MatrixElement::kF32;
  caps.matrix_shapes = {{.m = m, .n = n, .k = k, .a = half, .b = half, .c = half, .result = half},
                        {.m = m, .n = n, .k = k, .a = half, .b = half, .c = full, .result = full}};
  return caps;
}

TEST(MatrixTiling, OnlyWhereTheDeviceHasAProductThatAddsUpInF32) {
  const DeviceCaps amd = with_matrices(16, 16, 16, 32);
  ContractAttr attr = matmul_attr(1, 4096, 512, 512);
  EXPECT_FALSE(choose_matrix_tiling(attr, amd));
  attr.multiply = DType::kF16;
  const auto tiling = choose_matrix_tiling(attr, amd);
  ASSERT_TRUE(tiling);
  EXPECT_EQ(tiling->shape, amd.matrix_shapes[1]);
  EXPECT_EQ(tiling->subgroup_size, 32u);
  EXPECT_TRUE(tiling->loads_ahead);
  DeviceCaps less = amd;
  less.matrix_shapes.pop_back();
  EXPECT_FALSE(choose_matrix_tiling(attr, less));
  less = amd;
  less.shader_float16 = false;
  EXPECT_FALSE(choose_matrix_tiling(attr, less));
  less = amd;
  less.cooperative_matrix = false;
  EXPECT_FALSE(choose_matrix_tiling(attr, less));
}

TEST(MatrixTiling, FitsTheDevice) {
  // Intel's subgroups of eight have room for few numbers.
  for (const MatrixTiling& t : matrix_tilings(DType::kF16, with_matrices(8, 8, 16, 8))) {
    EXPECT_LE(t.subgroup_m() * t.subgroup_n() / t.subgroup_size, 32);
    EXPECT_FALSE(t.loads_ahead);
  }
  // They have none for operands that are loaded one by one.
  ContractAttr thin = conv_attr(4, 18, 18, 3, 64, 3);
  thin.multiply = DType::kF16;
  EXPECT_FALSE(choose_matrix_tiling(simplify_contract(thin), with_matrices(8, 8, 16, 8)));
  EXPECT_TRUE(choose_matrix_tiling(simplify_contract(thin), with_matrices(16, 16, 16, 32)));
  DeviceCaps small = with_matrices(16, 16, 16, 32);
  small.max_workgroup_invocations = 128;
  small.shared_memory_bytes = 16384;
  const std::vector<MatrixTiling> tilings = matrix_tilings(DType::kF16, small);
  ASSERT_FALSE(tilings.empty());
  for (const MatrixTiling& t : tilings) {
    EXPECT_LE(t.invocations(), 128u);
    EXPECT_LE(t.shared_bytes(), 16384u);
    EXPECT_EQ(t.block_k % t.shape.k, 0);
  }
}

TEST(MatrixForm, IsTakenForWhatMultipliesInHalvesAndForNothingElse) {
  const DeviceCaps amd = with_matrices(16, 16, 16, 32);
  ContractAttr attr = conv_attr(4, 18, 18, 64, 64, 3);
  EXPECT_EQ(emit(attr, amd).find("coopMat"), std::string::npos);
  attr.multiply = DType::kF16;
  EXPECT_NE(emit(attr, amd).find("coopMatMulAdd"), std::string::npos);
  EXPECT_EQ(emit(attr, cpu(16)).find("coopMat"), std::string::npos);
  EXPECT_NE(emit(attr, cpu(16)).find("to_f16"), std::string::npos);
}

TEST(CutReduction, WholeInnerDimsAndAPartOfTheNext) {
  // 3 x 3 taps of 48 channels in blocks of at most 16 steps, parts that divide.
  const std::vector<Digit> k = {{.size = 9, .a = 100, .b = 480}, {.size = 48, .a = 1, .b = 10}};
  const Blocks blocks = cut_reduction(k, 16, [](int64_t, int64_t room, int64_t) { return room; });
  EXPECT_EQ(blocks.steps, 16);
  EXPECT_EQ(blocks.count, 27);
  EXPECT_EQ(blocks.whole, 0);
  ASSERT_EQ(blocks.outside.size(), 2u);
  EXPECT_EQ(blocks.outside.back().a, 16);
  // A part that does not divide leaves steps of the last block void.
  EXPECT_EQ(cut_reduction({{.size = 37, .a = 1, .b = 1}}, 16,
                          [](int64_t, int64_t room, int64_t) { return room; })
                .whole,
            37);
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
