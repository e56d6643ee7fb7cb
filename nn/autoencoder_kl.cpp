#include "nn/autoencoder_kl.h"

#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "nn/attention_block.h"
#include "nn/layers.h"
#include "nn/resnet.h"

namespace ito {
namespace {

constexpr double kAutoencoderNormEps = 1e-6;

ResnetOptions resnet_options(const AutoencoderKLConfig& config) {
  ResnetOptions options;
  options.groups = config.norm_num_groups;
  options.eps = kAutoencoderNormEps;
  options.act_fn = config.act_fn;
  return options;
}

Tensor resnets(const Scope& scope, const AutoencoderKLConfig& config, Tensor x, int64_t channels,
               int layers) {
  for (int i = 0; i < layers; ++i)
    x = resnet_block(scope / "resnets" / i, x, {}, channels, resnet_options(config));
  return x;
}

// One head as wide as the block.
Tensor middle_block(const Scope& scope, const AutoencoderKLConfig& config, Tensor x) {
  const int64_t channels = config.block_out_channels.back();
  x = resnet_block(scope / "resnets" / 0, x, {}, channels, resnet_options(config));
  if (config.mid_block_add_attention)
    x = attention_block(
        scope / "attentions" / 0, x,
        {.head_dim = 0, .norm_groups = config.norm_num_groups, .eps = kAutoencoderNormEps});
  return resnet_block(scope / "resnets" / 1, x, {}, channels, resnet_options(config));
}

Tensor output(const Scope& scope, const AutoencoderKLConfig& config, Tensor x, int64_t channels) {
  const Tensor y =
      group_norm(scope / "conv_norm_out", x, config.norm_num_groups, kAutoencoderNormEps);
  return conv2d(scope / "conv_out", silu(y), channels);
}

Status check_size(const AutoencoderKLConfig& config, int64_t h, int64_t w) {
  const int64_t factor = latent_factor(config);
  for (const auto& [field, size] : {std::pair{"height", h}, std::pair{"width", w}}) {
    if (size < factor || size % factor != 0)
      return invalid_argument("{}: expected a multiple of {}, found {}", field, factor, size);
  }
  return {};
}

}  // namespace

Tensor encode_moments(const Scope& root, const AutoencoderKLConfig& config, Tensor x) {
  const Scope scope = root / "encoder";
  const std::vector<int>& channels = config.block_out_channels;
  x = conv2d(scope / "conv_in", x, channels[0]);
  for (size_t i = 0; i < channels.size(); ++i) {
    const Scope block = scope / "down_blocks" / static_cast<int64_t>(i);
    x = resnets(block, config, x, channels[i], config.layers_per_block);
    if (i + 1 < channels.size())  // padded only at the bottom and right
      x = conv2d(block / "downsamplers" / 0 / "conv", x, channels[i],
                 {.stride = 2, .pad = {0, 1, 0, 1}});
  }
  x = middle_block(scope / "mid_block", config, x);
  x = output(scope, config, x, 2 * config.latent_channels);
  return config.use_quant_conv ? conv2d_1x1(root / "quant_conv", x, x.dim(3)) : x;
}

Tensor decode_latent(const Scope& root, const AutoencoderKLConfig& config, Tensor x) {
  if (config.use_post_quant_conv) x = conv2d_1x1(root / "post_quant_conv", x, x.dim(3));
  const Scope scope = root / "decoder";
  const std::vector<int>& channels = config.block_out_channels;
  x = conv2d(scope / "conv_in", x, channels.back());
  x = middle_block(scope / "mid_block", config, x);
  for (size_t i = 0; i < channels.size(); ++i) {
    const Scope block = scope / "up_blocks" / static_cast<int64_t>(i);
    const int64_t width = channels[channels.size() - 1 - i];
    x = resnets(block, config, x, width, config.layers_per_block + 1);
    if (i + 1 < channels.size())
      x = conv2d(block / "upsamplers" / 0 / "conv", upsample_nearest2x(x), width);
  }
  return output(scope, config, x, config.out_channels);
}

Result<Network> autoencoder_kl_network(const AutoencoderKLConfig& config) {
  ITO_TRY(check_autoencoder_kl(config));
  NetworkDefinition definition{.row = kAutoencoderKL, .config = config};
  definition.signature = {.in_channels = config.in_channels, .out_channels = config.out_channels};
  definition.signature.sample_size = config.sample_size;
  definition.signature.time = TimeInput::kNone;
  definition.autoencoder = Autoencoder{
      .latent_channels = config.latent_channels,
      .factor = latent_factor(config),
      .scale = config.scaling_factor,
      .shift = config.shift_factor.value_or(0),
      .tile = config.sample_size ? (*config.sample_size)[0] : 0,
      .encode = [config](const Scope& scope, Tensor x) { return encode_moments(scope, config, x); },
      .decode = [config](const Scope& scope, Tensor z) { return decode_latent(scope, config, z); }};
  definition.build = [config](const Scope& scope, Tensor x, Tensor, const Conditioning&) {
    const Tensor moments = encode_moments(scope, config, x);
    return decode_latent(scope, config, slice_axis(moments, 3, 0, config.latent_channels));
  };
  definition.check_size = [config](int64_t h, int64_t w) { return check_size(config, h, w); };
  ParameterSet set = declare_parameters([&](Graph& graph, const Scope& scope) {
    const int64_t size = latent_factor(config);
    encode_moments(scope, config, input(graph, "x", Shape{1, size, size, config.in_channels}));
    decode_latent(scope, config, input(graph, "latent", Shape{1, 1, 1, config.latent_channels}));
  });
  return Network(std::move(definition), std::move(set));
}

}  // namespace ito
