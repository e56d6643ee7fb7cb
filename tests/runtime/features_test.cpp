// Optional device features, each used by a kernel where the device has it.
#include <gtest/gtest.h>

#include "runtime/executor.h"
#include "tests/runtime/plan_helper.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

class FeaturesTest : public VulkanTest {};

constexpr const char* kHead =
    "#version 450\n"
    "#extension GL_EXT_buffer_reference : require\n"
    "#extension GL_EXT_shader_16bit_storage : require\n"
    "#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require\n"
    "layout(buffer_reference, std430, buffer_reference_align = 4) buffer F32 { float v[]; };\n"
    "layout(buffer_reference, std430, buffer_reference_align = 2) buffer F16 { float16_t v[]; };\n";

TEST_F(FeaturesTest, SixteenBitStorageHoldsHalves) {
  if (!device().caps().storage_16bit) GTEST_SKIP() << "no 16-bit storage";
  constexpr int64_t kN = 31;  // an odd number of halves
  Plan plan = add_plan(kN);
  plan.kernels[0].arguments = 2;
  plan.kernels[0].uses_16bit_storage = true;
  plan.kernels[0].glsl = std::string(kHead) +
                         "layout(local_size_x = 32) in;\n"
                         "layout(push_constant, std430) uniform Push { F32 a; F16 b; };\n"
                         "void main() { uint i = gl_GlobalInvocationID.x;\n"
                         "  if (i < 31u) b.v[i] = float16_t(a.v[i]); }\n";
  plan.externals = {make_external("a", ExternalRole::kInput, kN),
                    {"b", ExternalRole::kOutput, DType::kF16, Shape{kN}, kN * 2}};
  plan.calls[0].arguments = {external_range(0, kN),
                             {BufferSpace::kExternal, 1, 0, kN * 2, DType::kF16}};
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), plan));
  std::vector<float> a(kN);
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 2);
  ASSERT_OK(executor->write("a", a));
  ASSERT_OK(executor->run());
  ASSERT_OK_AND_ASSIGN(const auto b, executor->read<uint16_t>("b"));
  for (size_t i = 0; i < b.size(); ++i) EXPECT_EQ(b[i], i % 2 == 0 ? 0 : 0x3c00) << i;
}

// C = A B with 8x8x8 matrices of halves and float accumulation: lavapipe's shape. The module passes
// by the SPIRV-Tools, which may be older than the extension.
TEST_F(FeaturesTest, CooperativeMatricesMultiply) {
  if (!device().caps().cooperative_matrix) GTEST_SKIP() << "no cooperative matrices";
  if (!device().caps().is_cpu || device().caps().subgroup_size != 8)
    GTEST_SKIP() << "8x8x8 is the shape of lavapipe at its default width";
  Plan plan = add_plan(64);
  Kernel& kernel = plan.kernels[0];
  kernel.uses_cooperative_matrix = true;
  kernel.uses_float16 = true;
  kernel.local_size = {8, 1, 1};
  kernel.glsl = std::string(kHead) +
                "#extension GL_KHR_cooperative_matrix : require\n"
                "#extension GL_KHR_memory_scope_semantics : require\n"
                "layout(local_size_x = 8) in;\n"
                "layout(push_constant, std430) uniform Push { F32 a; F32 b; F32 c; };\n"
                "shared float16_t sa[64]; shared float16_t sb[64]; shared float sc[64];\n"
                "void main() {\n"
                "  for (uint i = gl_LocalInvocationID.x; i < 64u; i += 8u) {\n"
                "    sa[i] = float16_t(a.v[i]); sb[i] = float16_t(b.v[i]); }\n"
                "  barrier();\n"
                "  coopmat<float16_t, gl_ScopeSubgroup, 8, 8, gl_MatrixUseA> ma;\n"
                "  coopmat<float16_t, gl_ScopeSubgroup, 8, 8, gl_MatrixUseB> mb;\n"
                "  coopmat<float, gl_ScopeSubgroup, 8, 8, gl_MatrixUseAccumulator> mc =\n"
                "    coopmat<float, gl_ScopeSubgroup, 8, 8, gl_MatrixUseAccumulator>(0.0);\n"
                "  coopMatLoad(ma, sa, 0, 8, gl_CooperativeMatrixLayoutRowMajor);\n"
                "  coopMatLoad(mb, sb, 0, 8, gl_CooperativeMatrixLayoutRowMajor);\n"
                "  mc = coopMatMulAdd(ma, mb, mc);\n"
                "  coopMatStore(mc, sc, 0, 8, gl_CooperativeMatrixLayoutRowMajor);\n"
                "  barrier();\n"
                "  for (uint i = gl_LocalInvocationID.x; i < 64u; i += 8u) c.v[i] = sc[i];\n"
                "}\n";
  plan.calls[0].groups = {1, 1, 1};
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), plan));
  std::vector<float> a(64), b(64);
  for (size_t i = 0; i < 64; ++i) {
    a[i] = static_cast<float>(i % 5) - 2;
    b[i] = static_cast<float>(i % 7) - 3;
  }
  ASSERT_OK(executor->write("a", a));
  ASSERT_OK(executor->write("b", b));
  ASSERT_OK(executor->run());
  ASSERT_OK_AND_ASSIGN(const auto c, executor->read<float>("c"));
  for (size_t i = 0; i < 8; ++i)
    for (size_t j = 0; j < 8; ++j) {
      float expected = 0;  // small integers: exact in every format
      for (size_t k = 0; k < 8; ++k) expected += a[i * 8 + k] * b[k * 8 + j];
      EXPECT_EQ(c[i * 8 + j], expected) << i << "," << j;
    }
}

}  // namespace
}  // namespace ito::test
