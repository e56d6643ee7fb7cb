#include "nn/dit.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "nn/dropout.h"
#include "nn/image_transformer.h"
#include "nn/layers.h"

namespace ito {
namespace {

constexpr int64_t kTimeFeatures = 256;
constexpr int64_t kWidening = 4;
constexpr double kModulatedNormEps = 1e-6;
constexpr double kEmbeddingStd = 0.02;

// Weights uniform within ±√(6/(in + out)) (Glorot & Bengio 2010), as in vision transformers.
Tensor glorot_dense(const Scope& scope, Tensor x, int64_t features, bool bias = true) {
  const double in = static_cast<double>(x.dim(-1)), out = static_cast<double>(features);
  return dense(
      scope, x, features,
      {.foreign_shape = {}, .init = Init::kUniform, .init_scale = std::sqrt(6 * in / (in + out))},
      bias);
}

// Zero at first, so that a block begins as the identity and the network as 0.
Tensor zero_dense(const Scope& scope, Tensor x, int64_t features) {
  return dense(scope, x, features, {.foreign_shape = {}, .init = Init::kZeros});
}

// Sines and cosines of the columns' places, then of the rows' (diffusers' order): [1, rows columns,
// width].
Tensor positions(Graph& graph, const DiTConfig& config, int64_t rows, int64_t columns) {
  const int64_t width = dit_width(config), quarter = width / 4;
  const auto base = static_cast<double>(config.sample_size / config.patch_size);
  std::vector<double> table;
  table.reserve(static_cast<size_t>(rows * columns * width));
  const auto add = [&](double place) {
    const auto angle = [&](int64_t i) {
      return place * std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(quarter));
    };
    for (int64_t i = 0; i < quarter; ++i) table.push_back(std::sin(angle(i)));
    for (int64_t i = 0; i < quarter; ++i) table.push_back(std::cos(angle(i)));
  };
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      add(static_cast<double>(column) * base / static_cast<double>(columns));
      add(static_cast<double>(row) * base / static_cast<double>(rows));
    }
  }
  return constant(graph, Shape{1, rows * columns, width}, std::move(table));
}

// What a block is told: the embeddings of time and class, [n, width].
Tensor time_and_class(const Scope& scope, const DiTConfig& config, Tensor features,
                      Tensor classes) {
  const ParameterSpec normal{
      .foreign_shape = {}, .init = Init::kNormal, .init_scale = kEmbeddingStd};
  const int64_t width = dit_width(config);
  const Scope time = scope / "timestep_embedder";
  const Tensor hidden = silu(dense(time / "linear_1", features, width, normal));
  const Tensor told = dense(time / "linear_2", hidden, width, normal);
  ParameterSpec table = normal;
  table.foreign_shape = Shape{config.num_embeds_ada_norm + 1, width};
  return told +
         gather((scope / "class_embedder" / "embedding_table").parameter("weight", table), classes);
}

// `count` vectors [n, 1, width] for a norm, of what the block is told.
std::vector<Tensor> modulations(const Scope& scope, Tensor told, int count) {
  const int64_t n = told.dim(0), width = told.dim(1);
  const Tensor all = zero_dense(scope, silu(told), count * width);
  std::vector<Tensor> parts;
  for (int64_t i = 0; i < count; ++i)
    parts.push_back(reshape(slice_axis(all, 1, i * width, (i + 1) * width), Shape{n, 1, width}));
  return parts;
}

Tensor plain_norm(Tensor x, double eps) {
  const Shape width{x.dim(-1)};
  return layer_norm(x, full(x.graph(), width, 1), full(x.graph(), width, 0), eps);
}

Tensor modulated(Tensor normed, Tensor shift, Tensor scale) { return normed * (scale + 1) + shift; }

Tensor feed_forward_norm(const Scope& scope, const DiTConfig& config, Tensor x) {
  if (config.norm_elementwise_affine) return layer_norm(scope, x, config.norm_eps);
  return plain_norm(x, config.norm_eps);
}

Tensor self_attention(const Scope& scope, const DiTConfig& config, Tensor x) {
  const int64_t width = dit_width(config);
  const Tensor q = glorot_dense(scope / "to_q", x, width, config.attention_bias);
  const Tensor k = glorot_dense(scope / "to_k", x, width, config.attention_bias);
  const Tensor v = glorot_dense(scope / "to_v", x, width, config.attention_bias);
  const Tensor attended = attention(q, k, v, config.num_attention_heads,
                                    1 / std::sqrt(static_cast<double>(config.attention_head_dim)));
  return dropout(scope / "to_out" / 1, glorot_dense(scope / "to_out" / 0, attended, width),
                 config.dropout);
}

Tensor widened(const Scope& scope, const DiTConfig& config, Tensor x) {
  const Tensor wide = glorot_dense(scope / "net" / 0 / "proj", x, kWidening * dit_width(config));
  const Tensor bent = has_approximate_gelu(config) ? gelu_tanh(wide) : gelu(wide);
  return glorot_dense(scope / "net" / 2, dropout(scope / "net" / 1, bent, config.dropout),
                      dit_width(config));
}

Tensor dit_block(const Scope& scope, const DiTConfig& config, Tensor x, Tensor told) {
  const std::vector<Tensor> m = modulations(scope / "norm1" / "linear", told, 6);
  const Tensor attended = self_attention(scope / "attn1", config,
                                         modulated(plain_norm(x, kModulatedNormEps), m[0], m[1]));
  x = x + m[2] * attended;
  const Tensor normed = feed_forward_norm(scope / "norm3", config, x);
  return x + m[5] * widened(scope / "ff", config, modulated(normed, m[3], m[4]));
}

int64_t dit_out_channels(const DiTConfig& config) {
  return config.out_channels.value_or(config.in_channels);
}

Signature dit_signature(const DiTConfig& config) {
  Signature signature{.in_channels = config.in_channels, .out_channels = dit_out_channels(config)};
  signature.sample_size = {config.sample_size, config.sample_size};
  if (config.num_embeds_ada_norm > 0)
    signature.classes = {ClassInput::Kind::kIndices, config.num_embeds_ada_norm + 1};
  return signature;
}

Status check_dit_size(const DiTConfig& config, int64_t h, int64_t w) {
  for (const auto& [field, size] : {std::pair{"height", h}, std::pair{"width", w}})
    if (size < 1 || size % config.patch_size != 0)
      return invalid_argument("{}: expected a multiple of the network's patch_size {}, found {}",
                              field, config.patch_size, size);
  return {};
}

const DiTConfig& dit_config(const NetworkConfig& config) {
  return std::any_cast<const DiTConfig&>(config);
}

// One class of an only one cannot be told from none.
void set_dit_needs(DiTConfig& config, const ImageNeeds& needs) {
  config.sample_size = std::max(needs.size[0], needs.size[1]);
  config.num_embeds_ada_norm = needs.classes == 0 ? 0 : std::max(1, needs.classes - 1);
}

TransformerFields<int> dit_fields(DiTConfig& c) {
  if (!c.out_channels) c.out_channels = c.in_channels;
  return {c.in_channels, *c.out_channels,       c.patch_size,
          c.num_layers,  c.num_attention_heads, c.dropout};
}

NetworkConfig design_dit(const NetworkOptions& o, const ImageNeeds& needs) {
  DiTConfig config;
  dit_fields(config).set(o, needs);
  config.attention_head_dim = o.channels[0] / o.heads;
  set_dit_needs(config, needs);
  return config;
}

void read_dit(const NetworkConfig& from, NetworkOptions& o, ImageNeeds& needs) {
  DiTConfig config = dit_config(from);
  dit_fields(config).read(o, needs);
  o.channels = {static_cast<int>(dit_width(config))};
  needs.size = {config.sample_size, config.sample_size};
  needs.classes = dit_signature(config).classes.classes();
}

Status adapt_dit(NetworkConfig& whole, const NetworkOptions& options, const ImageNeeds& needs) {
  auto& config = std::any_cast<DiTConfig&>(whole);
  config.dropout = options.dropout;
  set_dit_needs(config, needs);
  return {};
}

constexpr NetworkDesign kDiTDesigns[] = {
    {.name = {"dit", "transformer of patches", "Peebles & Xie 2023", ""},
     .network = kDiT,
     .processes = "none ve vp subvp edm",
     .options = kTransformerOptions,
     .check = check_transformer_options,
     .sides = patch_sides,
     .configure = design_dit,
     .defaults = transformer_defaults},
};

constexpr NetworkTraining kDiTTraining = {.designs = kDiTDesigns,
                                          .read = read_dit,
                                          .adapt = adapt_dit,
                                          .free = "dropout",
                                          .class_parameters = ".class_embedder."};

}  // namespace

const NetworkTraining& dit_training() { return kDiTTraining; }

Result<Network> dit_network(const DiTConfig& config) {
  ITO_TRY(check_dit(config));
  NetworkDefinition definition{.row = kDiT, .config = config};
  definition.signature = dit_signature(config);
  definition.build = [config](const Scope& scope, Tensor x, Tensor t, const Conditioning& given) {
    return dit(scope, config, x, t, given.classes);
  };
  definition.check_size = [config](int64_t h, int64_t w) { return check_dit_size(config, h, w); };
  ParameterSet set = declare_parameters([&](Graph& graph, const Scope& scope) {
    // One patch will do: shapes of parameters do not depend on how many there are.
    const int64_t side = config.patch_size;
    dit(scope, config, input(graph, "sample", Shape{1, side, side, config.in_channels}),
        input(graph, "timestep", Shape{1}),
        conditioning_inputs(graph, dit_signature(config), 1).classes);
  });
  return Network(std::move(definition), std::move(set));
}

Tensor dit(const Scope& scope, const DiTConfig& config, Tensor sample, Tensor timestep,
           Tensor classes) {
  Graph& graph = sample.graph();
  const int64_t p = config.patch_size;
  const int64_t rows = sample.dim(1) / p, columns = sample.dim(2) / p;
  if (!classes)
    classes = full(graph, Shape{sample.dim(0)}, 0, DType::kU32);  // the table's only row
  const Tensor t = timestep.dtype() == DType::kF32 ? timestep : cast(timestep, DType::kF32);
  const Tensor features = timestep_embedding(t, kTimeFeatures, /*flip_sin_to_cos=*/true,
                                             /*downscale_freq_shift=*/1);

  Tensor x = patch_tokens(scope / "pos_embed" / "proj", sample, p, dit_width(config)) +
             positions(graph, config, rows, columns);
  Tensor first;
  for (int64_t i = 0; i < config.num_layers; ++i) {
    const Scope own = scope / "transformer_blocks" / i;
    const Tensor told = time_and_class(own / "norm1" / "emb", config, features, classes);
    if (i == 0) first = told;
    x = dit_block(own, config, x, told);
  }
  const std::vector<Tensor> m = modulations(scope / "proj_out_1", first, 2);
  x = modulated(plain_norm(x, kModulatedNormEps), m[0], m[1]);
  x = zero_dense(scope / "proj_out_2", x, p * p * dit_out_channels(config));
  return image_of_patches(x, rows, columns, p);
}

}  // namespace ito
