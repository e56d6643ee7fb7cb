// Contraction kernels on a device against plain loops: every form, any shape, nothing written
// outside the result.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "base/half.h"
#include "graph/kernels/contract.h"
#include "graph/kernels/contract_matrix.h"
#include "graph/kernels/contract_shared.h"
#include "runtime/executor.h"
#include "tests/support/random_contract.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

// Elements that no kernel may touch, before and after the result.
constexpr int64_t kCanaries = 64;
constexpr float kCanary = -12345.0f;

External external(const std::string& name, ExternalRole role, DType dtype, int64_t n) {
  return {name, role, dtype, Shape{n}, static_cast<uint64_t>(n) * dtype_size(dtype)};
}

// Writes the kernel named "contract" of operands "b0" and "b1" through the function "put".
using Emit = std::function<GridKernel(KernelWriter& writer, const ContractAttr& attr)>;

Emit shared_form(const SharedTiling& tiling, const DeviceCaps& caps) {
  return [=](KernelWriter& writer, const ContractAttr& attr) {
    return emit_contract_shared(writer, "contract", simplify_contract(attr), tiling, "b0", "b1",
                                "put", caps);
  };
}
Emit matrix_form(const MatrixTiling& tiling, const DeviceCaps& caps) {
  return [=](KernelWriter& writer, const ContractAttr& attr) {
    return emit_contract_matrix(writer, "contract", simplify_contract(attr), tiling, "b0", "b1",
                                "put", caps);
  };
}

class ContractOnDevice : public VulkanTest {
 protected:
  // out = contraction + 1 through an injected store function, with canaries around it.
  // `emit`: a form of its own; empty: the compiler's choice.
  static Plan plan(const ContractAttr& attr, const DeviceCaps& caps, DType dtype,
                   const Emit& emit = {}) {
    KernelWriter writer;
    const std::string a = writer.argument(0, dtype, true, false);
    const std::string b = writer.argument(1, dtype, true, false);
    const std::string out = writer.argument(2, DType::kF32, true, true);
    const std::string at = std::to_string(kCanaries) + "u + o";
    // Reads what it replaces: an element stored twice would show. Where the caller may rely on
    // o = base + lane, a wrong base would show too.
    const std::string wrong = contract_stores_lanes(attr, caps)
                                  ? "(o != base + lane || base % " +
                                        std::to_string(caps.subgroup_size) + "u != 0u) ? 1e9 : "
                                  : "";
    writer.function("void put(uint o, uint base, uint lane, float value) {\n  " +
                    writer.store(out, at, wrong + "value + " + writer.load(out, at)) + "\n}");
    GridKernel contract =
        emit ? emit(writer, attr) : emit_contract(writer, "contract", attr, a, b, "put", caps);
    Plan plan;
    plan.kernels.push_back(std::move(contract.kernel));
    const int64_t sizes[] = {operand_size(attr, &ContractDim::a, attr.a_offset),
                             operand_size(attr, &ContractDim::b, attr.b_offset),
                             output_size(attr) + 2 * kCanaries};
    plan.externals = {external("a", ExternalRole::kInput, dtype, sizes[0]),
                      external("b", ExternalRole::kInput, dtype, sizes[1]),
                      external("out", ExternalRole::kState, DType::kF32, sizes[2])};
    KernelCall call;
    for (uint32_t i = 0; i < 3; ++i)
      call.arguments.push_back({BufferSpace::kExternal, i, 0, plan.externals[i].size});
    call.reads = 7;
    call.writes = 4;
    call.groups = contract.groups;
    plan.calls.push_back(std::move(call));
    return plan;
  }

  static void check(const ContractAttr& attr, const DeviceCaps& caps, uint32_t seed,
                    DType dtype = DType::kF32, const Emit& emit = {}) {
    SCOPED_TRACE(describe(attr));
    ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), plan(attr, caps, dtype, emit)));
    // Quarters of small integers: exact in every dtype, and their sums in fp32.
    std::mt19937 rng(seed);
    auto values = [&](const External& external) {
      std::vector<float> data(static_cast<size_t>(external.shape[0]));
      for (float& x : data) x = 0.25f * static_cast<float>(static_cast<int>(rng() % 33) - 16);
      return data;
    };
    const std::vector<float> a = values(executor->plan().externals[0]);
    const std::vector<float> b = values(executor->plan().externals[1]);
    write(*executor, "a", a, dtype);
    write(*executor, "b", b, dtype);
    const auto n = static_cast<size_t>(output_size(attr));
    std::vector<float> out(n + 2 * kCanaries, kCanary);
    std::fill_n(out.begin() + kCanaries, n, 1.0f);
    ASSERT_OK(executor->write("out", out));
    ASSERT_OK(executor->run());
    ASSERT_OK_AND_ASSIGN(out, executor->read<float>("out"));
    const std::vector<double> expected = contract_by_loops(attr, a, b);
    for (size_t i = 0; i < n; ++i)
      ASSERT_EQ(out[kCanaries + i], static_cast<float>(expected[i] + 1)) << "element " << i;
    for (size_t i = 0; i < kCanaries; ++i) {
      ASSERT_EQ(out[i], kCanary) << "before the result";
      ASSERT_EQ(out[kCanaries + n + i], kCanary) << "after the result";
    }
  }

  static void write(Executor& executor, const std::string& name, const std::vector<float>& values,
                    DType dtype) {
    if (dtype == DType::kF32) {
      ASSERT_OK(executor.write(name, values));
      return;
    }
    std::vector<uint16_t> narrow;
    for (const float value : values)
      narrow.push_back(dtype == DType::kBF16 ? float_to_bfloat16(value) : float_to_half(value));
    ASSERT_OK(executor.write(name, narrow));
  }

  // Without matrices a factor becomes the nearest number of the type in every form, in bits:
  // between two halves, below the smallest, above the largest.
  static void expect_rounded(DType multiply, float (*rounded)(float)) {
    ContractAttr attr = matmul_attr(1, 12, 8, 1);
    attr.multiply = multiply;
    const std::vector<float> a = {
        1 + 1.0f / 4096, 1 + 3.0f / 4096, 1 + 1.0f / 2048, 1 + 3.0f / 2048, -0.1f,  3e-6f,
        1e-8f,           6.1e-5f,         65504,           65519,           -65520, 0};
    const std::vector<float> b = {1, 2, -2, 0.5f, 1, 1, 1, 1};
    for (const DeviceCaps& caps : {register_caps(), shared_caps(128)}) {
      ASSERT_OK_AND_ASSIGN(auto executor,
                           Executor::create(device(), plan(attr, caps, DType::kF32)));
      ASSERT_OK(executor->write("a", a));
      ASSERT_OK(executor->write("b", b));
      ASSERT_OK(executor->write("out", std::vector<float>(a.size() * b.size() + 2 * kCanaries, 0)));
      ASSERT_OK(executor->run());
      ASSERT_OK_AND_ASSIGN(const auto out, executor->read<float>("out"));
      for (size_t i = 0; i < a.size(); ++i)
        for (size_t j = 0; j < b.size(); ++j)
          EXPECT_EQ(out[kCanaries + i * b.size() + j], rounded(a[i]) * b[j])
              << a[i] << " times " << b[j];
    }
  }

  static DeviceCaps register_caps() {
    DeviceCaps caps = device().caps();
    caps.is_cpu = true;
    return caps;
  }
  static DeviceCaps shared_caps(uint32_t invocations) {
    DeviceCaps caps = device().caps();
    caps.is_cpu = false;
    caps.max_workgroup_invocations = std::min(caps.max_workgroup_invocations, invocations);
    caps.shared_memory_bytes = 16384;
    return caps;
  }
};

// Also run on SwiftShader and on older lavapipe.
class PortableContract : public ContractOnDevice {};

TEST_F(ContractOnDevice, RegisterFormEqualsPlainLoopsOnRandomShapes) {
  std::mt19937 rng(1);
  for (uint32_t i = 0; i < 60; ++i) check(random_attr(rng), register_caps(), i);
}

TEST_F(ContractOnDevice, SharedFormEqualsPlainLoopsOnRandomShapes) {
  std::mt19937 rng(2);
  for (uint32_t i = 0; i < 24; ++i) check(random_attr(rng), shared_caps(i % 2 == 0 ? 256 : 128), i);
}

// Each on two of: operands that are read by fours along either side; singly; a reduction whose last
// block is not full, of both kinds.
TEST_F(ContractOnDevice, EverySharedTilingEqualsPlainLoops) {
  const ContractAttr cases[] = {
      conv_attr(1, 11, 12, 8, 132, 3),            // fours along the reduction, and along n
      conv_grad_weight_attr(2, 8, 8, 12, 20, 3),  // fours along m and n
      matmul_attr(1, 70, 67, 37, true, true),     // a prime reduction: the last block is masked
      matmul_attr(1, 24, 136, 34, true, false),   // the same, by fours
  };
  const DeviceCaps& caps = device().caps();
  for (size_t i = 0; i < shared_tilings().size(); ++i) {
    const SharedTiling& tiling = shared_tilings()[i];
    SCOPED_TRACE(testing::Message()
                 << tiling.block_m << "x" << tiling.block_n << "x" << tiling.block_k << ", "
                 << tiling.micro_m << "x" << tiling.micro_n);
    ASSERT_LE(tiling.invocations(), caps.max_workgroup_invocations);
    ASSERT_LE(tiling.shared_bytes(), caps.shared_memory_bytes);
    for (const size_t j : {i % 4, (i + 1) % 4})
      check(cases[j], shared_caps(1024), static_cast<uint32_t>(j), DType::kF32,
            shared_form(tiling, shared_caps(1024)));
  }
}

TEST_F(PortableContract, BothFormsEqualPlainLoopsOnSmallShapes) {
  std::mt19937 rng(3);
  for (uint32_t i = 0; i < 8; ++i) {
    const ContractAttr attr = i == 0
                                  ? conv_attr(1, 5, 6, 3, 4, 3)
                                  : matmul_attr(1 + i % 2, 1 + 5 * i, 3 + 4 * i, 7, i % 2, i % 3);
    check(attr, register_caps(), i);
    check(attr, shared_caps(128), i);
  }
}

TEST_F(ContractOnDevice, DimsOfSizeOneAreRightEverywhere) {
  check(conv_attr(1, 1, 1, 1, 1, 1), register_caps(), 1);
  check(conv_attr(1, 1, 1, 1, 1, 1), shared_caps(128), 1);
  check(conv_attr(2, 7, 9, 5, 1, 3), register_caps(), 2);  // one output channel: lanes over pixels
  check(conv_attr(2, 7, 9, 5, 1, 3), shared_caps(128), 2);
  check(conv_grad_weight_attr(2, 8, 8, 1, 1, 3), register_caps(), 3);  // fewer outputs than lanes
  check(matmul_attr(1, 1, 1, 100), register_caps(), 4);                // a dot product
  check(matmul_attr(1, 1, 1, 100), shared_caps(128), 4);
}

TEST_F(ContractOnDevice, MoreGroupsThanOneGridRowHolds) {
  DeviceCaps caps = register_caps();
  caps.max_groups_x = 7;
  check(conv_attr(2, 9, 19, 3, 40, 3), caps, 1);
  caps = shared_caps(128);
  caps.max_groups_x = 3;
  check(conv_attr(2, 19, 19, 3, 70, 3), caps, 1);
}

TEST_F(ContractOnDevice, SplitReductionAddsUpToTheWhole) {
  std::mt19937 rng(5);
  int splits = 0;
  for (uint32_t i = 0; i < 12; ++i) {
    DeviceCaps caps = register_caps();
    caps.compute_units = 64;
    ContractAttr attr = i % 2 == 0 ? matmul_attr(1, 3 + i, 5 + 2 * i, 6000)
                                   : conv_grad_weight_attr(24, 22, 22, 1 + i, 2 + i, 3);
    const ContractAttr whole = attr;
    const int64_t parts = split_reduction(attr, caps);
    if (parts == 1) continue;
    ++splits;
    ASSERT_EQ(output_size(attr), parts * output_size(whole));
    check(attr, caps, i);
    // The parts cover each term once.
    std::vector<float> a(static_cast<size_t>(operand_size(whole, &ContractDim::a, 0)));
    std::vector<float> b(static_cast<size_t>(operand_size(whole, &ContractDim::b, 0)));
    for (float& x : a) x = static_cast<float>(rng() % 9);
    for (float& x : b) x = static_cast<float>(rng() % 9);
    const std::vector<double> pieces = contract_by_loops(attr, a, b);
    std::vector<double> sum(pieces.size() / static_cast<size_t>(parts), 0);
    for (size_t p = 0; p < pieces.size(); ++p) sum[p % sum.size()] += pieces[p];
    EXPECT_EQ(sum, contract_by_loops(whole, a, b));
  }
  EXPECT_GT(splits, 4);
}

TEST_F(ContractOnDevice, NarrowOperandsAccumulateInFloat) {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    if (!device().caps().storage_16bit) GTEST_SKIP() << "the device has no 16-bit storage";
    check(conv_attr(1, 8, 19, 7, 24, 3), register_caps(), 1, dtype);
    check(matmul_attr(2, 17, 33, 40, false, true), register_caps(), 2, dtype);
    check(conv_attr(1, 8, 19, 7, 24, 3), shared_caps(128), 3, dtype);
  }
}

TEST_F(ContractOnDevice, HalfFactorsAreRoundedInEveryForm) {
  expect_rounded(DType::kF16, [](float x) { return half_to_float(float_to_half(x)); });
}

TEST_F(PortableContract, FactorsOfBfloat16AreRoundedInEveryForm) {
  expect_rounded(DType::kBF16, [](float x) { return bfloat16_to_float(float_to_bfloat16(x)); });
}

// The cooperative-matrix form, where the device has matrices: by Mesa's CPU driver at its width of
// 256 bits. ctest has an entry of its own for this suite, which sets ITO_MATRICES=required, so that
// it cannot be skipped everywhere.
class MatrixContract : public ContractOnDevice {
 protected:
  void SetUp() override {
    ContractOnDevice::SetUp();
    if (!matrix_tilings(DType::kF16, matrix_caps()).empty()) return;
    const char* required = std::getenv("ITO_MATRICES");
    if (required != nullptr && std::string_view(required) == "required")
      FAIL() << "cooperative matrices of halves are required here, and the device has none";
    GTEST_SKIP() << "no cooperative matrices of halves";
  }

  // As of a device that has registers enough for any operand.
  static DeviceCaps matrix_caps() {
    DeviceCaps caps = device().caps();
    caps.is_cpu = false;
    caps.min_subgroup_size = 0;
    return caps;
  }
  // Those that the compiler would choose among, and wider ones.
  static std::vector<MatrixTiling> tilings() {
    std::vector<MatrixTiling> list = matrix_tilings(DType::kF16, matrix_caps());
    MatrixTiling wide = list.front();
    for (const auto& [fragments_m, fragments_n, subgroups_m, subgroups_n] :
         {std::array{4, 4, 2, 2}, {4, 4, 4, 1}, {4, 1, 4, 1}, {1, 4, 1, 4}, {1, 1, 1, 1}}) {
      wide.fragments_m = fragments_m;
      wide.fragments_n = fragments_n;
      wide.subgroups_m = subgroups_m;
      wide.subgroups_n = subgroups_n;
      list.push_back(wide);
    }
    return list;
  }
  static ContractAttr halves(ContractAttr attr) {
    attr.multiply = DType::kF16;
    return attr;
  }
};

TEST_F(MatrixContract, EqualsPlainLoopsOnRandomShapes) {
  std::mt19937 rng(11);
  for (uint32_t i = 0; i < 24; ++i) {
    const ContractAttr attr = halves(random_attr(rng));
    const Plan made = plan(attr, matrix_caps(), DType::kF32);
    ASSERT_TRUE(made.kernels[0].uses_cooperative_matrix);
    ASSERT_NE(made.kernels[0].glsl.find("coopMatMulAdd"), std::string::npos);
    check(attr, matrix_caps(), i);
  }
}

// Both ways of filling the tiles; operands read by fours along either side, and singly; a reduction
// whose last block is not full, and one that fills no fragment.
TEST_F(MatrixContract, EveryTilingEqualsPlainLoops) {
  const ContractAttr cases[] = {
      conv_attr(1, 11, 12, 8, 132, 3),            // fours along the reduction, and along n
      conv_grad_weight_attr(2, 8, 8, 12, 20, 3),  // fours along m and n
      matmul_attr(1, 70, 67, 37, true, true),     // a prime reduction
      matmul_attr(1, 24, 136, 34, true, false),   // the same, by fours
      matmul_attr(3, 40, 24, 48, false, true),    // fours along the reduction in both, batched
      conv_attr(1, 9, 9, 3, 20, 3),               // 27 steps: a part of the last fragment is void
      conv_attr(2, 9, 9, 4, 6, 3, 2, 1, 3),       // groups, strides
      matmul_attr(1, 40, 24, 20, false, true),    // fours, and a last block that is not full
  };
  uint32_t seed = 0;
  for (MatrixTiling tiling : tilings()) {
    SCOPED_TRACE(testing::Message() << tiling.block_m() << "x" << tiling.block_n());
    // Compiling is what takes time: of both choices one combination for each tiling, all in turns.
    tiling.loads_ahead = seed % 2 == 0;
    tiling.block_k = seed / 2 % 2 == 0 ? 16 : 32;
    if (tiling.shared_bytes() > device().caps().shared_memory_bytes) tiling.block_k = 16;
    ASSERT_LE(tiling.shared_bytes(), device().caps().shared_memory_bytes);
    check(halves(cases[seed % std::size(cases)]), matrix_caps(), seed, DType::kF32,
          matrix_form(tiling, matrix_caps()));
    ++seed;
  }
  EXPECT_GE(seed, std::size(cases));
}

TEST_F(MatrixContract, DimsOfSizeOneAndNarrowOperandsAreRight) {
  check(halves(conv_attr(1, 1, 1, 1, 1, 1)), matrix_caps(), 1);
  check(halves(matmul_attr(1, 1, 1, 100)), matrix_caps(), 2);
  check(halves(conv_attr(2, 7, 9, 5, 1, 3)), matrix_caps(), 3);
  check(halves(conv_grad_weight_attr(2, 8, 8, 1, 1, 3)), matrix_caps(), 4);
  check(halves(conv_attr(1, 8, 19, 7, 24, 3)), matrix_caps(), 5, DType::kF16);
}

TEST_F(MatrixContract, MoreGroupsThanOneGridRowHolds) {
  DeviceCaps caps = matrix_caps();
  caps.max_groups_x = 3;
  check(halves(conv_attr(2, 19, 19, 3, 70, 3)), caps, 1);
}

// An image's bits depend neither on how many others there are, nor on the tiles that they lead to.
TEST_F(MatrixContract, SumsKeepTheirOrderInEveryTiling) {
  const ContractAttr attr = halves(matmul_attr(1, 24, 24, 90));
  std::mt19937 rng(12);
  std::normal_distribution<float> normal;
  std::vector<float> a(24 * 90), b(90 * 24);
  for (float& x : a) x = normal(rng);
  for (float& x : b) x = normal(rng);
  std::vector<float> first;
  for (const MatrixTiling& tiling : tilings()) {
    ASSERT_OK_AND_ASSIGN(auto executor,
                         Executor::create(device(), plan(attr, matrix_caps(), DType::kF32,
                                                         matrix_form(tiling, matrix_caps()))));
    ASSERT_OK(executor->write("a", a));
    ASSERT_OK(executor->write("b", b));
    ASSERT_OK(executor->run());
    ASSERT_OK_AND_ASSIGN(std::vector<float> out, executor->read<float>("out"));
    if (first.empty()) first = out;
    EXPECT_EQ(out, first);
  }
}

}  // namespace
}  // namespace ito::test
