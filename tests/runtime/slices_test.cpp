#include "runtime/slices.h"

#include <gtest/gtest.h>

#include "tests/runtime/plan_helper.h"

namespace ito::test {
namespace {

Plan plan_of(const std::vector<std::array<uint32_t, 3>>& groups) {
  Plan plan;
  plan.kernels.resize(1);
  for (const auto& g : groups) {
    KernelCall call;
    call.groups = g;
    call.barrier_before = true;
    plan.calls.push_back(call);
  }
  return plan;
}

TEST(Slices, ShortCallsShareASubmission) {
  const Plan plan = plan_of({{4, 1, 1}, {4, 1, 1}, {4, 1, 1}, {4, 1, 1}, {4, 1, 1}});
  const std::vector<double> ms = {40, 40, 40, 10, 10};
  const auto slices = slice_calls(plan, ms, 100);
  ASSERT_EQ(slices.size(), 2u);
  EXPECT_EQ(slices[0].dispatches.size(), 2u);
  EXPECT_EQ(slices[1].dispatches.size(), 3u);
  EXPECT_DOUBLE_EQ(slices[0].estimated_ms, 80);
  EXPECT_DOUBLE_EQ(slices[1].estimated_ms, 60);
}

TEST(Slices, ALongCallIsCoveredExactlyOnceByItsParts) {
  const Plan plan = plan_of({{3, 17, 2}});
  const auto slices = slice_calls(plan, std::vector<double>{450}, 100);
  ASSERT_EQ(slices.size(), 5u);
  uint32_t next = 0;
  for (const Slice& slice : slices) {
    ASSERT_EQ(slice.dispatches.size(), 1u);
    const Dispatch& d = slice.dispatches[0];
    EXPECT_EQ(d.base, (std::array<uint32_t, 3>{0, next, 0}));
    EXPECT_EQ(d.groups[0], 3u);
    EXPECT_GT(d.groups[1], 0u);
    EXPECT_EQ(d.groups[2], 2u);
    EXPECT_EQ(d.barrier_before, next == 0) << "parts of one call do not wait for each other";
    next += d.groups[1];
  }
  EXPECT_EQ(next, 17u);
}

TEST(Slices, ASingleGroupCannotBeSplit) {
  const Plan plan = plan_of({{1, 1, 1}});
  EXPECT_EQ(slice_calls(plan, std::vector<double>{1000}, 100).size(), 1u);
}

TEST(Slices, LearningScalesEstimatesToTheMeasuredTimes) {
  const Plan plan = plan_of({{8, 1, 1}, {8, 1, 1}, {8, 1, 1}});
  std::vector<double> ms = {200, 50, 50};
  const auto slices = slice_calls(plan, ms, 100);  // two halves of the first, then the others
  ASSERT_EQ(slices.size(), 3u);
  learn_call_ms(slices, std::vector<double>{10, 30, 50}, plan, ms);
  EXPECT_DOUBLE_EQ(ms[0], 40);
  EXPECT_DOUBLE_EQ(ms[1], 25);
  EXPECT_DOUBLE_EQ(ms[2], 25);
}

TEST(Slices, GuessesGrowWithWork) {
  Plan plan = plan_of({{1, 1, 1}, {1, 1, 1}, {1, 1, 1}});
  plan.calls[1].flops = 1'000'000'000;
  plan.calls[2].bytes_read = 1'000'000'000;
  DeviceCaps cpu;
  cpu.is_cpu = true;
  const auto on_cpu = guess_call_ms(plan, cpu);
  EXPECT_LT(on_cpu[0], 0.1);
  EXPECT_GT(on_cpu[1], 100);
  EXPECT_GT(on_cpu[2], 100);
  EXPECT_LT(guess_call_ms(plan, DeviceCaps{})[1], on_cpu[1]);
}

}  // namespace
}  // namespace ito::test
