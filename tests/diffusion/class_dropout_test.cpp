#include "diffusion/class_dropout.h"

#include <cmath>

#include "tests/diffusion/evaluate.h"

namespace ito {
namespace {

TEST(ClassDropout, ReplacesTheShareItIsTold) {
  constexpr int64_t n = 20000;
  constexpr int kNull = 10;
  Graph graph;
  const auto [key, image, step] = test::draws(graph, n);
  const Tensor labels = full(graph, {n}, 4, DType::kU32);
  const auto dropped = [&](double p) { return drop_labels(labels, kNull, p, key, image, step); };
  const auto values = test::evaluate({dropped(0), dropped(0.2), dropped(1)});
  double share = 0;
  for (size_t i = 0; i < n; ++i) {
    EXPECT_EQ(values[0].data[i], 4);
    EXPECT_EQ(values[2].data[i], kNull);
    ASSERT_TRUE(values[1].data[i] == 4 || values[1].data[i] == kNull);
    share += values[1].data[i] == kNull ? 1.0 / n : 0;
  }
  EXPECT_NEAR(share, 0.2, 4 * std::sqrt(0.16 / n));  // four standard errors
}

TEST(ClassDropout, ASplitBatchDropsTheSame) {
  Graph graph;
  const auto whole = test::draws(graph, 64), part = test::draws(graph, 16, 48);
  const auto drop = [&](const test::Draws& d, int64_t n) {
    return drop_labels(full(graph, {n}, 1, DType::kU32), 9, 0.5, d.key, d.image, d.step);
  };
  const auto values = test::evaluate({drop(whole, 64), drop(part, 16)});
  for (size_t i = 0; i < 16; ++i) EXPECT_EQ(values[1].data[i], values[0].data[48 + i]);
}

}  // namespace
}  // namespace ito
