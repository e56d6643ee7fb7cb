// The blocks for which diffusers' own tests state values: PyTorch's default weights and inputs
// drawn from its generator, first seed 0. Tolerance 2e-4: PyTorch computed them in float32 and
// states four decimals.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "graph/interpret.h"
#include "graph/program.h"
#include "nn/unet2d_blocks.h"
#include "torch_random.h"

namespace ito {

inline constexpr double kTolerance = 2e-4;

// The first three of output[0, -1, -3:, -3:] in PyTorch's order: last channel, third row from
// below, last three columns.
inline void expect_slice(const HostValue& y, std::array<double, 3> expected) {
  ASSERT_EQ(y.shape.rank(), 4);
  const int64_t h = y.shape[1], w = y.shape[2], c = y.shape[3];
  for (int64_t i = 0; i < 3; ++i) {
    const int64_t at = (((h - 3) * w) + w - 3 + i) * c + c - 1;
    EXPECT_NEAR(y.data[static_cast<size_t>(at)], expected[static_cast<size_t>(i)], kTolerance);
  }
}

// A network of one image [n,c,h,w], drawn first, and possibly an embedding [n,128], drawn second.
struct Case {
  int64_t n = 1, c = 1, h = 1, w = 1;
  bool embedding = false;
  bool skip = false;  // a skip connection like the image, from seed 1, which then draws the weights
  bool image = false;  // NCSN++: a three-channel image of the same size, drawn third
};
using BlockFunction = std::function<Tensor(const Scope&, Tensor x, Tensor embedding, UNetState&)>;

template <typename Number>
HostValue block_value(Shape shape, const std::vector<Number>& data) {
  return {std::move(shape), std::vector<double>(data.begin(), data.end())};
}

// A block as a program of the output "y", and what it is run on.
struct BlockRun {
  Program program;
  std::unordered_map<std::string, HostValue> inputs;
};
inline BlockRun block_run(const Case& shape, const BlockFunction& network) {
  const Shape x_shape{shape.n, shape.h, shape.w, shape.c};
  const auto build = [&](Graph& graph, const Scope& scope) {
    const Tensor x = input(graph, "x", x_shape);
    const Tensor e = input(graph, "embedding", Shape{shape.n, 128});
    UNetState state{.x = x, .image = {}, .skips = {}};
    if (shape.skip) state.skips.push_back(input(graph, "skip", x_shape));
    if (shape.image) {
      state.image = input(graph, "image", Shape{shape.n, shape.h, shape.w, 3});
    }
    return network(scope, x, e, state);
  };
  const ParameterSet set =
      declare_parameters([&](Graph& graph, const Scope& scope) { build(graph, scope); });
  TorchRandom random(0);
  const auto draw = [&](TorchRandom& from, int64_t channels) {
    const auto values = from.normal(static_cast<size_t>(shape.n * channels * shape.h * shape.w));
    return block_value(Shape{shape.n, shape.h, shape.w, channels},
                       channels_last(values, shape.n, channels, shape.h, shape.w));
  };
  std::unordered_map<std::string, HostValue> inputs;
  inputs["x"] = draw(random, shape.c);
  inputs["embedding"] = block_value(Shape{shape.n, 128}, std::vector<double>());
  inputs["embedding"].data.resize(static_cast<size_t>(shape.n) * 128);
  if (shape.embedding) {
    inputs["embedding"] =
        block_value(Shape{shape.n, 128}, random.normal(static_cast<size_t>(shape.n) * 128));
  }
  if (shape.skip) {
    random = TorchRandom(1);
    inputs["skip"] = draw(random, shape.c);
  }
  if (shape.image) inputs["image"] = draw(random, 3);
  inputs["params"] = block_value(Shape{set.size()}, torch_parameters(set, random));
  Program program;
  program.name = "block";
  Graph& graph = *program.graph;
  const Tensor flat = input(graph, "params", Shape{set.size()});
  program.output("y", build(graph, Scope(set, flat)));
  return {std::move(program), std::move(inputs)};
}

inline UNet2DConfig block_config(const char* down, const char* up) {
  UNet2DConfig config;
  config.block_out_channels = {32, 32};  // two, so that the first block resamples
  config.down_block_types = {down, down};
  config.up_block_types = {up, up};
  config.norm_eps = 1e-6;
  config.attention_head_dim = 1;
  return config;
}

// A down block of one layer.
inline BlockFunction down(const char* name) {
  UNet2DConfig config = block_config(name, "UpBlock2D");
  config.layers_per_block = 1;
  return [config](const Scope& s, Tensor, Tensor e, UNetState& state) {
    down_block(s, config, 0, e, state);
    return state.x;
  };
}

}  // namespace ito
