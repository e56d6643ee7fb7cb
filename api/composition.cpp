#include "api/composition.h"

#include <utility>

#include "base/error.h"
#include "nn/ddgan.h"
#include "nn/unet2d.h"

namespace ito {
namespace {

constexpr const char* kLatentFolder = "latent_mapping";

// Names in the part's file lack the prefix that they have in the whole.
const std::string kLatentPrefix = std::string(kLatentFolder) + ".";

Result<NetworkFile> join_latent_unet(NetworkFile unet, NetworkFile part, const std::string& where) {
  const auto* config = std::any_cast<UNet2DConfig>(&unet.config);
  const auto* mapping = std::any_cast<LatentMappingConfig>(&part.config);
  if (config == nullptr || mapping == nullptr)
    return corrupt("{}: {} beside a network that takes no latent", where, kLatentFolder);
  NetworkFile whole{.network = std::string(kDdganGenerator),
                    .config = LatentUNetConfig{*config, *mapping},
                    .extra = std::move(unet.extra),
                    .weights = std::move(unet.weights)};
  for (auto& [name, tensor] : part.weights.tensors)
    whole.weights.tensors.emplace(kLatentPrefix + name, std::move(tensor));
  return whole;
}

Composition::Parts split_latent_unet(NetworkFile whole) {
  const auto config = std::any_cast<LatentUNetConfig>(whole.config);
  Composition::Parts parts;
  parts.unet = {.network = std::string(kUNet2D),
                .config = config.unet,
                .extra = std::move(whole.extra),
                .weights = std::move(whole.weights)};
  parts.part.network = kLatentMapping;
  parts.part.config = config.mapping;
  TensorFile& from = parts.unet.weights;
  for (auto at = from.tensors.lower_bound(kLatentPrefix); at != from.tensors.end();) {
    if (!at->first.starts_with(kLatentPrefix)) break;
    parts.part.weights.tensors.emplace(at->first.substr(kLatentPrefix.size()),
                                       std::move(at->second));
    at = from.tensors.erase(at);
  }
  return parts;
}

constexpr Composition kCompositions[] = {
    {kDdganGenerator, kLatentFolder, join_latent_unet, split_latent_unet},
};

}  // namespace

std::span<const Composition> compositions() { return kCompositions; }

}  // namespace ito
