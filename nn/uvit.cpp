// U-ViT (Bao et al. 2023): an image as a row of patches in which time and class are tokens like
// the others, with long skips that join early blocks to late ones, as in a U-Net, and a convolution
// over what the patches give. Parameter names are those of the authors' release, whose time is told
// without layers of its own (table 1's networks). Places of tokens are learned, and so of one size
// of images. Not diffusion transformers, which are told by their norms (nn/dit.h).
#include <any>
#include <cmath>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/config_values.h"
#include "base/unet2d_config.h"
#include "nn/dropout.h"
#include "nn/image_transformer.h"
#include "nn/layers.h"
#include "nn/network.h"

namespace ito {
namespace {

constexpr std::string_view kUViT = "uvit";  // its row in nn/networks.h
constexpr double kUViTNormEps = 1e-5, kUViTStd = 0.02;
constexpr int64_t kUViTWidening = 4, kMostUViTBlocks = 1023, kMostUViTTokens = 1 << 20;

struct UViTConfig {
  int64_t in_channels = 3;
  int64_t out_channels = 3;  // twice as many give a variance too
  int64_t height = 32;       // of the images
  int64_t width = 32;
  int64_t patch_size = 2;
  int64_t features = 512;  // channels of a token
  int64_t depth = 13;      // blocks; odd: as many before the middle one as behind it
  int64_t heads = 8;
  int64_t classes = 0;  // rows of the class table; 0: it is told no class
  bool qkv_bias = false;
  bool final_conv = true;
  double dropout = 0;
};

template <typename Fields, typename Visit>
requires std::is_same_v<std::remove_const_t<Fields>, UViTConfig>
void visit_values(Fields& c, Visit&& visit) {
  visit("in_channels", c.in_channels);
  visit("out_channels", c.out_channels);
  visit("height", c.height);
  visit("width", c.width);
  visit("patch_size", c.patch_size);
  visit("features", c.features);
  visit("depth", c.depth);
  visit("heads", c.heads);
  visit("classes", c.classes);
  visit("qkv_bias", c.qkv_bias);
  visit("final_conv", c.final_conv);
  visit("dropout", c.dropout);
}

Status check_uvit(const UViTConfig& c) {
  for (const auto& [field, value] : {std::pair{"in_channels", c.in_channels},
                                     {"out_channels", c.out_channels},
                                     {"height", c.height},
                                     {"width", c.width},
                                     {"patch_size", c.patch_size},
                                     {"features", c.features},
                                     {"heads", c.heads}})
    ITO_TRY(check_count(field, value, config_limits::kChannels));
  if (c.height % c.patch_size != 0 || c.width % c.patch_size != 0)
    return invalid_argument("height and width: expected multiples of patch_size {}, found {}x{}",
                            c.patch_size, c.height, c.width);
  ITO_TRY(
      check_count("patches", c.height / c.patch_size * (c.width / c.patch_size), kMostUViTTokens));
  if (c.features % 2 != 0 || c.features % c.heads != 0)
    return invalid_argument("features: expected a multiple of 2 and of heads {}, found {}", c.heads,
                            c.features);
  ITO_TRY(check_count("depth", c.depth, kMostUViTBlocks));
  if (c.depth % 2 == 0)
    return invalid_argument("depth: expected an odd number of blocks, found {}", c.depth);
  if (c.classes != 0) ITO_TRY(check_count("classes", c.classes, kMostUViTTokens));
  return check_dropout(c.dropout);
}

// Weights normal as those of vision transformers.
Tensor uvit_linear(const Scope& scope, Tensor x, int64_t features, bool bias = true) {
  return dense(scope, x, features,
               {.foreign_shape = {}, .init = Init::kNormal, .init_scale = kUViTStd}, bias);
}

Tensor uvit_attention(const Scope& scope, const UViTConfig& config, Tensor x) {
  const int64_t width = config.features;
  const Tensor all = uvit_linear(scope / "qkv", x, 3 * width, config.qkv_bias);
  const auto part = [&](int64_t i) { return slice_axis(all, 2, i * width, (i + 1) * width); };
  const Tensor attended = attention(part(0), part(1), part(2), config.heads,
                                    1 / std::sqrt(static_cast<double>(width / config.heads)));
  const Scope out = scope / "proj";
  return dropout(out, uvit_linear(out, attended, width), config.dropout);
}

// x [n, tokens, features]; `early`, where there is one, is of the block that lies as far from the
// other end.
Tensor uvit_block(const Scope& scope, const UViTConfig& config, Tensor x, Tensor early = {}) {
  const int64_t width = config.features;
  if (early) x = uvit_linear(scope / "skip_linear", concat({x, early}, 2), width);
  const Tensor normed = layer_norm(scope / "norm1", x, kUViTNormEps);
  x = x + uvit_attention(scope / "attn", config, normed);
  const Scope inner = scope / "mlp";
  const Tensor wide = gelu(uvit_linear(inner / "fc1", layer_norm(scope / "norm2", x, kUViTNormEps),
                                       kUViTWidening * width));
  return x + uvit_linear(inner / "fc2", dropout(inner, wide, config.dropout), width);
}

Tensor uvit(const Scope& scope, const UViTConfig& config, Tensor sample, Tensor timestep,
            Tensor classes) {
  const int64_t n = sample.dim(0), p = config.patch_size, width = config.features;
  const int64_t rows = config.height / p, columns = config.width / p;
  const Tensor t = timestep.dtype() == DType::kF32 ? timestep : cast(timestep, DType::kF32);
  std::vector<Tensor> told;
  if (config.classes > 0)
    told.push_back(embedding(scope / "label_emb", classes, config.classes, width));
  told.push_back(timestep_embedding(t, width, /*flip_sin_to_cos=*/true,
                                    /*downscale_freq_shift=*/0));
  const auto first_patch = static_cast<int64_t>(told.size());
  const int64_t tokens = first_patch + rows * columns;
  for (Tensor& token : told) token = reshape(token, Shape{n, 1, width});
  told.push_back(patch_tokens(scope / "patch_embed" / "proj", sample, p, width));
  Tensor x = concat(std::move(told), 1) +
             scope.parameter("pos_embed", {.foreign_shape = Shape{1, tokens, width},
                                           .init = Init::kNormal,
                                           .init_scale = kUViTStd});

  std::vector<Tensor> early;
  for (int64_t i = 0; i < config.depth / 2; ++i) {
    x = uvit_block(scope / "in_blocks" / i, config, x);
    early.push_back(x);
  }
  x = uvit_block(scope / "mid_block", config, x);
  for (int64_t i = 0; i < config.depth / 2; ++i) {
    x = uvit_block(scope / "out_blocks" / i, config, x, early.back());
    early.pop_back();
  }
  x = uvit_linear(scope / "decoder_pred", layer_norm(scope / "norm", x, kUViTNormEps),
                  p * p * config.out_channels);
  x = image_of_patches(slice_axis(x, 1, first_patch, tokens), rows, columns, p);
  return config.final_conv ? conv2d(scope / "final_layer", x, config.out_channels) : x;
}

Signature uvit_signature(const UViTConfig& config) {
  Signature signature{.in_channels = config.in_channels, .out_channels = config.out_channels};
  signature.sample_size = {static_cast<int>(config.height), static_cast<int>(config.width)};
  if (config.classes > 0) signature.classes = {ClassInput::Kind::kIndices, config.classes};
  return signature;
}

Status check_uvit_size(const UViTConfig& config, int64_t h, int64_t w) {
  if (h == config.height && w == config.width) return {};
  return invalid_argument("the network has learned the places of {}x{} images, found {}x{}",
                          config.width, config.height, w, h);
}

UViTConfig uvit_config(const NetworkConfig& config) {
  return from_config_values<UViTConfig>(std::any_cast<const ConfigValues&>(config)).value();
}

Status check_uvit_options(const NetworkOptions& o) {
  ITO_TRY(check_transformer_options(o));
  if (o.depth % 2 == 0 || o.depth > kMostUViTBlocks)
    return invalid_argument("--depth is {}, expected an odd number of at most {} with --network {}",
                            o.depth, kMostUViTBlocks, kUViT);
  return {};
}

TransformerFields<int64_t> uvit_fields(UViTConfig& c) {
  return {c.in_channels, c.out_channels, c.patch_size, c.depth, c.heads, c.dropout};
}

NetworkConfig design_uvit(const NetworkOptions& o, const ImageNeeds& needs) {
  UViTConfig config;
  uvit_fields(config).set(o, needs);
  config.height = needs.size[0];
  config.width = needs.size[1];
  config.features = o.channels[0];
  config.classes = needs.classes;
  return to_config_values(config);
}

void uvit_defaults(NetworkOptions& o, const std::set<std::string>& given) {
  transformer_defaults(o, given);
  if (given.count("depth") == 0) o.depth = 7;
}

void read_uvit(const NetworkConfig& from, NetworkOptions& o, ImageNeeds& needs) {
  UViTConfig config = uvit_config(from);
  uvit_fields(config).read(o, needs);
  o.channels = {static_cast<int>(config.features)};
  needs.size = {static_cast<int>(config.height), static_cast<int>(config.width)};
  needs.classes = static_cast<int>(config.classes);
}

Status adapt_uvit(NetworkConfig& whole, const NetworkOptions& options, const ImageNeeds& needs) {
  UViTConfig config = uvit_config(whole);
  ITO_TRY(check_uvit_size(config, needs.size[0], needs.size[1]));
  if ((needs.classes > 0) != (config.classes > 0))
    return invalid_argument("the network has {} token for a class, and the images have {}classes",
                            config.classes > 0 ? "a" : "no", needs.classes > 0 ? "" : "no ");
  config.classes = needs.classes;
  config.dropout = options.dropout;
  whole = to_config_values(config);
  return {};
}

constexpr NetworkDesign kUViTDesigns[] = {
    {.name = {kUViT, "transformer of patches with long skips", "Bao et al. 2023", ""},
     .network = kUViT,
     .processes = "none ve vp subvp edm",
     .options = kTransformerOptions,
     .check = check_uvit_options,
     .sides = patch_sides,
     .configure = design_uvit,
     .defaults = uvit_defaults},
};

constexpr NetworkTraining kUViTTraining = {.designs = kUViTDesigns,
                                           .read = read_uvit,
                                           .adapt = adapt_uvit,
                                           .free = "dropout",
                                           .class_parameters = "label_emb."};

}  // namespace

const NetworkTraining& uvit_training() { return kUViTTraining; }

// sample [n, height, width, in_channels], timestep [n], classes u32 [n] → [n, height, width,
// out_channels].
Result<Network> uvit_network(const ConfigValues& values) {
  ITO_ASSIGN(const UViTConfig config, from_config_values<UViTConfig>(values));
  ITO_TRY(check_uvit(config));
  NetworkDefinition definition{.row = kUViT, .config = to_config_values(config)};
  definition.signature = uvit_signature(config);
  definition.build = [config](const Scope& scope, Tensor x, Tensor t, const Conditioning& given) {
    return uvit(scope, config, x, t, given.classes);
  };
  definition.check_size = [config](int64_t h, int64_t w) { return check_uvit_size(config, h, w); };
  ParameterSet set = declare_parameters([&](Graph& graph, const Scope& scope) {
    const Shape shape{1, config.height, config.width, config.in_channels};
    uvit(scope, config, input(graph, "sample", shape), input(graph, "timestep", Shape{1}),
         conditioning_inputs(graph, uvit_signature(config), 1).classes);
  });
  return Network(std::move(definition), std::move(set));
}

}  // namespace ito
