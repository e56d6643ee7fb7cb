// A model folder of about 10,000 untrained weights, made in this process without a device; and one
// made useless.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <vector>

#include "api/model.h"
#include "io/safetensors.h"
#include "nn/parameters.h"
#include "nn/unet2d.h"

namespace ito::test {

// One level of 8 channels with attention, for images of 8x8x1 in three classes.
inline UNet2DConfig tiny_unet() {
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
  return config;
}

inline void write_tiny_model(const Path& folder, const SchedulerConfig& scheduler = {}) {
  const auto network = unet2d_network(tiny_unet());
  ASSERT_TRUE(network.ok()) << network.error().message;
  const Status status =
      save_model(folder, *network, scheduler, initial_parameters(network->set(), 1));
  ASSERT_TRUE(status.ok()) << status.error().message;
}

// Makes one weight of a model folder's first convolution NaN.
inline void spoil_model(const Path& folder) {
  const Path path = folder / "unet/diffusion_pytorch_model.safetensors";
  TensorFile file = read_safetensors(path).value();
  HostTensor& weight = file.tensors.at("conv_in.weight");
  std::vector<float> values = to_floats(weight);
  values[0] = std::numeric_limits<float>::quiet_NaN();
  weight = tensor_from_floats(weight.shape, values);
  const Status status = write_safetensors(path, file);
  ASSERT_TRUE(status.ok()) << status.error().message;
}

}  // namespace ito::test
