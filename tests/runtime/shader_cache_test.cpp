#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "runtime/executor.h"
#include "runtime/vk/disk_cache.h"
#include "tests/runtime/plan_helper.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

namespace fs = std::filesystem;

class ShaderCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() /
              ("ito-cache-test-" + std::to_string(getpid()) + "-" +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
  }
  void TearDown() override {
    fs::remove_all(folder_);
    for (const std::string& message : log_.take())
      ADD_FAILURE() << "Vulkan validation: " << message;
  }
  vk::DeviceOptions options() {
    vk::DeviceOptions options = device_options(log_);
    options.cache_dir = folder_;
    return options;
  }
  // Starts anew: device, executor, one run whose result is checked. Gives the counters.
  vk::Counters start(const std::string& cache_dir) {
    vk::DeviceOptions wanted = options();
    wanted.cache_dir = cache_dir;
    auto device = vk::Device::create(wanted);
    EXPECT_TRUE(device.ok()) << device.error().message;
    if (!device.ok()) return {};
    Plan plan = chain_plan(64, 2);
    plan.kernels.push_back(make_kernel("plus_two", 2, 64, "b.v[i] = a.v[i] + 2.0;"));
    plan.calls[1].kernel = 1;
    auto executor = Executor::create(**device, plan);
    EXPECT_TRUE(executor.ok()) << executor.error().message;
    if (!executor.ok()) return {};
    EXPECT_TRUE((*executor)->run().ok());
    auto y = (*executor)->read<float>("y");
    EXPECT_TRUE(y.ok());
    if (y.ok()) {
      EXPECT_EQ(*y, std::vector<float>(64, 3.0f));
    }
    return (*device)->counters();
  }
  vk::Counters start() { return start(folder_); }

  std::vector<fs::path> files(const std::string& below) {
    std::vector<fs::path> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / below))
      if (entry.is_regular_file()) found.push_back(entry.path());
    return found;
  }

  fs::path folder_;
  ValidationLog log_;
};

TEST_F(ShaderCacheTest, AWarmStartCompilesNothing) {
  const vk::Counters cold = start();
  EXPECT_EQ(cold.glsl_compilations, 2u);
  EXPECT_EQ(cold.shader_cache_hits, 0u);
  EXPECT_EQ(files("shaders").size(), 2u);
  const vk::Counters warm = start();
  EXPECT_EQ(warm.glsl_compilations, 0u);
  EXPECT_EQ(warm.shader_cache_hits, 2u);
  EXPECT_EQ(files("shaders").size(), 2u) << "nothing temporary is left behind";
}

TEST_F(ShaderCacheTest, DamagedEntriesAreIgnoredAndReplaced) {
  start();
  const auto damage = {
      +[](const fs::path& path) { fs::resize_file(path, 20); },
      +[](const fs::path& path) { fs::resize_file(path, 0); },
      +[](const fs::path& path) { fs::resize_file(path, fs::file_size(path) - 4); },
      +[](const fs::path& path) {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(100);
        file.put('x');
      },
      +[](const fs::path& path) { std::ofstream(path) << "not a cache entry"; }};
  for (const auto& harm : damage) {
    for (const char* below : {"shaders", "pipelines"})
      for (const fs::path& path : files(below)) harm(path);
    EXPECT_EQ(start().glsl_compilations, 2u);
    EXPECT_EQ(start().glsl_compilations, 0u) << "the entry was written anew";
  }
}

TEST_F(ShaderCacheTest, AnUnwritableFolderOnlyCostsTime) {
  fs::create_directories(folder_);
  std::ofstream(folder_ / "file") << "a file, so no folder can be made below it";
  EXPECT_EQ(start(folder_ / "file").glsl_compilations, 2u);
  EXPECT_EQ(start("").glsl_compilations, 2u);
}

TEST_F(ShaderCacheTest, BadGlslNamesTheKernelAndTheLine) {
  auto device = vk::Device::create(options());
  ASSERT_OK(device);
  Plan plan = add_plan(8);
  plan.kernels[0] = make_kernel("map_broken", 3, 8, "c.v[i] = undefined_thing;");
  const auto executor = Executor::create(**device, plan);
  ASSERT_FALSE(executor.ok());
  EXPECT_EQ(executor.error().message,
            "kernel 'map_broken' does not compile: line 13: 'undefined_thing' : undeclared "
            "identifier: \"c.v[i] = undefined_thing;\"");
  EXPECT_TRUE(!fs::exists(folder_ / "shaders") || files("shaders").empty());
}

TEST_F(ShaderCacheTest, KernelsBeyondTheDeviceAreNamed) {
  vk::DeviceOptions baseline = options();
  baseline.allowed = {.buffer_device_address = true};
  auto device = vk::Device::create(baseline);
  ASSERT_OK(device);
  Plan plan = add_plan(8);
  plan.kernels[0].uses_cooperative_matrix = true;
  const auto matrix = Executor::create(**device, plan);
  ASSERT_FALSE(matrix.ok());
  EXPECT_NE(matrix.error().message.find("kernel 'add' uses cooperative matrices"),
            std::string::npos);
  plan = add_plan(8);
  plan.kernels[0].local_size = {1u << 20, 1, 1};
  const auto wide = Executor::create(**device, plan);
  ASSERT_FALSE(wide.ok());
  EXPECT_NE(wide.error().message.find("more than '"), std::string::npos);
}

// Accesses of shared memory of a kernel with cooperative matrices say that they are shared, and
// leave it to the barriers to make them visible.
TEST(OptimiseSpirv, AccessesOfSharedMemoryDoNotOrderThemselves) {
  const std::string glsl =
      "#version 450\n"
      "#extension GL_KHR_cooperative_matrix : require\n"
      "#extension GL_KHR_memory_scope_semantics : require\n"
      "#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require\n"
      "layout(local_size_x = 8) in;\n"
      "shared float16_t tile[64]; shared float sums[64];\n"
      "void main() {\n"
      "  tile[gl_LocalInvocationID.x] = float16_t(1.0);\n"
      "  barrier();\n"
      "  coopmat<float16_t, gl_ScopeSubgroup, 8, 8, gl_MatrixUseA> a;\n"
      "  coopmat<float16_t, gl_ScopeSubgroup, 8, 8, gl_MatrixUseB> b;\n"
      "  coopmat<float, gl_ScopeSubgroup, 8, 8, gl_MatrixUseAccumulator> c =\n"
      "    coopmat<float, gl_ScopeSubgroup, 8, 8, gl_MatrixUseAccumulator>(0.0);\n"
      "  coopMatLoad(a, tile, 0, 8, gl_CooperativeMatrixLayoutRowMajor);\n"
      "  coopMatLoad(b, tile, 0, 8, gl_CooperativeMatrixLayoutRowMajor);\n"
      "  c = coopMatMulAdd(a, b, c);\n"
      "  coopMatStore(c, sums, 0, 8, gl_CooperativeMatrixLayoutRowMajor);\n"
      "}\n";
  const auto device = vk::Device::create();  // whose compiler has started glslang
  ASSERT_OK(device);
  ASSERT_OK_AND_ASSIGN(const vk::Spirv written, vk::compile_glsl("matrix", glsl));
  ASSERT_OK_AND_ASSIGN(const vk::Spirv spirv,
                       vk::optimise_spirv("matrix", written, vk::SpirvRecipe::kCheap));
  // Of each load and store of matrices: its memory operands, and words behind them.
  const auto masks = [](const vk::Spirv& module) {
    std::vector<std::pair<uint32_t, uint32_t>> found;
    for (size_t at = 5; at < module.size(); at += module[at] >> 16) {
      const uint32_t op = module[at] & 0xffff, words = module[at] >> 16;
      const uint32_t mask_at = op == 4457 ? 6 : op == 4458 ? 5 : 0;
      if (mask_at != 0) found.emplace_back(module[at + mask_at], words - mask_at - 1);
    }
    return found;
  };
  constexpr uint32_t kNonPrivate = 0x20;
  ASSERT_EQ(masks(written).size(), 3u);
  for (const auto& [mask, more] : masks(written)) EXPECT_EQ(more, 1u);  // the scope
  ASSERT_EQ(masks(spirv).size(), 3u);
  for (const auto& [mask, more] : masks(spirv)) {
    EXPECT_EQ(mask, kNonPrivate);
    EXPECT_EQ(more, 0u);
  }
}

TEST_F(ShaderCacheTest, ProgramsShareEqualKernels) {
  auto device = vk::Device::create(options());
  ASSERT_OK(device);
  Plan plan = add_plan(8);
  plan.kernels.push_back(plan.kernels[0]);
  auto first = Executor::create(**device, plan);
  auto second = Executor::create(**device, plan);
  ASSERT_OK(first);
  ASSERT_OK(second);
  EXPECT_EQ((*device)->counters().pipelines_created, 1u);
}

TEST(DiskCache, KeysDependOnEveryPartAndItsBoundaries) {
  auto key = [](std::vector<std::string_view> parts) { return vk::cache_key(parts); };
  EXPECT_EQ(key({"ab", "c"}), key({"ab", "c"}));
  EXPECT_FALSE(key({"ab", "c"}) == key({"a", "bc"}));
  EXPECT_FALSE(key({"ab", "c"}) == key({"abc"}));
  EXPECT_FALSE(key({"a"}) == key({"a", ""}));
  EXPECT_EQ(key({"a"}).hex().size(), 32u);
}

}  // namespace
}  // namespace ito::test
