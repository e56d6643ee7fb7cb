// What transformers of images share, whatever their blocks: an image as a row of patches and back,
// layers with initialisations of their own, and the options that describe such a network. Not the
// blocks, and not transformers inside a U-Net (nn/transformer2d.h).
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "nn/network_design.h"
#include "nn/scope.h"

namespace ito {

// x [..., in] → [..., features], weights as `init` draws them (its shape is not looked at), biases
// 0 at first. weight (PyTorch) [features, in].
Tensor dense(const Scope& scope, Tensor x, int64_t features, const ParameterSpec& init,
             bool bias = true);

// image [n,h,w,c], h and w multiples of `patch` → [n, h/patch w/patch, width]: one linear map of
// each patch, row by row.
Tensor patch_tokens(const Scope& scope, Tensor image, int64_t patch, int64_t width);

// tokens [n, rows columns, patch² c], each a patch with its channels last → [n, rows patch, columns
// patch, c].
Tensor image_of_patches(Tensor tokens, int64_t rows, int64_t columns, int64_t patch);

// What a design says of itself: --channels is its width.
inline constexpr std::string_view kTransformerOptions = "channels depth heads patch dropout";
// Errors: --channels is no single multiple of 4 and of --heads; --depth, --heads or --patch is out
// of range.
Status check_transformer_options(const NetworkOptions& options);
ImageSides patch_sides(const NetworkOptions& options);
void transformer_defaults(NetworkOptions& options, const std::set<std::string>& given);

// The fields of a configuration that options and images describe, whatever it calls them.
template <typename Count>
struct TransformerFields {
  Count &in_channels, &out_channels, &patch, &depth, &heads;
  double& dropout;

  void set(const NetworkOptions& o, const ImageNeeds& needs) const {
    in_channels = needs.in_channels;
    out_channels = needs.out_channels;
    patch = o.patch;
    depth = o.depth;
    heads = o.heads;
    dropout = o.dropout;
  }
  void read(NetworkOptions& o, ImageNeeds& needs) const {
    needs.in_channels = static_cast<int>(in_channels);
    needs.out_channels = static_cast<int>(out_channels);
    o.patch = static_cast<int>(patch);
    o.depth = static_cast<int>(depth);
    o.heads = static_cast<int>(heads);
    o.dropout = dropout;
  }
};

}  // namespace ito
