// EncodedPicture: a picture as a diffusion works on it: the pixels themselves, or what an
// autoencoder makes of them, a Gaussian over latents. Pictures to begin at and pictures to fill in
// are this. Not for making pictures of latents (api/autoencoder.h).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "api/model.h"
#include "base/result.h"
#include "base/shape.h"
#include "runtime/vk/device.h"

namespace ito {

struct EncodedPicture {
  std::vector<float> mean;      // [h,w,c]
  std::vector<float> std = {};  // the same, or empty: the picture is its mean
  // A diffusion on latents works on (latent - shift) * scale.
  double scale = 1, shift = 0;

  // What n images of it begin with, [n,h,w,c]: the mean's for each, or, where `std` says something,
  // as diffusers has it, draws with `noise` (standard normal [n,h,w,c]).
  std::vector<float> drawn(int64_t n, std::span<const float> noise) const;
};

// A picture [h,w,c] in [-1, 1] as the model's diffusion works on it: itself, or its latents by the
// model's autoencoder. Errors: a size that the autoencoder does not take; of the device.
Result<EncodedPicture> encode_picture(vk::Device& device, const Model& model, const Shape& shape,
                                      std::span<const float> picture);

// Standard normal numbers for `drawn`: `numbers` an image, a function of the image's seed and of
// the stream (diffusion/streams.h).
std::vector<float> picture_noise(std::span<const uint32_t> seeds, int64_t numbers, uint32_t stream);

}  // namespace ito
