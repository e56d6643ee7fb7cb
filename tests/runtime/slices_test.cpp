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

// Records a plan in pieces of a budget; gives the dispatches of each.
std::vector<std::vector<Dispatch>> pieces_of(const Plan& plan, std::span<const double> ms,
                                             SliceBudget each) {
  std::vector<std::vector<Dispatch>> pieces;
  for (CallCursor cursor; cursor.call < plan.calls.size();) {
    std::vector<Dispatch>& piece = pieces.emplace_back();
    SliceBudget budget = each;
    while (const auto dispatch =
               next_dispatch(plan, ms, plan.calls.size(), cursor, budget, piece.empty()))
      piece.push_back(*dispatch);
    if (piece.empty()) return {};  // it would never end
  }
  return pieces;
}

TEST(Slices, PiecesOfAnyBudgetCoverEachCallOnceAndInOrder) {
  const Plan plan = plan_of({{4, 1, 1}, {3, 17, 2}, {1, 1, 1}, {1, 1, 9}});
  const std::vector<double> ms = {1, 34, 5, 0};
  for (const double budget_ms : {0.0, 0.5, 1.0, 2.0, 7.0, 39.0, 40.0, 1e9}) {
    for (const uint32_t dispatches : {1u, 2u, 100u}) {
      const auto pieces = pieces_of(plan, ms, {budget_ms, dispatches});
      ASSERT_FALSE(pieces.empty());
      std::vector<uint32_t> done(plan.calls.size(), 0);
      uint32_t last = 0;
      for (const auto& piece : pieces) {
        EXPECT_LE(piece.size(), dispatches);
        double sum = 0;
        uint32_t layers = 0;
        for (const Dispatch& d : piece) {
          const std::array<uint32_t, 3>& all = plan.calls[d.call].groups;
          const size_t axis =
              static_cast<size_t>(std::max_element(all.begin(), all.end()) - all.begin());
          EXPECT_GE(d.call, last);
          last = d.call;
          EXPECT_EQ(d.base[axis], done[d.call]);
          EXPECT_EQ(d.barrier_before, done[d.call] == 0);
          done[d.call] += d.groups[axis];
          layers += d.groups[axis];
          sum += ms[d.call] * d.groups[axis] / all[axis];
        }
        // A first layer of groups is taken whatever it costs; what costs nothing always fits.
        EXPECT_TRUE(layers == 1 || sum <= budget_ms + 1e-9 || ms[piece.back().call] == 0)
            << sum << " of " << budget_ms;
      }
      EXPECT_EQ(done, (std::vector<uint32_t>{4, 17, 1, 9}));
      EXPECT_TRUE(pieces.size() == 1 || budget_ms < 40 || dispatches < 4);
    }
  }
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
