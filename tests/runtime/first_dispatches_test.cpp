// Kernels that are new to a driver on the CPU are dispatched ahead on other devices, which are gone
// afterwards.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <random>

#include "runtime/executor.h"
#include "tests/runtime/loader_hook.h"
#include "tests/runtime/plan_helper.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

namespace fs = std::filesystem;

constexpr int kKernels = 12;
constexpr int64_t kElements = 64;

// y = x + kKernels, by as many kernels, each with a text that no driver has seen before and long
// enough that making machine code of it takes tens of milliseconds.
Plan new_kernels() {
  std::random_device random;
  Plan plan = chain_plan(kElements, kKernels);
  plan.kernels.clear();
  for (uint32_t k = 0; k < kKernels; ++k) {
    std::string body = "float s = 0.0;\n";
    for (int i = 0; i < 40; ++i)
      body += "  s = sin(s + a.v[i] * " + std::to_string(1 + random() % 100000) + ".0);\n";
    body += "  b.v[i] = a.v[i] + (s < 2.0 ? 1.0 : 0.0);";
    plan.kernels.push_back(make_kernel("new_" + std::to_string(k), 2, kElements, body));
    plan.calls[k].kernel = k;
  }
  return plan;
}

// Sets a variable of the environment, or unsets it, while it lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  ~Variable() { set(before_ ? before_->c_str() : nullptr); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  void set(const char* value) const {
    if (value != nullptr)
      ::setenv(name_, value, 1);
    else
      ::unsetenv(name_);
  }

  const char* name_;
  std::optional<std::string> before_;
};

class FirstDispatchesTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::remove_all(folder_); }
  void TearDown() override {
    fs::remove_all(folder_);
    for (const std::string& message : log_.take())
      ADD_FAILURE() << "Vulkan validation: " << message;
  }
  vk::DeviceOptions options(const LoaderHook& hook) {
    vk::DeviceOptions options = device_options(log_);
    options.cache_dir = folder_;
    options.loader = hook.loader();
    return options;
  }
  // Makes the plan's kernels, runs them and looks at the result; how many submits were not the
  // device's own.
  int run(const Plan& plan, const LoaderHook& hook, const vk::DeviceOptions& options) {
    auto device = vk::Device::create(options);
    EXPECT_TRUE(device.ok()) << device.error().message;
    if (!device.ok()) return -1;
    auto executor = Executor::create(**device, plan);
    EXPECT_TRUE(executor.ok()) << executor.error().message;
    if (!executor.ok()) return -1;
    EXPECT_EQ(hook.devices_opened() - hook.devices_closed(), 1) << "other devices are left";
    EXPECT_TRUE((*executor)->run().ok());
    auto y = (*executor)->read<float>("y");
    EXPECT_TRUE(y.ok());
    if (y.ok()) {
      EXPECT_EQ(*y, std::vector<float>(kElements, kKernels));
    }
    EXPECT_EQ((*device)->counters().pipelines_created, uint64_t{kKernels});
    return hook.submits() - static_cast<int>((*device)->counters().submits);
  }

  fs::path folder_ =
      fs::temp_directory_path() / ("ito-first-dispatches-" + std::to_string(getpid()));
  // Mesa's driver keeps its machine code here, wherever it would elsewhere or not at all.
  Variable driver_folder_{"MESA_SHADER_CACHE_DIR", (folder_ / "driver").c_str()};
  Variable driver_keeps_{"MESA_SHADER_CACHE_DISABLE", nullptr};
  ValidationLog log_;
};

// Whether they help is measured, and a busy machine may answer wrongly; not five times over.
constexpr int kAttempts = 5;

TEST_F(FirstDispatchesTest, AreMadeOfNewKernelsOnly) {
  for (int attempt = 1;; ++attempt) {
    const Plan plan = new_kernels();
    int ahead = 0;
    {
      LoaderHook hook;
      vk::DeviceOptions wanted = options(hook);
      wanted.compile_threads = 2;
      ahead = run(plan, hook, wanted);
      EXPECT_EQ(hook.devices_opened(), 3);
    }
    if (ahead <= kKernels && attempt < kAttempts) continue;
    // One for each kernel, and the first kernel's trials.
    EXPECT_GT(ahead, kKernels);
    EXPECT_LE(ahead, kKernels + vk::FirstDispatches::kTrials);
    LoaderHook hook;
    EXPECT_EQ(run(plan, hook, options(hook)), 0);
    EXPECT_EQ(hook.devices_opened(), 1);
    return;
  }
}

TEST_F(FirstDispatchesTest, StopWhereTheDriverKeepsNothing) {
  const Variable keeps_nothing("MESA_SHADER_CACHE_DISABLE", "true");
  int ahead = 0;
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    LoaderHook hook;
    ahead = run(new_kernels(), hook, options(hook));
    EXPECT_EQ(hook.devices_closed(), hook.devices_opened());
    if (ahead <= 1 + vk::FirstDispatches::kTrials) break;
  }
  EXPECT_EQ(ahead, 1 + vk::FirstDispatches::kTrials);
}

TEST_F(FirstDispatchesTest, AreDoneWithoutWhereNoOtherDeviceOpens) {
  LoaderHook hook;
  hook.limit_devices(1);
  EXPECT_EQ(run(new_kernels(), hook, options(hook)), 0);
}

}  // namespace
}  // namespace ito::test
