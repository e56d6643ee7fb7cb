// An autoencoder at work: pictures to the moments of their latents, and latents to pictures, in one
// piece or in overlapping tiles. Not its network (nn/autoencoder_kl.h).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "api/device_weights.h"
#include "api/model.h"
#include "io/host_tensor.h"
#include "runtime/executor.h"

namespace ito {

// Latents [n,h,w,c] to pictures. Programs are compiled for the shapes that come.
class LatentDecoder {
 public:
  // `component` (an autoencoder, CHECK) is copied where it is needed. With `tiled`, latents larger
  // than the pictures it was trained on are decoded in tiles of that size, which bounds memory and
  // the cost of its attention; tiles overlap by a quarter and are blended as diffusers'
  // tiled_decode does. Errors: of the device; `tiled` for an autoencoder whose tiles are no
  // multiple of four latents.
  static Result<std::unique_ptr<LatentDecoder>> create(vk::Device& device,
                                                       const Component& component, bool tiled);
  // What a diffusion worked on, (latent - shift) * scale [n,h,w,c], to pictures in about [-1, 1].
  // Waits.
  Result<std::vector<float>> decode_scaled(const Shape& shape, std::span<const float> scaled);
  // Latents themselves. Waits.
  Result<std::vector<float>> decode(const Shape& shape, std::span<const float> latents);
  // Of the pictures of latents of that shape.
  Shape picture(const Shape& latents) const;

 private:
  LatentDecoder(vk::Device& device, const Network& network, DeviceWeights weights, bool tiled)
      : device_(device), network_(network), weights_(std::move(weights)), tiled_(tiled) {}
  Result<std::vector<float>> decode_piece(const Shape& shape, std::span<const float> latents);

  vk::Device& device_;
  Network network_;
  DeviceWeights weights_;
  bool tiled_;
  std::map<std::vector<int64_t>, std::unique_ptr<Executor>> programs_;  // by shape of the latents
};

// Tiles of `tile` latents (a multiple of four), a quarter of which overlaps the next, decoded by
// `decode` (shape [n,h,w,c] and its values → [n,factor h,factor w,channels]) and blended linearly
// along the overlap: downwards first, then to the right, each with what was blended before.
struct Tiling {
  int64_t tile = 64, factor = 8, channels = 3;
};
using DecodePiece = std::function<Result<std::vector<float>>(const Shape&, std::span<const float>)>;
Result<std::vector<float>> decode_in_tiles(const Tiling& tiling, const Shape& shape,
                                           std::span<const float> latents,
                                           const DecodePiece& decode);

// The Gaussians over latents that an autoencoder (CHECK) makes of pictures.
struct LatentMoments {
  Shape shape;                 // [n,h,w,c] of mean and std
  std::vector<float> moments;  // [n,h,w,2c]: mean and log variance as the network has them
  std::vector<float> mean, std;
};
// pictures: `shape` [n,h,w,c] in [-1, 1]. Errors: a size that the network does not take; of the
// device.
Result<LatentMoments> latent_moments(vk::Device& device, const Component& component,
                                     const Shape& shape, std::span<const float> pictures);

// As forward() of api/forward.h for an autoencoder. Inputs: "sample" [n,c,h,w], "latent" [n,l,h,w],
// or both, as check_forward has looked at them. Outputs: of "sample" "moments", "mean" and "std";
// of "latent" "decoded".
Result<TensorFile> forward_autoencoder(vk::Device& device, const Component& component,
                                       const TensorFile& inputs);

}  // namespace ito
