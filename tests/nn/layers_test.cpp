// Layers and blocks against values that diffusers' own tests state: PyTorch's default weights and
// inputs drawn from its generator, first seed 0. Tolerance 2e-4: PyTorch computed them in float32
// and states four decimals.
#include "nn/layers.h"

#include <gtest/gtest.h>

#include "nn/attention_block.h"
#include "nn/resnet.h"
#include "nn/unet2d_blocks.h"
#include "program_runner.h"
#include "torch_random.h"

namespace ito {
namespace {

constexpr double kTolerance = 2e-4;

// The first three of output[0, -1, -3:, -3:] in PyTorch's order: last channel, third row from
// below, last three columns.
void expect_slice(const HostValue& y, std::array<double, 3> expected) {
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
using Network = std::function<Tensor(const Scope&, Tensor x, Tensor embedding, UNetState&)>;

HostValue run(const Case& shape, const Network& network) {
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
    return host_value(Shape{shape.n, shape.h, shape.w, channels},
                      channels_last(values, shape.n, channels, shape.h, shape.w));
  };
  HostValues inputs;
  inputs["x"] = draw(random, shape.c);
  inputs["embedding"] = host_value(Shape{shape.n, 128}, std::vector<double>());
  inputs["embedding"].data.resize(static_cast<size_t>(shape.n) * 128);
  if (shape.embedding) {
    inputs["embedding"] =
        host_value(Shape{shape.n, 128}, random.normal(static_cast<size_t>(shape.n) * 128));
  }
  if (shape.skip) {
    random = TorchRandom(1);
    inputs["skip"] = draw(random, shape.c);
  }
  if (shape.image) inputs["image"] = draw(random, 3);
  inputs["params"] = host_value(Shape{set.size()}, torch_parameters(set, random));
  Graph graph;
  const Tensor flat = input(graph, "params", Shape{set.size()});
  return evaluate(build(graph, Scope(set, flat)), inputs);
}

TEST(Layers, DownsamplingConvolutionMatchesDiffusers) {
  const HostValue y = run(
      {.n = 1, .c = 32, .h = 64, .w = 64},
      [](const Scope& s, Tensor x, Tensor, UNetState&) { return conv2d(s, x, 32, {.stride = 2}); });
  EXPECT_EQ(y.shape, (Shape{1, 32, 32, 32}));
  expect_slice(y, {.9267, .5878, .3337});
}

TEST(Layers, UpsamplingConvolutionMatchesDiffusers) {
  const HostValue y =
      run({.n = 1, .c = 32, .h = 32, .w = 32}, [](const Scope& s, Tensor x, Tensor, UNetState&) {
        return conv2d(s, upsample_to(x, 64, 64), 32);
      });
  expect_slice(y, {.7145, 1.3773, .3492});
}

TEST(ResnetBlock, MatchesDiffusers) {
  const HostValue y = run({.n = 1, .c = 32, .h = 64, .w = 64, .embedding = true},
                          [](const Scope& s, Tensor x, Tensor e, UNetState&) {
                            return resnet_block(s, x, e, 32, {.groups = 32, .eps = 1e-6});
                          });
  expect_slice(y, {-1.9010, -.2974, -.8245});
}

UNet2DConfig block_config(const char* down, const char* up) {
  UNet2DConfig config;
  config.block_out_channels = {32, 32};  // two, so that the first block resamples
  config.down_block_types = {down, down};
  config.up_block_types = {up, up};
  config.norm_eps = 1e-6;
  config.attention_head_dim = 1;
  return config;
}

// A down block of one layer.
Network down(const char* name) {
  UNet2DConfig config = block_config(name, "UpBlock2D");
  config.layers_per_block = 1;
  return [config](const Scope& s, Tensor, Tensor e, UNetState& state) {
    down_block(s, config, 0, e, state);
    return state.x;
  };
}

// An up block of one layer; the next block's skip connection is twice as large.
Network up(const char* name) {
  UNet2DConfig config = block_config("DownBlock2D", name);
  config.layers_per_block = 0;  // up blocks have one more
  return [config](const Scope& s, Tensor x, Tensor e, UNetState& state) {
    state.skips.insert(state.skips.begin(), full(x.graph(), Shape{4, 64, 64, 32}, 0));
    up_block(s, config, 0, e, state);
    return state.x;
  };
}

TEST(UNetBlocks, DownBlockMatchesDiffusers) {
  expect_slice(run({.n = 4, .c = 32, .h = 32, .w = 32, .embedding = true}, down("DownBlock2D")),
               {-.0232, -.9869, .8054});
}

TEST(UNetBlocks, SkipDownBlockMatchesDiffusers) {
  expect_slice(run({.n = 4, .c = 32, .h = 32, .w = 32, .embedding = true, .image = true},
                   down("SkipDownBlock2D")),
               {-.0845, -.2087, -.2465});
}

TEST(UNetBlocks, UpBlockMatchesDiffusers) {
  expect_slice(
      run({.n = 4, .c = 32, .h = 32, .w = 32, .embedding = true, .skip = true}, up("UpBlock2D")),
      {-.2041, -.4165, -.3022});
}

TEST(UNetBlocks, SkipUpBlockMatchesDiffusers) {
  expect_slice(run({.n = 4, .c = 32, .h = 32, .w = 32, .embedding = true, .skip = true},
                   up("SkipUpBlock2D")),
               {-.0893, -.1234, -.1506});
}

TEST(UNetBlocks, MiddleBlockMatchesDiffusers) {
  const UNet2DConfig config = block_config("DownBlock2D", "UpBlock2D");
  expect_slice(run({.n = 4, .c = 32, .h = 32, .w = 32, .embedding = true},
                   [&](const Scope& s, Tensor, Tensor e, UNetState& state) {
                     middle_block(s, config, e, state);
                     return state.x;
                   }),
               {-.1062, 1.7248, .3494});
}

}  // namespace
}  // namespace ito
