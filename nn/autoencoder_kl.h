// diffusers' AutoencoderKL as two functions: images to the moments of a diagonal Gaussian over
// latents, and latents to images (Rombach et al. 2022, section 3.1). Not its training, and not the
// tiles in which large pictures are decoded (api/autoencoder.h).
#pragma once

#include "base/latent_config.h"
#include "nn/network.h"

namespace ito {

// Its row in nn/networks.h, and a configuration of it as a network: images in, images out, by way
// of the latents' mean; Network::autoencoder() has the halves.
inline constexpr std::string_view kAutoencoderKL = "autoencoder_kl";
Result<Network> autoencoder_kl_network(const AutoencoderKLConfig& config);

// x [n,h,w,in_channels], sides multiples of latent_factor → moments
// [n,h/f,w/f,2 latent_channels]: means, then logarithms of variances.
Tensor encode_moments(const Scope& scope, const AutoencoderKLConfig& config, Tensor x);
// latent [n,h,w,latent_channels] → [n,f h,f w,out_channels].
Tensor decode_latent(const Scope& scope, const AutoencoderKLConfig& config, Tensor latent);

}  // namespace ito
