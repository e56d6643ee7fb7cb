#include "nn/image_transformer.h"

#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "nn/layers.h"

namespace ito {

Tensor dense(const Scope& scope, Tensor x, int64_t features, const ParameterSpec& init, bool bias) {
  const ScopeLabel label(x.graph(), scope);
  ParameterSpec spec = init;
  spec.foreign_shape = Shape{features, x.dim(-1)};
  spec.layout = Layout::kLinear;
  spec.fan_in = x.dim(-1);
  const Tensor weight = scope.parameter("weight", spec);
  if (!bias) return linear(x, weight);
  return linear(x, weight, scope.parameter("bias", {.foreign_shape = Shape{features}}));
}

Tensor patch_tokens(const Scope& scope, Tensor image, int64_t patch, int64_t width) {
  CHECK(image.dim(1) % patch == 0 && image.dim(2) % patch == 0,
        "an image that is no whole patches");
  const Tensor patches =
      conv2d(scope, image, width, {.kernel = patch, .stride = patch, .pad = {0, 0, 0, 0}});
  return reshape(patches, Shape{image.dim(0), patches.dim(1) * patches.dim(2), width});
}

Tensor image_of_patches(Tensor tokens, int64_t rows, int64_t columns, int64_t patch) {
  const int64_t n = tokens.dim(0), channels = tokens.dim(2) / (patch * patch);
  const Tensor apart = reshape(tokens, Shape{n, rows, columns, patch, patch, channels});
  return reshape(permute(apart, {0, 1, 3, 2, 4, 5}),
                 Shape{n, rows * patch, columns * patch, channels});
}

Status check_transformer_options(const NetworkOptions& o) {
  constexpr int kMost = 65536;
  if (o.channels.size() != 1)
    return invalid_argument("--channels has {} numbers, expected one with --network {}, its width",
                            o.channels.size(), o.network);
  for (const auto& [key, value] :
       {std::pair{"depth", o.depth}, std::pair{"heads", o.heads}, std::pair{"patch", o.patch}})
    if (value < 1 || value > kMost)
      return invalid_argument("--{} is {}, expected 1 to {}", key, value, kMost);
  const int width = o.channels[0];
  if (width < 1 || width > kMost || width % 4 != 0 || width % o.heads != 0)
    return invalid_argument("--channels is {}, expected a multiple of 4 and of --heads {}", width,
                            o.heads);
  return {};
}

ImageSides patch_sides(const NetworkOptions& o) {
  return {.multiple = o.patch, .padded = o.patch, .why = fmt::format("patches of {}", o.patch)};
}

void transformer_defaults(NetworkOptions& o, const std::set<std::string>& given) {
  if (given.count("channels") == 0) o.channels = {128};
}

}  // namespace ito
