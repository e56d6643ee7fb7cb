// Configurations of the networks that diffusers does not have: plain structs, no parsing, whose
// values the networks check (nn/). UNet2DConfig is in base/config.h.
#pragma once

#include <any>
#include <cstdint>
#include <vector>

namespace ito {

// The configuration of some network: one of the structs that end in Config. Which one, the
// network's row says (nn/networks.h).
using NetworkConfig = std::any;

// A small image classifier (nn/classifier.h).
struct ClassifierConfig {
  int64_t in_channels = 1;
  int64_t classes = 10;
  int64_t image_size = 32;  // height and width; a multiple of 2^(channels.size() - 1)
  // One 3x3 convolution, group norm and SiLU each; before all but the first a 2x2 mean halves the
  // image. (A strided convolution costs four times as much backwards: its input's gradient is a
  // convolution of the full size.)
  std::vector<int64_t> channels = {32, 64, 96, 96};
  int64_t norm_groups = 8;
  bool operator==(const ClassifierConfig&) const = default;
};

// The classifier of noisy images (nn/noisy_classifier.h).
struct NoisyClassifierConfig {
  ClassifierConfig image;       // as of the noise-free classifier
  int64_t noise_features = 64;  // sinusoids of ln σ; even
  int64_t embedding_features = 128;
  bool operator==(const NoisyClassifierConfig&) const = default;
};

// What turns a latent (and a class) into an embedding (nn/ddgan.h): mapping layers as in StyleGAN
// (Karras et al. 2019) without noise inputs, as Xiao, Kreis and Vahdat 2022 have them.
struct LatentMappingConfig {
  int64_t latent = 64;    // length of z
  int64_t layers = 3;     // linear layers, SiLU after each
  int64_t features = 64;  // their width, and that of the embedding
  int64_t classes = 0;    // 0: not class-conditional
  bool operator==(const LatentMappingConfig&) const = default;
};

}  // namespace ito
