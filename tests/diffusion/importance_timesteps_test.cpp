#include "diffusion/importance_timesteps.h"

#include <cmath>
#include <deque>

#include "tests/diffusion/evaluate.h"

namespace ito {
namespace {

using test::evaluate;
using Values = std::vector<double>;

TimestepHistory history_of(Graph& graph, const std::vector<std::deque<double>>& lists, int64_t K) {
  Values losses, counts;
  for (const auto& list : lists) {
    for (size_t k = 0; k < static_cast<size_t>(K); ++k)
      losses.push_back(k < list.size() ? list[k] : 0);
    counts.push_back(static_cast<double>(list.size()));
  }
  const int64_t T = static_cast<int64_t>(lists.size());
  return {.losses = constant(graph, {T, K}, losses),
          .count = constant(graph, {T}, counts, DType::kU32)};
}

// Batches with repetitions, more of one timestep than fit, and timesteps that never come.
TEST(ImportanceTimesteps, HistoryIsThatOfAppendingOneByOne) {
  constexpr int64_t K = 3;
  std::vector<std::deque<double>> lists(5);
  const std::vector<std::vector<int>> batches = {
      {0, 0, 1, 4, 0}, {0, 2, 2, 2, 2}, {1, 1, 0, 4, 2}, {2, 2, 2, 2, 2}, {4, 1, 4, 1, 4}};
  double loss = 0.5;
  for (const std::vector<int>& batch : batches) {
    Graph graph;
    const TimestepHistory before = history_of(graph, lists, K);
    Values t, values;
    for (const int each : batch) {
      t.push_back(each);
      values.push_back(loss);
      auto& list = lists[static_cast<size_t>(each)];
      list.push_back(loss);
      if (list.size() > static_cast<size_t>(K)) list.pop_front();
      loss += 0.25;
    }
    const int64_t n = static_cast<int64_t>(batch.size());
    const TimestepHistory after =
        with_losses(before, constant(graph, {n}, t, DType::kU32), constant(graph, {n}, values));
    const TimestepHistory expected = history_of(graph, lists, K);
    const auto found = evaluate({after.losses, after.count, expected.losses, expected.count});
    EXPECT_EQ(found[0].data, found[2].data);
    EXPECT_EQ(found[1].data, found[3].data);
  }
}

TEST(ImportanceTimesteps, UniformUntilEveryHistoryIsFull) {
  Graph graph;
  const auto p = [&](size_t last) {
    return timestep_probabilities(
        history_of(graph,
                   {{3, 4}, {1, 1}, last == 2 ? std::deque<double>{0, 2} : std::deque<double>{2}},
                   2),
        0.1);
  };
  const auto values = evaluate({p(1), p(2)});
  for (const double each : values[0].data) EXPECT_DOUBLE_EQ(each, 1.0 / 3);
  const Values moments = {std::sqrt(12.5), 1, std::sqrt(2.0)};
  const double sum = moments[0] + moments[1] + moments[2];
  for (size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(values[1].data[i], 0.9 * moments[i] / sum + 0.1 / 3, 1e-12);
}

TEST(ImportanceTimesteps, DrawsFollowTheProbabilitiesAndWeightsUndoThem) {
  constexpr int64_t n = 20000;
  Graph graph;
  const Values p = {0.05, 0, 0.6, 0.35};
  const auto [key, image, step] = test::draws(graph, n);
  const WeightedTimesteps drawn =
      draw_weighted_timesteps(constant(graph, {4}, p), key, image, step);
  const auto values = evaluate({drawn.timestep, drawn.weight});
  Values share(4, 0);
  for (size_t i = 0; i < n; ++i) {
    const size_t t = static_cast<size_t>(values[0].data[i]);
    ASSERT_LT(t, 4u);
    share[t] += 1.0 / n;
    ASSERT_NEAR(values[1].data[i], 1 / (4 * p[t]), 1e-9);
  }
  // Four standard errors.
  for (size_t t = 0; t < 4; ++t)
    EXPECT_NEAR(share[t], p[t], 4 * std::sqrt(p[t] * (1 - p[t]) / n) + 1e-12);
  const auto part = test::draws(graph, 5, n - 5);
  const auto again = evaluate(
      {draw_weighted_timesteps(constant(graph, {4}, p), part.key, part.image, part.step).timestep});
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(again[0].data[i], values[0].data[n - 5 + i]);
}

}  // namespace
}  // namespace ito
