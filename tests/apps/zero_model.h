// A model whose network is one block with all weights zero, and with them its output: what the
// model says then has a closed form.
#pragma once

#include <array>

#include "api/model.h"
#include "nn/unet2d.h"

namespace ito::test {

// Of grey images of h x w in three classes.
inline Model zero_model(std::array<int, 2> size, const SchedulerConfig& scheduler = {}) {
  UNet2DConfig config;
  config.sample_size = size;
  config.in_channels = config.out_channels = 1;
  config.down_block_types = {"DownBlock2D"};
  config.up_block_types = {"UpBlock2D"};
  config.block_out_channels = {8};
  config.layers_per_block = 1;
  config.norm_num_groups = 4;
  config.add_attention = false;
  config.num_class_embeds = 3;
  Model model;
  model.network = unet2d_network(config).value();
  model.scheduler = scheduler;
  model.weights.assign(static_cast<size_t>(model.network.set().size()), 0.0f);
  return model;
}
inline Model zero_model(int size = 8, const SchedulerConfig& scheduler = {}) {
  return zero_model(std::array<int, 2>{size, size}, scheduler);
}

}  // namespace ito::test
