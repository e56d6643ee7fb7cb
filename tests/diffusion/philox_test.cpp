
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "graph/builder.h"
#include "graph/interpret.h"
#include "tests/diffusion/philox_normal.h"

namespace ito {
namespace {

TEST(Philox, HostAndGraphDrawTheSameNormals) {
  Graph graph;
  const Shape shape{3, 2, 3, 5};
  const Tensor key = input(graph, "key", {2}, DType::kU32);
  const Tensor image = input(graph, "image", {3}, DType::kU32);
  const Tensor step = input(graph, "step", {}, DType::kU32);
  const auto drawn = interpret({random_normal(shape, key, image, step, 9)},
                               {{"key", {{2}, {123456789, 4000000000}}},
                                {"image", {{3}, {0, 5, 4294967295}}},
                                {"step", {{}, {17}}}});
  ASSERT_TRUE(drawn.ok()) << drawn.error().message;
  const std::array<uint32_t, 3> images = {0, 5, 4294967295};
  for (size_t i = 0; i < 3; ++i) {
    std::vector<double> expected(30);
    test::philox_fill_normal(expected, {123456789, 4000000000}, images[i], 17, 9);
    for (size_t e = 0; e < 30; ++e)
      ASSERT_NEAR((*drawn)[0].data[i * 30 + e], expected[e], 1e-6) << i << " " << e;
  }
}

}  // namespace
}  // namespace ito
