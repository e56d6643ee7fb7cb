#include "nn/networks.h"

#include "base/config_values.h"
#include "nn/autoencoder_kl.h"
#include "nn/classifier.h"
#include "nn/ddgan.h"
#include "nn/dit.h"
#include "nn/mlp.h"
#include "nn/noisy_classifier.h"
#include "nn/unet2d.h"
#include "nn/unet2d_condition.h"
#include "nn/unet2d_training.h"

namespace ito {

// Networks that nobody else calls have no header: one file each in nn/.
Result<Network> uvit_network(const ConfigValues& values);
const NetworkTraining& uvit_training();

namespace {

template <typename Config, Result<Network> (*kMake)(const Config&)>
Result<Network> make(const NetworkConfig& config) {
  const Config* own = std::any_cast<Config>(&config);
  CHECK(own != nullptr, "a configuration of another network");
  return kMake(*own);
}

constexpr NetworkRow kNetworks[] = {
    {{.name = kUNet2D,
      .help = "U-Net of residual and attention blocks (DDPM, ADM, NCSN++)",
      .source = "Ho et al. 2020; Dhariwal and Nichol 2021; Song et al. 2021",
      .aliases = {}},
     make<UNet2DConfig, unet2d_network>,
     unet2d_training},
    {{.name = kUNet2DCondition,
      .help = "U-Net that attends to a context (latent diffusion)",
      .source = "Rombach et al. 2022",
      .aliases = {}},
     make<UNet2DConditionConfig, unet2d_condition_network>},
    {{.name = kAutoencoderKL,
      .help = "autoencoder of images with Gaussian latents (latent diffusion)",
      .source = "Rombach et al. 2022, section 3.1",
      .aliases = {}},
     make<AutoencoderKLConfig, autoencoder_kl_network>},
    {{.name = kDiT,
      .help = "transformer of patches, told time and class by its norms",
      .source = "Peebles and Xie 2023",
      .aliases = {}},
     make<DiTConfig, dit_network>,
     dit_training},
    {{.name = "uvit",
      .help = "transformer of patches with long skips, told time and class by tokens",
      .source = "Bao et al. 2023",
      .aliases = {}},
     make<ConfigValues, uvit_network>,
     uvit_training},
    {{.name = kLatentMapping,
      .help = "latent and class to an embedding",
      .source = "Karras et al. 2019",
      .aliases = {}},
     make<LatentMappingConfig, latent_mapping_network>},
    {{.name = kDdganGenerator,
      .help = "generator of a denoising diffusion GAN",
      .source = "Xiao, Kreis and Vahdat 2022",
      .aliases = {}},
     make<LatentUNetConfig, ddgan_generator_network>,
     /*training=*/nullptr,
     &kLatentUNetParts},
    {{.name = kDdganDiscriminator,
      .help = "discriminator of a denoising diffusion GAN",
      .source = "Xiao, Kreis and Vahdat 2022; Miyato and Koyama 2018",
      .aliases = {}},
     make<DdganConfig, ddgan_discriminator_network>},
    {{.name = kClassifier,
      .help = "small convolutional image classifier",
      .source = "Wu and He 2018 (group norm)",
      .aliases = {}},
     make<ClassifierConfig, classifier_network>,
     classifier_training},
    {{.name = kNoisyClassifier,
      .help = "classifier of noisy images, for guidance",
      .source = "Dhariwal and Nichol 2021, section 4",
      .aliases = {}},
     make<NoisyClassifierConfig, noisy_classifier_network>,
     noisy_classifier_training},
    {{.name = kMlp,
      .help = "multi-layer perceptron for points in the plane",
      .source = "Song and Ermon 2019, appendix",
      .aliases = {}},
     make<MlpConfig, mlp_network>},
};

}  // namespace

std::span<const NetworkRow> network_rows() { return kNetworks; }

const NetworkRow& network_row(std::string_view name) {
  const NetworkRow* found = find_row(network_rows(), name);
  CHECK(found != nullptr, "there is no network " + std::string(name));
  return *found;
}

Result<Network> make_network(std::string_view row, const NetworkConfig& config) {
  const NetworkRow* found = find_row(network_rows(), row);
  if (found == nullptr)
    return unsupported("there is no network \"{}\", expected {}", row,
                       expected_names(network_rows()));
  return found->make(config);
}

std::span<const NetworkDesign> network_designs() {
  static const std::vector<NetworkDesign> all = [] {
    std::vector<NetworkDesign> designs;
    for (const NetworkRow& row : network_rows()) {
      if (row.training == nullptr) continue;
      const std::span<const NetworkDesign> own = row.training().designs;
      designs.insert(designs.end(), own.begin(), own.end());
    }
    return designs;
  }();
  return all;
}

const NetworkTraining& training_of(const Network& network) {
  static constexpr NetworkTraining kNone;
  const NetworkRow& row = network_row(network.row());
  return row.training == nullptr ? kNone : row.training();
}

}  // namespace ito
