// The two networks of a denoising diffusion GAN (Xiao, Kreis and Vahdat 2022): a U-Net whose
// embedding also holds a mapped latent, and a time-dependent discriminator. Both may be
// class-conditional. Not the losses (diffusion/ddgan.h) nor their training (api/task.h).
#pragma once

#include <cstdint>
#include <vector>

#include "base/config.h"
#include "base/network_config.h"
#include "nn/network.h"

namespace ito {

// Rows of nn/networks.h.
inline constexpr std::string_view kLatentMapping = "latent_mapping";
inline constexpr std::string_view kDdganGenerator = "ddgan_generator";
inline constexpr std::string_view kDdganDiscriminator = "ddgan_discriminator";

// Errors name the field, expected and found.
Status check_latent_mapping(const LatentMappingConfig& config);
Result<ParameterSet> latent_mapping_parameters(const LatentMappingConfig& config);
// z [n, latent], labels u32 [n] (empty without classes) → [n, features]. z is first brought to
// unit mean square. Parameters fc1, fc2, ... and class_embedding.weight.
Tensor latent_mapping(const Scope& scope, const LatentMappingConfig& config, Tensor z,
                      Tensor labels);

// A U-Net whose class embedding is a mapped latent: the generator.
struct LatentUNetConfig {
  UNet2DConfig unet;  // class_embed_type "identity"
  LatentMappingConfig mapping;
  bool operator==(const LatentUNetConfig&) const = default;
};

struct DdganConfig {
  // The generator. class_embed_type "identity": its class embedding is the mapped latent;
  // time_embedding_dim (default 4 block_out_channels[0]) is mapping.features.
  UNet2DConfig unet;
  LatentMappingConfig mapping;
  // The discriminator's levels, outermost first; each halves the image.
  std::vector<int64_t> discriminator_channels = {32, 64, 64};
  bool operator==(const DdganConfig&) const = default;
};

// The generator as folders keep it (nn/networks.h): the U-Net, and in latent_mapping/ the mapping.
struct NetworkParts;
extern const NetworkParts kLatentUNetParts;

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

// As networks. Of the latent mapping the sample is z. The generator's parameters are those of
// latent_unet_parameters; the discriminator's begin with "discriminator." and its sample is x_{t-1}
// and x_t, one after the other along the channels.
Result<Network> latent_mapping_network(const LatentMappingConfig& config);
Result<Network> ddgan_generator_network(const LatentUNetConfig& config);
Result<Network> ddgan_discriminator_network(const DdganConfig& config);

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
