// The two configurations that networks, diffusion and files share: plain structs, no parsing.
// Field names, meanings and defaults are those of diffusers 0.40, so a reader of a diffusers
// config.json knows them already. Reading and writing JSON lives in io/diffusers.h; the meaning of
// a value is checked there once, so that nn and diffusion may CHECK it.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ito {

// UNet2DModel. An empty optional is JSON null.
struct UNet2DConfig {
  // Height and width of the samples the model was trained on; the network is convolutional, so
  // other sizes run too. config.json may hold one number for both.
  std::optional<std::array<int, 2>> sample_size;
  int in_channels = 3;
  int out_channels = 3;
  bool center_input_sample = false;  // feed 2x - 1
  // "positional", "fourier", "learned"; and, not in diffusers, "none" (nn/unet2d.h)
  std::string time_embedding_type = "positional";
  std::optional<int> time_embedding_dim;  // default 4 * block_out_channels[0]
  float freq_shift = 0;
  bool flip_sin_to_cos = true;
  // {Down,ResnetDownsample,AttnDown,SkipDown,AttnSkipDown}Block2D (ResnetDownsampleBlock2D is one
  // word), outermost first; the up blocks likewise, innermost first.
  std::vector<std::string> down_block_types = {"DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D",
                                               "AttnDownBlock2D"};
  std::optional<std::string> mid_block_type = "UNetMidBlock2D";  // null: no middle block
  std::vector<std::string> up_block_types = {"AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D",
                                             "UpBlock2D"};
  std::vector<int> block_out_channels = {224, 448, 672, 896};
  int layers_per_block = 2;
  double mid_block_scale_factor = 1;
  int downsample_padding = 1;
  std::string downsample_type = "conv";  // "conv" or "resnet", for the attention blocks
  std::string upsample_type = "conv";
  double dropout = 0.0;
  std::string act_fn = "silu";                // "silu", "swish" (the same), "mish", "gelu", "relu"
  std::optional<int> attention_head_dim = 8;  // null: one head as wide as the block
  std::optional<int> norm_num_groups = 32;    // null only for NCSN++ blocks: min(channels/4, 32)
  std::optional<int> attn_norm_num_groups;    // group norm of the middle attention
  double norm_eps = 1e-5;
  std::string resnet_time_scale_shift = "default";  // "default" adds, "scale_shift" modulates
  bool add_attention = true;                        // attention in the middle block
  std::optional<std::string> class_embed_type;      // null, "timestep" or "identity"
  std::optional<int> num_class_embeds;     // rows of the class table, when class_embed_type is null
  std::optional<int> num_train_timesteps;  // rows of the "learned" time table
  // Not in diffusers, and only for networks that are told sigma: c_in before the network, c_skip
  // and c_out behind it (Karras et al. 2022, table 1), so that the score is (D - x)/sigma².
  std::optional<double> sigma_data;

  // Keys this struct does not know (and _diffusers_version): key → JSON text, written back as read.
  std::map<std::string, std::string> extra;

  bool operator==(const UNet2DConfig&) const = default;
};

// The scheduler_config.json of DDPMScheduler, DDIMScheduler, ScoreSdeVeScheduler,
// ScoreSdeVpScheduler, EDMEulerScheduler and EDMDPMSolverMultistepScheduler; and of
// ScoreSdeSubVpScheduler, which diffusers does not have and which holds what ScoreSdeVpScheduler
// does.
inline bool is_edm_scheduler(std::string_view class_name) {
  return class_name == "EDMEulerScheduler" || class_name == "EDMDPMSolverMultistepScheduler";
}
// Whether it is of a model in continuous time.
inline bool is_score_scheduler(std::string_view class_name) {
  return class_name == "ScoreSdeVeScheduler" || class_name == "ScoreSdeVpScheduler" ||
         class_name == "ScoreSdeSubVpScheduler" || is_edm_scheduler(class_name);
}

struct SchedulerConfig {
  std::string class_name = "DDPMScheduler";  // "_class_name"
  int num_train_timesteps = 1000;
  double beta_start = 0.0001;
  double beta_end = 0.02;
  // "linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace"
  std::string beta_schedule = "linear";
  std::optional<std::vector<double>> trained_betas;  // replaces the schedule; one per timestep
  // "fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned", "learned_range"
  std::string variance_type = "fixed_small";
  bool clip_sample = true;
  double clip_sample_range = 1.0;
  std::string prediction_type = "epsilon";  // "epsilon", "sample", "v_prediction"
  bool thresholding = false;
  double dynamic_thresholding_ratio = 0.995;
  double sample_max_value = 1.0;
  std::string timestep_spacing = "leading";  // "leading", "trailing", "linspace"
  int steps_offset = 0;
  bool rescale_betas_zero_snr = false;
  bool set_alpha_to_one = true;  // DDIM only

  // Score models (Song et al. 2021). num_train_timesteps is the number of noise levels of the
  // discretised process; where the file does not say it, 2000.
  double sigma_min = 0.01;     // VE; EDM: 0.002 by default
  double sigma_max = 1348;     // VE; EDM: 80 by default
  double sigma_data = 0.5;     // EDM: deviation of the data
  double rho = 7;              // EDM: shape of the noise levels that diffusers samples at
  double snr = 0.15;           // VE: signal-to-noise ratio of the Langevin corrector
  int correct_steps = 1;       // VE: corrector steps per predictor step
  double beta_min = 0.1;       // VP, sub-VP
  double beta_max = 20;        // VP, sub-VP
  double sampling_eps = 1e-5;  // time at which sampling ends; VP, sub-VP: 1e-3 by default; not EDM
  // VE: the network knows its num_train_timesteps levels of noise and none in between (NCSN). Our
  // own key, left out of files where it is false.
  bool ladder = false;

  // Keys that the scheduler class_name names does not own: key → JSON text, written back as read.
  std::map<std::string, std::string> extra;

  bool operator==(const SchedulerConfig&) const = default;
};

}  // namespace ito
