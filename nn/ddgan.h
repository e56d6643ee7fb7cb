// The two networks of a denoising diffusion GAN (Xiao, Kreis and Vahdat 2022): a U-Net whose
// embedding also holds a mapped latent, and a time-dependent discriminator. Both may be
// class-conditional. Not the losses (diffusion/ddgan.h) nor their training (api/task.h).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/config.h"
#include "nn/scope.h"

namespace ito {

// What turns a latent (and a class) into an embedding: mapping layers as in StyleGAN (Karras et
// al. 2019) without noise inputs, as the paper has them.
struct LatentMappingConfig {
  int64_t latent = 64;    // length of z
  int64_t layers = 3;     // linear layers, SiLU after each
  int64_t features = 64;  // their width, and that of the embedding
  int64_t classes = 0;    // 0: not class-conditional
  bool operator==(const LatentMappingConfig&) const = default;
};
Status check_latent_mapping(const LatentMappingConfig& config);
Result<ParameterSet> latent_mapping_parameters(const LatentMappingConfig& config);
// The mapping that a set's parameters latent_mapping... describe; nothing if it has none.
std::optional<LatentMappingConfig> latent_mapping_of(const ParameterSet& set);
// z [n, latent], labels u32 [n] (empty without classes) → [n, features]. z is first brought to
// unit mean square. Parameters fc1, fc2, ... and class_embedding.weight.
Tensor latent_mapping(const Scope& scope, const LatentMappingConfig& config, Tensor z,
                      Tensor labels);

struct DdganConfig {
  // The generator. class_embed_type "identity": its class embedding is the mapped latent;
  // time_embedding_dim (default 4 block_out_channels[0]) is mapping.features.
  UNet2DConfig unet;
  LatentMappingConfig mapping;
  // The discriminator's levels, outermost first; each halves the image.
  std::vector<int64_t> discriminator_channels = {32, 64, 64};
  bool operator==(const DdganConfig&) const = default;
};

// Errors name the field, expected and found.
Status check_latent_unet(const UNet2DConfig& unet, const LatentMappingConfig& mapping);
Status check_ddgan(const DdganConfig& config);
// A U-Net whose class embedding is a mapped latent: what of a trained GAN is kept. The U-Net's
// parameters by their own names, and latent_mapping... .
Result<ParameterSet> latent_unet_parameters(const UNet2DConfig& unet,
                                            const LatentMappingConfig& mapping);
// All weights of both networks: the U-Net's by their own names, latent_mapping... and
// discriminator... .
Result<ParameterSet> ddgan_parameters(const DdganConfig& config);

// x_t [n,h,w,c], t f32 [n], z [n, latent], labels as above → x_0 [n,h,w,c] in (-1, 1). `scope` is
// the root of either parameter set above.
Tensor ddgan_generator(const Scope& scope, const UNet2DConfig& unet,
                       const LatentMappingConfig& mapping, Tensor x, Tensor t, Tensor z,
                       Tensor labels);

// x_{t-1}, x_t [n,h,w,c], t f32 [n], labels as above → logits [n]. Residual blocks with leaky ReLU
// and no normalisation, each conditioned on t; the sum over pixels goes to one number, plus the
// inner product with a class embedding (Miyato and Koyama 2018).
Tensor ddgan_discriminator(const Scope& scope, const DdganConfig& config, Tensor previous, Tensor x,
                           Tensor t, Tensor labels);

}  // namespace ito
