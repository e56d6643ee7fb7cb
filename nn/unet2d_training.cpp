#include "nn/unet2d_training.h"

#include <numbers>

#include "base/error.h"
#include "base/unet2d_config.h"
#include "nn/unet2d.h"

namespace ito {
namespace {

constexpr size_t kMostUNetLevels = 8;
constexpr int kMostUNetChannels = 65536;
constexpr int kSkipAttentionGroups = 32;  // of NCSN++ blocks
constexpr std::string_view kUNetOptions = "channels layers-per-block norm-groups dropout energy";
constexpr std::string_view kScoreUNetOptions = "channels layers-per-block norm-groups dropout";

const UNet2DConfig& own_unet(const NetworkConfig& config) {
  return std::any_cast<const UNet2DConfig&>(config);
}

// `grouped`: --norm-groups must divide the channels.
Status check_unet_levels(const NetworkOptions& o, bool grouped) {
  if (o.channels.empty() || o.channels.size() > kMostUNetLevels)
    return invalid_argument("--channels has {} levels, expected 1 to {}", o.channels.size(),
                            kMostUNetLevels);
  for (const int c : o.channels) {
    if (c < 1 || c > kMostUNetChannels || (grouped && c % o.norm_groups != 0))
      return invalid_argument("--channels has {}, which --norm-groups {} does not divide", c,
                              o.norm_groups);
  }
  return {};
}
Status check_grouped(const NetworkOptions& o) { return check_unet_levels(o, true); }
Status check_ungrouped(const NetworkOptions& o) { return check_unet_levels(o, false); }

// All but the innermost level halve the image; padding leaves one halving more.
ImageSides unet_sides(const NetworkOptions& o) {
  const size_t levels = o.channels.size();
  return {.multiple = 1 << (levels - 1),
          .padded = 1 << levels,
          .why = fmt::format("{} levels", levels)};
}

NetworkConfig ddpm(const NetworkOptions& options, const ImageNeeds& needs) {
  return plain_unet2d(options, needs);
}

NetworkConfig ncsnv2(const NetworkOptions& options, const ImageNeeds& needs) {
  UNet2DConfig config = plain_unet2d(options, needs);
  config.time_embedding_type = "none";
  return config;
}

// NCSN++ as diffusers configures it (Song et al. 2021, appendix H).
NetworkConfig ncsnpp(const NetworkOptions& options, const ImageNeeds& needs) {
  UNet2DConfig config = plain_unet2d(options, needs);
  config.time_embedding_type = "fourier";
  config.norm_num_groups.reset();
  config.norm_eps = 1e-6;
  config.mid_block_scale_factor = std::numbers::sqrt2;
  config.sigma_data = needs.sigma_data;
  set_blocks(config, /*image_skip=*/true,
             /*attention=*/options.channels.back() % kSkipAttentionGroups == 0);
  return config;
}

bool is_ddpm(const NetworkConfig& config) {
  return own_unet(config).time_embedding_type == "positional";
}
bool is_ncsnpp(const NetworkConfig& config) {
  return own_unet(config).time_embedding_type == "fourier";
}
bool is_ncsnv2(const NetworkConfig& config) {
  return own_unet(config).time_embedding_type == "none";
}

constexpr NetworkDesign kUNetDesigns[] = {
    {.name = {"ddpm", "U-Net with sinusoidal time features", "Ho et al. 2020", ""},
     .network = kUNet2D,
     .processes = "none ve vp subvp edm",
     .options = kUNetOptions,
     .check = check_grouped,
     .sides = unet_sides,
     .configure = ddpm,
     .made = is_ddpm},
    {.name = {"ncsnpp", "noise level by Fourier features, image skips, FIR resampling",
              "Song et al. 2021, appendix H", ""},
     .network = kUNet2D,
     .processes = "ve vp subvp",
     .options = kScoreUNetOptions,
     .check = check_ungrouped,
     .sides = unet_sides,
     .configure = ncsnpp,
     .made = is_ncsnpp},
    {.name = {"ncsnv2", "not told the noise level, output divided by it", "Song & Ermon 2020", ""},
     .network = kUNet2D,
     .processes = "ve",
     .options = kScoreUNetOptions,
     .check = check_grouped,
     .sides = unet_sides,
     .configure = ncsnv2,
     .made = is_ncsnv2},
};

void read_unet(const NetworkConfig& from, NetworkOptions& o, ImageNeeds& needs) {
  const UNet2DConfig& config = own_unet(from);
  o.channels = config.block_out_channels;
  o.layers_per_block = config.layers_per_block;
  if (config.norm_num_groups) o.norm_groups = *config.norm_num_groups;
  o.dropout = config.dropout;
  if (config.energy) o.energy = *config.energy;
  needs.in_channels = config.in_channels;
  needs.out_channels = config.out_channels;
  if (config.sample_size) needs.size = *config.sample_size;
  needs.classes = config.num_class_embeds.value_or(0);
  needs.sigma_data = config.sigma_data;
}

Status adapt_unet(NetworkConfig& whole, const NetworkOptions& options, const ImageNeeds& needs) {
  auto& config = std::any_cast<UNet2DConfig&>(whole);
  if (config.class_embed_type) {
    ITO_ASSIGN(const Network network, unet2d_network(config));
    return unsupported(
        "class_embed_type \"{}\" wants {} in place of class labels, which no data set here has; a "
        "copy of the model without class_embed_type in its config.json is trained, on classes or "
        "on "
        "none",
        *config.class_embed_type, network.signature().classes.what());
  }
  config.dropout = options.dropout;
  config.sample_size = needs.size;
  config.num_class_embeds.reset();
  if (needs.classes > 0) config.num_class_embeds = needs.classes;
  return {};
}

constexpr NetworkTraining kUNetTraining = {.designs = kUNetDesigns,
                                           .read = read_unet,
                                           .adapt = adapt_unet,
                                           .free = "dropout",
                                           .class_parameters = "class_embedding."};

}  // namespace

const NetworkTraining& unet2d_training() { return kUNetTraining; }

UNet2DConfig plain_unet2d(const NetworkOptions& options, const ImageNeeds& needs) {
  UNet2DConfig config;
  config.sample_size = needs.size;
  config.in_channels = needs.in_channels;
  config.out_channels = needs.out_channels;
  config.block_out_channels = options.channels;
  config.layers_per_block = options.layers_per_block;
  config.norm_num_groups = options.norm_groups;
  config.dropout = options.dropout;
  config.attention_head_dim.reset();
  set_blocks(config, /*image_skip=*/false, /*attention=*/true);
  if (needs.classes > 0) config.num_class_embeds = needs.classes;
  if (options.energy != kNoEnergy) config.energy = options.energy;
  return config;
}

}  // namespace ito
