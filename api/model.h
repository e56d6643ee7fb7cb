// Model: a U-Net as everything above files needs it (configuration, parameter set, flat weights in
// our layout), read from and written to diffusers folders; and the same for the small classifier.
// Not for running them (api/sampling.h, api/training.h, api/forward.h).
#pragma once

#include <optional>
#include <vector>

#include "base/config.h"
#include "base/result.h"
#include "diffusion/denoiser.h"
#include "io/file.h"
#include "io/host_tensor.h"
#include "io/json.h"
#include "nn/classifier.h"
#include "nn/ddgan.h"
#include "nn/parameters.h"

namespace ito {

struct Model {
  UNet2DConfig unet;
  SchedulerConfig scheduler;  // DDPM's defaults where the folder has none
  // Of a denoising diffusion GAN's generator: what fills the U-Net's class embedding
  // (nn/ddgan.h); its weights are in `set` too.
  std::optional<LatentMappingConfig> latent;
  ParameterSet set;
  std::vector<float> weights;  // [set.size()]

  // Rows of the class table; 0 for a model without classes.
  int num_classes() const {
    return latent ? static_cast<int>(latent->classes) : unet.num_class_embeds.value_or(0);
  }
};

// Reads a diffusers pipeline or model folder. Errors name the file, or the tensor that is missing,
// too many or of another shape (kCorrupt), or the block this build does not know (kUnsupported).
Result<Model> load_model(const Path& folder);

// Writes a pipeline folder (unet/, scheduler/, model_index.json), each file atomically; for a GAN's
// generator latent_mapping/ too. Weights of its discriminator, if `set` has them, are left out.
Status save_model(const Path& folder, const UNet2DConfig& unet, const SchedulerConfig& scheduler,
                  const ParameterSet& set, std::span<const float> weights,
                  const std::optional<LatentMappingConfig>& latent = {});

// The classifier: config.json beside model.safetensors.
struct ClassifierModel {
  ClassifierConfig config;
  int size = 0;  // side of the images it was trained on
  ParameterSet set;
  std::vector<float> weights;
};
// The keys in_channels, classes, norm_groups, channels and size of a config.json, which the
// noise-conditional classifier's has too. Errors: kCorrupt naming file and key.
Status read_classifier_config(JsonObject& object, ClassifierConfig* config);
Result<ClassifierModel> load_classifier(const Path& folder);
Status save_classifier(const Path& folder, const ClassifierConfig& config, int size,
                       const ParameterSet& set, std::span<const float> weights);

// Weights between files (PyTorch names and layouts, any float type) and the flat vector.
// `where` names the source in errors.
Result<std::vector<float>> weights_from_file(const ParameterSet& set, const TensorFile& file,
                                             std::string_view where);
TensorFile weights_to_file(const ParameterSet& set, std::span<const float> weights);

// The network on parameters `flat` as a Denoiser. `set` must outlive it. class_labels: u32 [n], or
// empty for a model without classes.
Denoiser unet_denoiser(const UNet2DConfig& unet, const ParameterSet& set, Tensor flat,
                       Tensor class_labels);

}  // namespace ito
