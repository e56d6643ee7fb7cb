#include "runtime/watchdog.h"

#include <gtest/gtest.h>

#include "tests/runtime/plan_helper.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

class WatchdogTest : public VulkanTest {};

TEST_F(WatchdogTest, NamesTheFirstCallThatMakesANan) {
  Plan plan = chain_plan(100, 5);
  plan.kernels.push_back(make_kernel(
      "log", 2, 100, "b.v[i] = a.v[i] > 0.0 ? log(a.v[i]) : uintBitsToFloat(0x7fc00000u);"));
  plan.calls[3].kernel = 1;  // x + 3 is positive but for one element
  plan.calls[3].label = "the logarithm";
  ASSERT_OK_AND_ASSIGN(auto executor, Executor::create(device(), plan));
  std::vector<float> x(100, 1.0f);
  ASSERT_OK(executor->write("x", x));
  ASSERT_OK_AND_ASSIGN(auto found, find_non_finite(*executor));
  EXPECT_FALSE(found.has_value());

  x[99 - 17] = -10.0f;  // three reversals bring it to 17
  ASSERT_OK(executor->write("x", x));
  ASSERT_OK_AND_ASSIGN(found, find_non_finite(*executor));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->call, 3u);
  EXPECT_EQ(found->argument, 1u);
  EXPECT_EQ(found->element, 17u);
  EXPECT_NE(found->text.find("'the logarithm' (kernel 'log')"), std::string::npos) << found->text;
}

TEST_F(WatchdogTest, IntegersAreNotTakenForFloats) {
  Plan plan = add_plan(4);
  plan.kernels[0] = make_kernel("bits", 3, 4, "c.v[i] = uintBitsToFloat(0xffffffffu);");
  ASSERT_OK_AND_ASSIGN(auto floats, Executor::create(device(), plan));
  ASSERT_OK_AND_ASSIGN(auto found, find_non_finite(*floats));
  EXPECT_TRUE(found.has_value());
  plan.calls[0].arguments[2].dtype = DType::kU32;
  ASSERT_OK_AND_ASSIGN(auto integers, Executor::create(device(), plan));
  ASSERT_OK_AND_ASSIGN(found, find_non_finite(*integers));
  EXPECT_FALSE(found.has_value());
}

TEST_F(WatchdogTest, NamesACallThatWritesWhatItDoesNotDeclare) {
  Plan plan = chain_plan(64, 4);
  ASSERT_OK_AND_ASSIGN(auto good, Executor::create(device(), plan));
  ASSERT_OK(good->write("x", std::vector<float>(64, 1.0f)));
  ASSERT_OK_AND_ASSIGN(auto found, find_stray_write(*good));
  EXPECT_FALSE(found.has_value()) << found->text;

  plan.kernels.push_back(make_kernel("stray", 2, 64, "b.v[i] = 0.0; a.v[5] = 7.0;"));
  plan.calls[2].kernel = 1;
  ASSERT_OK_AND_ASSIGN(auto bad, Executor::create(device(), plan));
  ASSERT_OK(bad->write("x", std::vector<float>(64, 1.0f)));
  ASSERT_OK_AND_ASSIGN(found, find_stray_write(*bad));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->call, 2u);
  EXPECT_NE(found->text.find("(kernel 'stray') changed byte"), std::string::npos) << found->text;
}

}  // namespace
}  // namespace ito::test
