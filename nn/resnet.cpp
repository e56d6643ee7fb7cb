#include "nn/resnet.h"

#include "base/check.h"
#include "nn/dropout.h"

namespace ito {
namespace {

Tensor resample(Tensor x, const ResnetOptions& options) {
  switch (options.resample) {
    case Resample::kNone:
      return x;
    case Resample::kDown:
      return average_pool(x);
    case Resample::kUp:
      if (options.up_size[0] == 0) return upsample_nearest2x(x);
      return upsample_to(x, options.up_size[0], options.up_size[1]);
    case Resample::kFirDown:
      return fir_down2(x);
    case Resample::kFirUp:
      return fir_up2(x);
  }
  CHECK(false, "unknown resampling");
}

}  // namespace

Tensor resnet_block(const Scope& scope, Tensor x, Tensor embedding, int64_t channels,
                    const ResnetOptions& options) {
  const ScopeLabel label(x.graph(), scope);
  const int64_t groups_out = options.groups_out == 0 ? options.groups : options.groups_out;

  Tensor h = group_norm(scope / "norm1", x, options.groups, options.eps);
  h = resample(activation(options.act_fn, h), options);
  const Conv2dParts conv1 = conv2d_parts(scope / "conv1", h, channels);

  Tensor e;
  if (embedding) {
    e = activation(options.act_fn, embedding);
    e = linear(scope / "time_emb_proj", e, options.scale_shift ? 2 * channels : channels);
    e = reshape(e, Shape{e.dim(0), 1, 1, e.dim(1)});
  }
  CHECK(embedding || !options.scale_shift, "only an embedding can scale and shift");
  // The bias joins the embedding, not the image: then its gradient is a sum over the embedding's
  // gradient, and no second pass over the image's.
  h = conv1.y + (options.scale_shift || !embedding ? conv1.bias : e + conv1.bias);
  h = group_norm(scope / "norm2", h, groups_out, options.eps);
  if (options.scale_shift) {
    const Tensor scale = slice_axis(e, 3, 0, channels);
    const Tensor shift = slice_axis(e, 3, channels, 2 * channels);
    h = h * (scale + 1.0) + shift;
  }
  h = dropout(scope / "dropout", activation(options.act_fn, h), options.dropout);
  h = conv2d(scope / "conv2", h, channels);

  Tensor shortcut = resample(x, options);
  if (options.always_shortcut_conv || x.dim(3) != channels) {
    shortcut = conv2d_1x1(scope / "conv_shortcut", shortcut, channels);
  }
  const Tensor y = shortcut + h;
  return options.output_scale_factor == 1 ? y : y / options.output_scale_factor;
}

}  // namespace ito
