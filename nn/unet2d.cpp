#include "nn/unet2d.h"

#include "base/check.h"
#include "nn/energy.h"
#include "nn/layers.h"
#include "nn/unet2d_blocks.h"

namespace ito {
namespace {

// Features of timesteps (or of sigmas, or of class labels treated as such). The weight, where there
// is one, is asked for once however often the features are used.
class TimeProjection {
 public:
  TimeProjection(const Scope& scope, const UNet2DConfig& config)
      : config_(config), dim_(config.block_out_channels[0]) {
    if (config.time_embedding_type == "fourier") {
      // Fixed random frequencies of scale 16 (Song et al. 2021).
      weight_ = scope.parameter("weight", {.foreign_shape = Shape{dim_},
                                           .init = Init::kNormal,
                                           .init_scale = 16,
                                           .trainable = false});
    } else if (config.time_embedding_type == "learned") {
      weight_ = scope.parameter(
          "weight",
          {.foreign_shape = Shape{*config.num_train_timesteps, dim_}, .init = Init::kNormal});
    }
  }

  // t [n], any number type → [n, dim] or [n, 2 dim].
  Tensor operator()(Tensor t) const {
    if (config_.time_embedding_type == "learned") {
      return gather(weight_, t.dtype() == DType::kF32 ? cast(t, DType::kU32) : t);
    }
    t = as_f32(t);
    if (config_.time_embedding_type == "fourier") {
      return fourier_features(t, weight_, /*log_input=*/true, /*flip_sin_to_cos=*/false);
    }
    return timestep_embedding(t, dim_, config_.flip_sin_to_cos, config_.freq_shift);
  }

  static Tensor as_f32(Tensor t) { return t.dtype() == DType::kF32 ? t : cast(t, DType::kF32); }

 private:
  const UNet2DConfig& config_;
  int64_t dim_;
  Tensor weight_;
};

bool has_classes(const UNet2DConfig& config) {
  return config.class_embed_type.has_value() || config.num_class_embeds.has_value();
}

// sigma [n], any number type, to broadcast against images.
Tensor per_image_of(Tensor sigma) {
  return reshape(TimeProjection::as_f32(sigma), Shape{sigma.dim(0), 1, 1, 1});
}

// (D - x)/sigma² with D = c_skip x + c_out y of Karras et al. 2022, table 1. Where sigma is large
// the last layer then need not copy x to many digits.
Tensor preconditioned_score(Tensor x, Tensor y, Tensor sigma, double sigma_data) {
  const Tensor variance = square(sigma) + sigma_data * sigma_data;
  return y * (sigma_data / (sigma * sqrt(variance))) - x / variance;
}

// What every residual block is conditioned on: [n, embedding_dim], or empty if on nothing.
Tensor condition(const Scope& scope, const UNet2DConfig& config, Tensor timestep,
                 Tensor class_labels) {
  const int64_t dim = embedding_dim(config);
  CHECK(has_classes(config) == static_cast<bool>(class_labels),
        has_classes(config) ? "the model is class-conditional: class labels expected"
                            : "the model knows no classes: no class labels expected");
  if (config.time_embedding_type == "none") {
    if (!class_labels || config.class_embed_type) return class_labels;
    return embedding(scope / "class_embedding", class_labels, *config.num_class_embeds, dim);
  }
  const TimeProjection project(scope / "time_proj", config);
  const Tensor e = time_mlp(scope / "time_embedding", project(timestep), dim);
  if (!class_labels) return e;
  if (!config.class_embed_type) {
    return e + embedding(scope / "class_embedding", class_labels, *config.num_class_embeds, dim);
  }
  if (*config.class_embed_type == "identity") return e + class_labels;
  return e + time_mlp(scope / "class_embedding", project(class_labels), dim);
}

Signature unet2d_signature(const UNet2DConfig& config) {
  Signature signature{.in_channels = config.in_channels, .out_channels = config.out_channels};
  signature.sample_size = config.sample_size;
  signature.time = takes_sigma(config) ? TimeInput::kSigma : TimeInput::kTimestep;
  if (config.class_embed_type == "identity") {
    signature.classes = {ClassInput::Kind::kEmbeddings, embedding_dim(config)};
  } else if (config.class_embed_type) {
    signature.classes.kind = ClassInput::Kind::kValues;
  } else if (config.num_class_embeds) {
    signature.classes = {ClassInput::Kind::kIndices, *config.num_class_embeds};
  }
  return signature;
}

}  // namespace

Result<Network> unet2d_network(const UNet2DConfig& config) {
  ITO_ASSIGN(ParameterSet set, unet2d_parameters(config));
  NetworkDefinition definition{.row = kUNet2D, .config = config};
  definition.signature = unet2d_signature(config);
  definition.build = [config](const Scope& scope, Tensor x, Tensor t, const Conditioning& given) {
    return unet2d(scope, config, x, t, given.classes);
  };
  if (config.energy) {
    ITO_ASSIGN(const EnergyRow* energy, row_called(energy_rows(), *config.energy, "energy"));
    definition.build = [h = definition.build, form = energy->form](
                           const Scope& scope, Tensor x, Tensor t, const Conditioning& given) {
      return energy_output(form, x, h(scope, x, t, given));
    };
  }
  definition.check_size = [config](int64_t h, int64_t w) {
    return check_unet2d_size(config, h, w);
  };
  return Network(std::move(definition), std::move(set));
}

Result<ParameterSet> unet2d_parameters(const UNet2DConfig& config) {
  ITO_TRY(check_unet2d(config));
  return declare_parameters([&](Graph& graph, const Scope& scope) {
    // Any size will do: shapes of parameters do not depend on it. Each level halves once.
    const int64_t size = int64_t{1} << config.block_out_channels.size();
    const Tensor x = input(graph, "sample", Shape{1, size, size, config.in_channels});
    const Tensor t = input(graph, "timestep", Shape{1});
    const Tensor labels = conditioning_inputs(graph, unet2d_signature(config), 1).classes;
    unet2d(scope, config, x, t, labels);
  });
}

Tensor unet2d(const Scope& scope, const UNet2DConfig& config, Tensor sample, Tensor timestep,
              Tensor class_labels) {
  CHECK(sample.rank() == 4 && sample.dim(3) == config.in_channels,
        "sample must be [n,h,w," + std::to_string(config.in_channels) + "], not " +
            sample.shape().to_string());
  CHECK(timestep.shape() == Shape{sample.dim(0)}, "timestep must be [" +
                                                      std::to_string(sample.dim(0)) + "], not " +
                                                      timestep.shape().to_string());
  if (config.center_input_sample) sample = sample * 2.0 - 1.0;
  const Tensor given = sample;
  if (config.sigma_data) {
    const Tensor sigma = per_image_of(timestep);
    sample = sample / sqrt(square(sigma) + *config.sigma_data * *config.sigma_data);
  }
  UNetState state{.x = conv2d(scope / "conv_in", sample, config.block_out_channels[0]),
                  .image = sample,
                  .skips = {}};
  state.skips.push_back(state.x);
  const Tensor e = condition(scope, config, timestep, class_labels);
  for (size_t i = 0; i < config.down_block_types.size(); ++i) {
    down_block(scope / "down_blocks" / static_cast<int64_t>(i), config, i, e, state);
  }
  if (config.mid_block_type) middle_block(scope / "mid_block", config, e, state);
  state.image = {};
  for (size_t i = 0; i < config.up_block_types.size(); ++i) {
    up_block(scope / "up_blocks" / static_cast<int64_t>(i), config, i, e, state);
  }

  const int64_t channels = config.block_out_channels[0];
  const int64_t groups = config.norm_num_groups.value_or(image_skip_groups(channels));
  Tensor y = group_norm(scope / "conv_norm_out", state.x, groups, config.norm_eps);
  y = conv2d(scope / "conv_out", silu(y), config.out_channels);
  if (state.image) y = y + state.image;
  if (takes_sigma(config)) {
    // The network predicts noise; its output is a score, noise over sigma (Song et al. 2021; Song
    // and Ermon 2020, technique 3).
    const Tensor sigma = per_image_of(timestep);
    if (config.sigma_data) return preconditioned_score(given, y, sigma, *config.sigma_data);
    y = y / sigma;
  }
  return y;
}

}  // namespace ito
