// Layers and blocks against values that diffusers' own tests state (published_blocks.h), on the
// interpreter. The block with attention takes it minutes: device_test.cpp.
#include "nn/layers.h"

#include <gtest/gtest.h>

#include "nn/attention_block.h"
#include "nn/resnet.h"
#include "nn/unet2d_blocks.h"
#include "program_runner.h"
#include "published_blocks.h"

namespace ito {
namespace {

HostValue run(const Case& shape, const BlockFunction& network) {
  const BlockRun run = block_run(shape, network);
  return evaluate(run.program.outputs[0].value, run.inputs);
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

// An up block of one layer; the next block's skip connection is twice as large.
BlockFunction up(const char* name) {
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
