#include "api/inpainting.h"

#include "api/autoencoder.h"
#include "base/error.h"
#include "base/philox.h"
#include "diffusion/streams.h"
#include "io/layout.h"

namespace ito {

bool fills_in(const Signature& signature) {
  return signature.image_out && signature.in_channels == 2 * signature.out_channels + 1;
}

int64_t sample_channels(const Signature& signature) {
  return fills_in(signature) ? signature.out_channels : signature.in_channels;
}

Tensor network_sample(const Signature& signature, Tensor x) {
  if (!fills_in(signature)) return x;
  Shape shape = x.shape();
  shape[3] = 1 + signature.out_channels;
  return concat({x, input(x.graph(), kInpainting, shape)}, 3);
}

Result<Inpainting> inpainting_of(vk::Device& device, const Model& model, const Shape& shape,
                                 std::span<const float> picture, std::span<const float> fill) {
  const int64_t h = shape[0], w = shape[1], c = shape[2];
  if (static_cast<int64_t>(picture.size()) != shape.numel() ||
      static_cast<int64_t>(fill.size()) != h * w)
    return invalid_argument(
        "a picture of {} numbers and a mask of {} were given, expected {}x{}x{}", picture.size(),
        fill.size(), h, w, c);
  std::vector<float> masked(picture.begin(), picture.end());
  for (size_t i = 0; i < masked.size(); ++i)
    if (fill[i / static_cast<size_t>(c)] >= 0.5f) masked[i] = 0;
  Inpainting result;
  if (!model.decoder) {
    result.fill.assign(fill.begin(), fill.end());
    result.known = std::move(masked);
    return result;
  }
  const Autoencoder& autoencoder = *model.decoder->network.autoencoder();
  const int64_t factor = autoencoder.factor;
  for (int64_t y = 0; y < h; y += factor)
    for (int64_t x = 0; x < w; x += factor)
      result.fill.push_back(fill[static_cast<size_t>(y * w + x)]);
  TensorFile inputs;
  inputs.tensors.emplace("sample",
                         tensor_from_floats({1, c, h, w}, nhwc_to_nchw(masked, {1, h, w, c})));
  ITO_ASSIGN(const TensorFile moments,
             forward_autoencoder(device, *model.decoder, inputs, "--inpaint"));
  const HostTensor &mean = moments.tensors.at("mean"), &std = moments.tensors.at("std");
  result.known = nchw_to_nhwc(to_floats(mean), mean.shape);
  result.std = nchw_to_nhwc(to_floats(std), std.shape);
  result.scale = autoencoder.scale;
  result.shift = autoencoder.shift;
  return result;
}

std::vector<float> inpainting_input(const Inpainting& inpainting, int64_t n,
                                    std::span<const float> noise) {
  const size_t pixels = inpainting.fill.size(), channels = inpainting.known.size() / pixels;
  std::vector<float> values;
  values.reserve(static_cast<size_t>(n) * pixels * (1 + channels));
  for (size_t image = 0; image < static_cast<size_t>(n); ++image)
    for (size_t p = 0; p < pixels; ++p) {
      values.push_back(inpainting.fill[p]);
      for (size_t i = p * channels; i < (p + 1) * channels; ++i) {
        double value = inpainting.known[i];
        if (!inpainting.std.empty())
          value += double{inpainting.std[i]} * noise[image * pixels * channels + i];
        values.push_back(static_cast<float>((value - inpainting.shift) * inpainting.scale));
      }
    }
  return values;
}

std::vector<float> inpainting_noise(std::span<const uint32_t> seeds, int64_t numbers) {
  std::vector<float> noise;
  for (const uint32_t seed : seeds)
    for (int64_t i = 0; i < numbers; i += 4) {
      const PhiloxCounter counter = {static_cast<uint32_t>(i / 4), seed, 0, kStreamKnownLatents};
      const std::array<double, 4> four = philox_normal(counter, {0, 0});
      for (int64_t j = 0; j < 4 && i + j < numbers; ++j)
        noise.push_back(static_cast<float>(four[static_cast<size_t>(j)]));
    }
  return noise;
}

}  // namespace ito
