#include "nn/unet2d_condition.h"

#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "nn/layers.h"
#include "nn/resnet.h"
#include "nn/transformer2d.h"

namespace ito {
namespace {

struct Walk {
  Tensor x;
  std::vector<Tensor> skips;  // pushed on the way down, popped on the way up
  Tensor embedding, context;
};

int64_t embedding_width(const UNet2DConditionConfig& config) {
  return config.time_embedding_dim.value_or(4 * config.block_out_channels[0]);
}

// What every residual block is conditioned on: [n, embedding_width].
Tensor time_embedding(const Scope& scope, const UNet2DConditionConfig& config, Tensor timestep,
                      const Conditioning& conditioning) {
  const int64_t width = embedding_width(config), first = config.block_out_channels[0];
  const Tensor t = timestep.dtype() == DType::kF32 ? timestep : cast(timestep, DType::kF32);
  Tensor features = timestep_embedding(t, first, config.flip_sin_to_cos, config.freq_shift);
  const Scope mlp = scope / "time_embedding";
  if (conditioning.guidance)
    features = features + linear(mlp / "cond_proj", conditioning.guidance, first, /*bias=*/false);
  Tensor e = linear(mlp / "linear_1", features, width);
  e = linear(mlp / "linear_2", activation(config.act_fn, e), width);
  if (!conditioning.classes) return e;
  return e + embedding(scope / "class_embedding", conditioning.classes, *config.num_class_embeds,
                       width);
}

ResnetOptions resnet_options(const UNet2DConditionConfig& config) {
  ResnetOptions options;
  options.groups = config.norm_num_groups;
  options.eps = config.norm_eps;
  options.act_fn = config.act_fn;
  options.dropout = config.dropout;
  options.scale_shift = config.resnet_time_scale_shift == "scale_shift";
  return options;
}

// `level` from the outermost.
Tensor attend(const Scope& scope, const UNet2DConditionConfig& config, size_t level, Tensor x,
              Tensor context) {
  return transformer2d(scope, x, context,
                       {.heads = at_level(config.attention_head_dim, level),
                        .layers = at_level(config.transformer_layers_per_block, level),
                        .norm_groups = config.norm_num_groups,
                        .linear_projection = config.use_linear_projection});
}

void down_block(const Scope& scope, const UNet2DConditionConfig& config, size_t level,
                Walk& state) {
  const int64_t channels = config.block_out_channels[level];
  const bool cross = has_cross_attention(config.down_block_types[level]);
  for (int i = 0; i < at_level(config.layers_per_block, level); ++i) {
    state.x = resnet_block(scope / "resnets" / i, state.x, state.embedding, channels,
                           resnet_options(config));
    if (cross) state.x = attend(scope / "attentions" / i, config, level, state.x, state.context);
    state.skips.push_back(state.x);
  }
  if (level + 1 == config.block_out_channels.size()) return;
  const int64_t p = config.downsample_padding;
  Conv2dOptions options{.stride = 2, .pad = {p, p, p, p}};
  if (p == 0) options.pad = {0, 1, 0, 1};  // diffusers then pads only at the bottom and right
  state.x = conv2d(scope / "downsamplers" / 0 / "conv", state.x, channels, options);
  state.skips.push_back(state.x);
}

void middle_block(const Scope& scope, const UNet2DConditionConfig& config, Walk& state) {
  const size_t level = config.block_out_channels.size() - 1;
  const int64_t channels = config.block_out_channels[level];
  ResnetOptions options = resnet_options(config);
  options.output_scale_factor = config.mid_block_scale_factor;
  state.x = resnet_block(scope / "resnets" / 0, state.x, state.embedding, channels, options);
  state.x = attend(scope / "attentions" / 0, config, level, state.x, state.context);
  state.x = resnet_block(scope / "resnets" / 1, state.x, state.embedding, channels, options);
}

// `block` counts from the innermost.
void up_block(const Scope& scope, const UNet2DConditionConfig& config, size_t block, Walk& state) {
  const size_t level = config.block_out_channels.size() - 1 - block;
  const int64_t channels = config.block_out_channels[level];
  const bool cross = has_cross_attention(config.up_block_types[block]);
  for (int i = 0; i <= at_level(config.layers_per_block, level); ++i) {
    CHECK(!state.skips.empty(), "more up layers than skip connections");
    state.x = resnet_block(scope / "resnets" / i, concat({state.x, state.skips.back()}, 3),
                           state.embedding, channels, resnet_options(config));
    state.skips.pop_back();
    if (cross) state.x = attend(scope / "attentions" / i, config, level, state.x, state.context);
  }
  if (level == 0) return;
  const Tensor target = state.skips.back();
  const Tensor up = upsample_to(state.x, target.dim(1), target.dim(2));
  state.x = conv2d(scope / "upsamplers" / 0 / "conv", up, channels);
}

Conv2dOptions same_size(int64_t kernel) {
  const int64_t p = kernel / 2;
  return {.kernel = kernel, .pad = {p, p, p, p}};
}

Status check_size(const UNet2DConditionConfig& config, int64_t h, int64_t w) {
  const size_t halvings = config.block_out_channels.size() - 1;
  const int64_t padding = config.downsample_padding == 0 ? 1 : 2 * config.downsample_padding;
  for (const auto& [field, size] : {std::pair{"height", h}, std::pair{"width", w}}) {
    int64_t s = size;
    // A 3-wide stride-2 convolution needs three samples, padding included.
    for (size_t i = 0; i < halvings; ++i) s = s + padding < 3 ? 0 : (s + padding - 3) / 2 + 1;
    if (s < 1)
      return invalid_argument("{}: expected enough pixels for {} halvings of the network, found {}",
                              field, halvings, size);
  }
  return {};
}

Signature signature_of(const UNet2DConditionConfig& config) {
  Signature signature{.in_channels = config.in_channels, .out_channels = config.out_channels};
  signature.sample_size = config.sample_size;
  if (config.num_class_embeds)
    signature.classes = {ClassInput::Kind::kIndices, *config.num_class_embeds};
  signature.context = config.cross_attention_dim[0];
  signature.guidance = config.time_cond_proj_dim.value_or(0);
  return signature;
}

}  // namespace

Result<Network> unet2d_condition_network(const UNet2DConditionConfig& config) {
  ITO_TRY(check_unet2d_condition(config));
  NetworkDefinition definition{.row = kUNet2DCondition, .config = config};
  definition.signature = signature_of(config);
  definition.build = [config](const Scope& scope, Tensor x, Tensor t, const Conditioning& given) {
    return unet2d_condition(scope, config, x, t, given);
  };
  definition.check_size = [config](int64_t h, int64_t w) { return check_size(config, h, w); };
  Signature one_state = definition.signature;
  one_state.context_length = 1;
  ParameterSet set = declare_parameters([&](Graph& graph, const Scope& scope) {
    // Any size will do: shapes of parameters do not depend on it. Each level halves once.
    const int64_t size = int64_t{1} << config.block_out_channels.size();
    unet2d_condition(scope, config,
                     input(graph, "sample", Shape{1, size, size, config.in_channels}),
                     input(graph, "timestep", Shape{1}), conditioning_inputs(graph, one_state, 1));
  });
  return Network(std::move(definition), std::move(set));
}

Tensor unet2d_condition(const Scope& scope, const UNet2DConditionConfig& config, Tensor sample,
                        Tensor timestep, const Conditioning& conditioning) {
  if (config.center_input_sample) sample = sample * 2.0 - 1.0;
  Walk state;
  state.x = conv2d(scope / "conv_in", sample, config.block_out_channels[0],
                   same_size(config.conv_in_kernel));
  state.skips.push_back(state.x);
  state.context = conditioning.context;
  state.embedding = time_embedding(scope, config, timestep, conditioning);
  const size_t levels = config.block_out_channels.size();
  for (size_t i = 0; i < levels; ++i)
    down_block(scope / "down_blocks" / static_cast<int64_t>(i), config, i, state);
  if (config.mid_block_type) middle_block(scope / "mid_block", config, state);
  for (size_t i = 0; i < levels; ++i)
    up_block(scope / "up_blocks" / static_cast<int64_t>(i), config, i, state);
  const Tensor y =
      group_norm(scope / "conv_norm_out", state.x, config.norm_num_groups, config.norm_eps);
  return conv2d(scope / "conv_out", activation(config.act_fn, y), config.out_channels,
                same_size(config.conv_out_kernel));
}

}  // namespace ito
