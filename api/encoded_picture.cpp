#include "api/encoded_picture.h"

#include <array>

#include "api/autoencoder.h"
#include "base/check.h"
#include "base/error.h"
#include "base/philox.h"

namespace ito {

std::vector<float> EncodedPicture::drawn(int64_t n, std::span<const float> noise) const {
  CHECK(std.empty() || noise.size() == static_cast<size_t>(n) * mean.size(),
        "noise of another number of images");
  std::vector<float> values;
  values.reserve(static_cast<size_t>(n) * mean.size());
  for (size_t image = 0; image < static_cast<size_t>(n); ++image)
    for (size_t i = 0; i < mean.size(); ++i) {
      double value = mean[i];
      if (!std.empty()) value += double{std[i]} * noise[image * mean.size() + i];
      values.push_back(static_cast<float>((value - shift) * scale));
    }
  return values;
}

Result<EncodedPicture> encode_picture(vk::Device& device, const Model& model, const Shape& shape,
                                      std::span<const float> picture) {
  CHECK(static_cast<int64_t>(picture.size()) == shape.numel(), "a picture of another size");
  EncodedPicture result;
  if (!model.decoder) {
    result.mean.assign(picture.begin(), picture.end());
    return result;
  }
  const Shape one{1, shape[0], shape[1], shape[2]};
  ITO_ASSIGN(LatentMoments moments, latent_moments(device, *model.decoder, one, picture));
  const Autoencoder& autoencoder = *model.decoder->network.autoencoder();
  result.mean = std::move(moments.mean);
  result.std = std::move(moments.std);
  result.scale = autoencoder.scale;
  result.shift = autoencoder.shift;
  return result;
}

std::vector<float> picture_noise(std::span<const uint32_t> seeds, int64_t numbers,
                                 uint32_t stream) {
  std::vector<float> noise;
  noise.reserve(seeds.size() * static_cast<size_t>(numbers));
  for (const uint32_t seed : seeds)
    for (int64_t i = 0; i < numbers; i += 4) {
      const PhiloxCounter counter = {static_cast<uint32_t>(i / 4), seed, 0, stream};
      const std::array<double, 4> four = philox_normal(counter, {0, 0});
      for (int64_t j = 0; j < 4 && i + j < numbers; ++j)
        noise.push_back(static_cast<float>(four[static_cast<size_t>(j)]));
    }
  return noise;
}

}  // namespace ito
