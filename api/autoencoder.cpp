#include "api/autoencoder.h"

#include <algorithm>

#include "api/forward_inputs.h"
#include "base/check.h"
#include "base/error.h"
#include "graph/builder.h"
#include "graph/compile.h"
#include "io/layout.h"
#include "nn/train_step.h"

namespace ito {
namespace {

using forward_input::kSample, forward_input::kLatent;
constexpr const char* kDecoded = "decoded";
constexpr const char *kMoments = "moments", *kMean = "mean", *kStd = "std";

const Autoencoder& autoencoder_of(const Network& network) {
  CHECK(network.autoencoder() != nullptr, "expected an autoencoder");
  return *network.autoencoder();
}

Program decode_program(const Network& network, const Shape& shape) {
  Program program;
  program.name = "decode";
  const FlatTensors flat = flat_inputs(*program.graph, state_name::kParameters, network.set());
  const Tensor latent = input(*program.graph, kLatent, shape);
  program.output(kDecoded, autoencoder_of(network).decode(Scope(network.set(), flat), latent));
  return program;
}

Program encode_program(const Network& network, const Shape& shape) {
  Program program;
  program.name = "encode";
  const FlatTensors flat = flat_inputs(*program.graph, state_name::kParameters, network.set());
  const Tensor x = input(*program.graph, kSample, shape);
  const Tensor moments = autoencoder_of(network).encode(Scope(network.set(), flat), x);
  const LatentGaussian gaussian = latent_gaussian(moments);
  program.output(kMoments, moments);
  program.output(kMean, gaussian.mean);
  program.output(kStd, gaussian.std);
  return program;
}

// A picture [n,h,w,c] whose values are changed in place.
struct Tile {
  Shape shape;
  std::vector<float> values;
  int64_t height() const { return shape[1]; }
  int64_t width() const { return shape[2]; }
  float& at(int64_t n, int64_t y, int64_t x, int64_t c) {
    return values[static_cast<size_t>(((n * shape[1] + y) * shape[2] + x) * shape[3] + c)];
  }
  float at(int64_t n, int64_t y, int64_t x, int64_t c) const {
    return const_cast<Tile*>(this)->at(n, y, x, c);
  }
};

// The part [y, y+h) x [x, x+w) of a picture.
Tile cut(const Shape& shape, std::span<const float> values, int64_t y, int64_t x, int64_t h,
         int64_t w) {
  Tile tile{.shape = {shape[0], h, w, shape[3]}, .values = {}};
  tile.values.reserve(static_cast<size_t>(tile.shape.numel()));
  for (int64_t n = 0; n < shape[0]; ++n) {
    for (int64_t row = y; row < y + h; ++row) {
      const auto from = values.begin() + ((n * shape[1] + row) * shape[2] + x) * shape[3];
      tile.values.insert(tile.values.end(), from, from + w * shape[3]);
    }
  }
  return tile;
}

// The first rows of `tile` fade in over the last ones of the tile above.
void blend_down(const Tile& above, Tile& tile, int64_t extent) {
  extent = std::min({above.height(), tile.height(), extent});
  const float whole = static_cast<float>(extent);
  for (int64_t n = 0; n < tile.shape[0]; ++n)
    for (int64_t y = 0; y < extent; ++y)
      for (int64_t x = 0; x < tile.width(); ++x)
        for (int64_t c = 0; c < tile.shape[3]; ++c) {
          const float share = static_cast<float>(y) / whole;
          float& value = tile.at(n, y, x, c);
          value = above.at(n, above.height() - extent + y, x, c) * (1 - share) + value * share;
        }
}

// Likewise its first columns over the last ones of the tile to the left.
void blend_right(const Tile& left, Tile& tile, int64_t extent) {
  extent = std::min({left.width(), tile.width(), extent});
  const float whole = static_cast<float>(extent);
  for (int64_t n = 0; n < tile.shape[0]; ++n)
    for (int64_t y = 0; y < tile.height(); ++y)
      for (int64_t x = 0; x < extent; ++x)
        for (int64_t c = 0; c < tile.shape[3]; ++c) {
          const float share = static_cast<float>(x) / whole;
          float& value = tile.at(n, y, x, c);
          value = left.at(n, y, left.width() - extent + x, c) * (1 - share) + value * share;
        }
}

}  // namespace

Result<std::vector<float>> decode_in_tiles(const Tiling& tiling, const Shape& shape,
                                           std::span<const float> latents,
                                           const DecodePiece& decode) {
  CHECK(tiling.tile > 0 && tiling.tile % 4 == 0, "tiles are multiples of four latents");
  const int64_t step = tiling.tile / 4 * 3, extent = tiling.tile / 4 * tiling.factor;
  Tile picture{
      .shape = {shape[0], shape[1] * tiling.factor, shape[2] * tiling.factor, tiling.channels},
      .values = {}};
  picture.values.resize(static_cast<size_t>(picture.shape.numel()));
  std::vector<Tile> above, row;
  for (int64_t y = 0; y < shape[1]; y += step) {
    row.clear();
    for (int64_t x = 0; x < shape[2]; x += step) {
      const Tile piece = cut(shape, latents, y, x, std::min(tiling.tile, shape[1] - y),
                             std::min(tiling.tile, shape[2] - x));
      Tile tile{.shape = {shape[0], piece.height() * tiling.factor, piece.width() * tiling.factor,
                          tiling.channels},
                .values = {}};
      ITO_ASSIGN(tile.values, decode(piece.shape, piece.values));
      if (!above.empty()) blend_down(above[row.size()], tile, extent);
      if (!row.empty()) blend_right(row.back(), tile, extent);
      // What lies beyond one step is the next tile's.
      const int64_t h = std::min(tile.height(), step * tiling.factor);
      const int64_t w = std::min(tile.width(), step * tiling.factor);
      for (int64_t n = 0; n < shape[0]; ++n)
        for (int64_t i = 0; i < h; ++i)
          for (int64_t j = 0; j < w; ++j)
            for (int64_t c = 0; c < tiling.channels; ++c)
              picture.at(n, y * tiling.factor + i, x * tiling.factor + j, c) = tile.at(n, i, j, c);
      row.push_back(std::move(tile));
    }
    above = std::move(row);
  }
  return std::move(picture.values);
}

Result<std::unique_ptr<LatentDecoder>> LatentDecoder::create(vk::Device& device,
                                                             const Component& component,
                                                             bool tiled) {
  const Autoencoder& autoencoder = autoencoder_of(component.network);
  if (tiled && (autoencoder.tile <= 0 || autoencoder.tile % (4 * autoencoder.factor) != 0))
    return invalid_argument(
        "the autoencoder's sample_size is {}, expected a multiple of {} to decode in tiles",
        autoencoder.tile, 4 * autoencoder.factor);
  ITO_ASSIGN(const Network network, component.network.for_device(device.caps()));
  ITO_ASSIGN(DeviceWeights weights,
             DeviceWeights::upload(device, network.set(), component.weights));
  return std::unique_ptr<LatentDecoder>(
      new LatentDecoder(device, network, std::move(weights), tiled));
}

Shape LatentDecoder::picture(const Shape& latents) const {
  const int64_t factor = autoencoder_of(network_).factor;
  return {latents[0], latents[1] * factor, latents[2] * factor, network_.signature().out_channels};
}

Result<std::vector<float>> LatentDecoder::decode_scaled(const Shape& shape,
                                                        std::span<const float> scaled) {
  const Autoencoder& autoencoder = autoencoder_of(network_);
  const float scale = static_cast<float>(autoencoder.scale);
  const float shift = static_cast<float>(autoencoder.shift);
  std::vector<float> latents(scaled.begin(), scaled.end());
  for (float& value : latents) value = value / scale + shift;
  return decode(shape, latents);
}

Result<std::vector<float>> LatentDecoder::decode(const Shape& shape,
                                                 std::span<const float> latents) {
  const Autoencoder& autoencoder = autoencoder_of(network_);
  const Tiling tiling{.tile = autoencoder.tile / autoencoder.factor,
                      .factor = autoencoder.factor,
                      .channels = network_.signature().out_channels};
  if (!tiled_ || std::max(shape[1], shape[2]) <= tiling.tile) return decode_piece(shape, latents);
  return decode_in_tiles(tiling, shape, latents,
                         [this](const Shape& piece, std::span<const float> values) {
                           return decode_piece(piece, values);
                         });
}

Result<std::vector<float>> LatentDecoder::decode_piece(const Shape& shape,
                                                       std::span<const float> latents) {
  std::unique_ptr<Executor>& executor =
      programs_[std::vector<int64_t>(shape.dims().begin(), shape.dims().end())];
  if (!executor) {
    ITO_ASSIGN(Plan plan, compile(decode_program(network_, shape), device_.caps()));
    ITO_ASSIGN(executor, Executor::create(device_, std::move(plan)));
    ITO_TRY(weights_.bind(*executor));
  }
  ITO_TRY(executor->write(kLatent, std::vector<float>(latents.begin(), latents.end())));
  ITO_TRY(executor->run());
  return executor->read<float>(kDecoded);
}

Result<LatentMoments> latent_moments(vk::Device& device, const Component& component,
                                     const Shape& shape, std::span<const float> pictures) {
  ITO_ASSIGN(const Network network, component.network.for_device(device.caps()));
  const Autoencoder& autoencoder = autoencoder_of(network);
  ITO_TRY(network.check_size(shape[1], shape[2]));
  ITO_ASSIGN(Plan plan, compile(encode_program(network, shape), device.caps()));
  ITO_ASSIGN(auto executor, Executor::create(device, std::move(plan)));
  ITO_ASSIGN(const DeviceWeights weights,
             DeviceWeights::upload(device, network.set(), component.weights));
  ITO_TRY(weights.bind(*executor));
  ITO_TRY(executor->write(kSample, std::as_bytes(pictures)));
  ITO_TRY(executor->run());
  LatentMoments result;
  result.shape = {shape[0], shape[1] / autoencoder.factor, shape[2] / autoencoder.factor,
                  autoencoder.latent_channels};
  ITO_ASSIGN(result.moments, executor->read<float>(kMoments));
  ITO_ASSIGN(result.mean, executor->read<float>(kMean));
  ITO_ASSIGN(result.std, executor->read<float>(kStd));
  return result;
}

Result<TensorFile> forward_autoencoder(vk::Device& device, const Component& component,
                                       const TensorFile& inputs) {
  TensorFile outputs;
  const auto add = [&](const char* name, const Shape& nhwc, const std::vector<float>& values) {
    outputs.tensors.emplace(
        name, tensor_from_floats({nhwc[0], nhwc[3], nhwc[1], nhwc[2]}, nhwc_to_nchw(values, nhwc)));
  };
  if (const auto sample = inputs.tensors.find(kSample); sample != inputs.tensors.end()) {
    const Shape& nchw = sample->second.shape;
    ITO_ASSIGN(const LatentMoments found,
               latent_moments(device, component, {nchw[0], nchw[2], nchw[3], nchw[1]},
                              nchw_to_nhwc(to_floats(sample->second), nchw)));
    const Shape& shape = found.shape;
    add(kMoments, {shape[0], shape[1], shape[2], 2 * shape[3]}, found.moments);
    add(kMean, shape, found.mean);
    add(kStd, shape, found.std);
  }
  if (const auto latent = inputs.tensors.find(kLatent); latent != inputs.tensors.end()) {
    const Shape& nchw = latent->second.shape;
    const Shape shape{nchw[0], nchw[2], nchw[3], nchw[1]};
    ITO_ASSIGN(const auto decoder, LatentDecoder::create(device, component, /*tiled=*/false));
    ITO_ASSIGN(const std::vector<float> decoded,
               decoder->decode(shape, nchw_to_nhwc(to_floats(latent->second), nchw)));
    add(kDecoded, decoder->picture(shape), decoded);
  }
  return outputs;
}

}  // namespace ito
