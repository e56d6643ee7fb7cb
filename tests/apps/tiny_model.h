// A model folder of about 10,000 untrained weights, made in this process without a device.
#pragma once

#include <gtest/gtest.h>

#include <array>

#include "api/model.h"
#include "nn/parameters.h"
#include "nn/unet2d.h"

namespace ito::test {

// One level of 8 channels with attention, for images of 8x8x1 in three classes.
inline void write_tiny_model(const Path& folder) {
  UNet2DConfig config;
  config.sample_size = std::array<int, 2>{8, 8};
  config.in_channels = config.out_channels = 1;
  config.block_out_channels = {8};
  config.down_block_types = {"AttnDownBlock2D"};
  config.up_block_types = {"AttnUpBlock2D"};
  config.layers_per_block = 1;
  config.norm_num_groups = 4;
  config.attention_head_dim.reset();
  config.num_class_embeds = 3;
  const auto set = unet2d_parameters(config);
  ASSERT_TRUE(set.ok()) << set.error().message;
  const Status status =
      save_model(folder, config, SchedulerConfig{}, *set, initial_parameters(*set, 1));
  ASSERT_TRUE(status.ok()) << status.error().message;
}

}  // namespace ito::test
