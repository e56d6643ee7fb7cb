// Randomness as a value: known answers, distribution, and the accuracy of the single precision
// formulas.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "graph/builder.h"
#include "graph/interpret.h"

namespace ito {
namespace {

using V = std::vector<double>;

V values(Tensor x) {
  Result<std::vector<HostValue>> result = interpret({x}, {});
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
  return (*result)[0].data;
}

Tensor words(Graph& graph, V data) {
  int64_t n = static_cast<int64_t>(data.size());
  return constant(graph, {n}, std::move(data), DType::kU32);
}

Tensor word(Graph& graph, uint32_t value) { return scalar(graph, value, DType::kU32); }

TEST(Philox, GivesThePublishedKnownAnswers) {
  Graph graph;
  Tensor lane = iota(graph, {4}, 0), zero = word(graph, 0);
  EXPECT_EQ(values(philox_bits(zero, zero, zero, zero, words(graph, {0, 0}), lane)),
            (V{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  Tensor key = words(graph, {0xa4093822, 0x299f31d0});
  EXPECT_EQ(values(philox_bits(word(graph, 0x243f6a88), word(graph, 0x85a308d3),
                               word(graph, 0x13198a2e), word(graph, 0x03707344), key, lane)),
            (V{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomNormal, IsBoxMullerOfThePhiloxWords) {
  Graph graph;
  Tensor key = words(graph, {123, 456}), image = words(graph, {5, 9});
  V normals = values(random_normal({2, 3, 2}, key, image, word(graph, 17), 3));
  for (int n = 0; n < 2; ++n)
    for (int e = 0; e < 6; ++e) {
      V u = values(philox_bits(word(graph, uint32_t(e) / 4), word(graph, n == 0 ? 5 : 9),
                               word(graph, 17), word(graph, 3), key, iota(graph, {4}, 0)));
      for (double& x : u) x = (x + 0.5) / 4294967296.0;
      const size_t pair = e % 4 < 2 ? 0 : 2;
      const double r = std::sqrt(-2 * std::log(u[pair])), angle = 2 * M_PI * u[pair + 1];
      const double expected = r * (e % 2 == 0 ? std::cos(angle) : std::sin(angle));
      EXPECT_NEAR(normals[size_t(n * 6 + e)], expected, 1e-9) << n << " " << e;
    }
}

TEST(RandomNormal, DoesNotDependOnTheBatchItIsDrawnIn) {
  Graph graph;
  Tensor key = words(graph, {1, 2}), step = word(graph, 4);
  V together = values(random_normal({3, 10}, key, words(graph, {7, 8, 9}), step, 0));
  V alone = values(random_normal({1, 10}, key, words(graph, {8}), step, 0));
  EXPECT_EQ(V(together.begin() + 10, together.begin() + 20), alone);
}

TEST(RandomNormal, HasTheMomentsOfANormal) {
  Graph graph;
  Tensor key = words(graph, {3, 4}), step = word(graph, 0);
  V z = values(random_normal({2, 50000}, key, words(graph, {0, 1}), step, 0));
  double m[5] = {};
  for (double v : z)
    for (int k = 1; k <= 4; ++k) m[k] += std::pow(v, k) / double(z.size());
  // Five standard errors of each moment at n = 1e5.
  EXPECT_NEAR(m[1], 0, 5 * std::sqrt(1 / 1e5));
  EXPECT_NEAR(m[2], 1, 5 * std::sqrt(2 / 1e5));
  EXPECT_NEAR(m[3], 0, 5 * std::sqrt(15 / 1e5));
  EXPECT_NEAR(m[4], 3, 5 * std::sqrt(96 / 1e5));
}

TEST(RandomNormal, StreamsAndStepsDiffer) {
  Graph graph;
  Tensor key = words(graph, {3, 4}), image = words(graph, {0});
  V a = values(random_normal({1, 4}, key, image, word(graph, 0), 0));
  V b = values(random_normal({1, 4}, key, image, word(graph, 0), 1));
  V c = values(random_normal({1, 4}, key, image, word(graph, 1), 0));
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NE(a[i], b[i]);
    EXPECT_NE(a[i], c[i]);
    EXPECT_NE(b[i], c[i]);
  }
}

TEST(BitsToNormal, IsExactAtTheEndsOfTheUnitInterval) {
  Graph graph;
  for (double x : {0.0, 1.0, 1000.0, 2147483648.0, 3221225472.0, 3221225473.0, 4294967040.0,
                   4294967294.0, 4294967295.0}) {
    // angle word 0: cos is 1 up to 1e-19
    Tensor even = words(graph, {x}), odd = words(graph, {0});
    Tensor first = full(graph, {1}, 0, DType::kBool);
    const double delta = (4294967295.0 - x + 0.5) / 4294967296.0;
    EXPECT_NEAR(values(bits_to_normal(even, odd, first))[0], std::sqrt(-2 * std::log1p(-delta)),
                1e-8)
        << x;
  }
}

TEST(BitsToUniform, StaysInsideTheOpenInterval) {
  Graph graph;
  V u = values(bits_to_uniform(words(graph, {0, 2147483648.0, 4294967295.0})));
  EXPECT_EQ(u[0], 0.5 / 4294967296.0);
  EXPECT_NEAR(u[1], 0.5, 1e-9);
  EXPECT_LT(static_cast<float>(u[2]), 1.0f);
}

TEST(RandomIndex, IsTheScaledUniformInExactIntegers) {
  Graph graph;
  Tensor key = words(graph, {8, 8}), image = iota(graph, {2000}, 0);
  for (uint32_t bound : {1u, 2u, 7u, 1000u, 65536u}) {
    V index = values(random_index(key, image, word(graph, 1), 2, bound));
    Tensor bits =
        philox_bits(word(graph, 0), image, word(graph, 1), word(graph, 2), key, word(graph, 0));
    V x = values(bits);
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_EQ(index[i], std::floor((x[i] + 0.5) * bound / 4294967296.0)) << bound;
  }
}

}  // namespace
}  // namespace ito
