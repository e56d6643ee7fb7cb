#include "api/inpainting.h"

#include "base/error.h"
#include "diffusion/constraint.h"

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
  ITO_ASSIGN(result.known, encode_picture(device, model, shape, masked));
  const int64_t factor = model.decoder ? model.decoder->network.autoencoder()->factor : 1;
  for (int64_t y = 0; y < h; y += factor)
    for (int64_t x = 0; x < w; x += factor)
      result.fill.push_back(fill[static_cast<size_t>(y * w + x)]);
  return result;
}

std::vector<float> inpainting_input(const Inpainting& inpainting, int64_t n,
                                    std::span<const float> noise) {
  const size_t pixels = inpainting.fill.size(), channels = inpainting.known.mean.size() / pixels;
  const std::vector<float> known = inpainting.known.drawn(n, noise);
  std::vector<float> values;
  values.reserve(static_cast<size_t>(n) * pixels * (1 + channels));
  auto next = known.begin();
  for (size_t image = 0; image < static_cast<size_t>(n); ++image)
    for (size_t p = 0; p < pixels; ++p) {
      values.push_back(inpainting.fill[p]);
      values.insert(values.end(), next, next + static_cast<ptrdiff_t>(channels));
      next += static_cast<ptrdiff_t>(channels);
    }
  return values;
}

Program inpainting_program(const Shape& shape, double threshold) {
  Program program;
  program.name = "inpainting";
  Graph& graph = *program.graph;
  const auto [picture, known] = masked_inputs(graph, shape, threshold);
  const Tensor zero = scalar(graph, 0), one = scalar(graph, 1);
  const Tensor fill =
      select(known, broadcast_to(zero, known.shape()), broadcast_to(one, known.shape()));
  const Tensor masked =
      select(broadcast_to(known, picture.shape()), picture, broadcast_to(zero, picture.shape()));
  const Tensor told = concat({fill, masked}, 3);
  Shape all = told.shape();
  all[0] = shape[0];
  program.output(kInpainting, broadcast_to(told, all));
  return program;
}

}  // namespace ito
