#include "api/training_rows.h"

#include "base/error.h"
#include "base/name_list.h"
#include "nn/networks.h"

namespace ito {
namespace {

constexpr double kEdmSigmaMax = 80;                             // Karras et al. 2022, table 1
constexpr double kVeSamplingEps = 1e-5, kVpSamplingEps = 1e-3;  // diffusers' defaults

void discrete_chain(const TrainingOptions& options, SchedulerConfig& config) {
  if (config.beta_schedule != options.schedule) config.trained_betas.reset();
  config.beta_schedule = options.schedule;
  config.prediction_type = options.prediction;
  if (config.rescale_betas_zero_snr == options.zero_snr) return;
  if (!options.zero_snr) {
    config.rescale_betas_zero_snr = false;
    return;
  }
  config.rescale_betas_zero_snr = true;
  // Begins at the timestep without signal (Lin et al. 2023).
  config.timestep_spacing = "trailing";
}

void sigmas(const TrainingOptions& options, SchedulerConfig& config) {
  config.sigma_min = options.sigma_min;
  config.sigma_max = options.sigma_max;
}

void rates(const TrainingOptions& options, SchedulerConfig& config) {
  config.beta_min = options.beta_min;
  config.beta_max = options.beta_max;
}

void edm(const TrainingOptions& options, SchedulerConfig& config) {
  config.sigma_min = options.sigma_min;
  config.sigma_max = options.sigma_max > 0 ? options.sigma_max : kEdmSigmaMax;
  config.sigma_data = options.sigma_data;
}

void take_chain(const SchedulerConfig& config, TrainingOptions& options) {
  options.schedule = config.beta_schedule;
  options.prediction = config.prediction_type;
  options.zero_snr = config.rescale_betas_zero_snr;
}

void take_sigmas(const SchedulerConfig& config, TrainingOptions& options) {
  options.sigma_min = config.sigma_min;
  options.sigma_max = config.sigma_max;
  if (config.ladder) options.ladder = std::to_string(config.num_train_timesteps);
}

void take_rates(const SchedulerConfig& config, TrainingOptions& options) {
  options.beta_min = config.beta_min;
  options.beta_max = config.beta_max;
}

void take_edm(const SchedulerConfig& config, TrainingOptions& options) {
  options.sigma_min = config.sigma_min;
  options.sigma_max = config.sigma_max;
  options.sigma_data = config.sigma_data;
}

constexpr std::string_view kRates = "beta-min beta-max";

constexpr TrainedProcessRow kProcesses[] = {
    {.name = {"none", "the discrete chain of --schedule", "Ho et al. 2020, eq. 2", ""},
     .process = ProcessKind::kDiscrete,
     .options = "",
     .sampler = "ddpm",
     .sampling_eps = kVeSamplingEps,
     .describe = discrete_chain,
     .take = take_chain},
    {.name = {"ve", "variance-exploding SDE", "Song et al. 2021, eq. 9", ""},
     .process = ProcessKind::kVe,
     .options = "sigma-min sigma-max sigma-data ladder",
     .sampler = "pc",
     .sampling_eps = kVeSamplingEps,
     .describe = sigmas,
     .take = take_sigmas,
     .sigma_from_data = true,
     .ladder = true,
     .sigma_data = true},
    {.name = {"vp", "variance-preserving SDE", "Song et al. 2021, eq. 11", ""},
     .process = ProcessKind::kVp,
     .options = kRates,
     .sampler = "em",
     .sampling_eps = kVpSamplingEps,
     .describe = rates,
     .take = take_rates},
    {.name = {"subvp", "sub-variance-preserving SDE", "Song et al. 2021, eq. 12", ""},
     .process = ProcessKind::kSubVp,
     .options = kRates,
     .sampler = "em",
     .sampling_eps = kVpSamplingEps,
     .describe = rates,
     .take = take_rates},
    {.name = {"edm", "EDM's preconditioned network and loss", "Karras et al. 2022", ""},
     .process = ProcessKind::kEdm,
     .options = "sigma-min sigma-max sigma-data p-mean p-std",
     .sampler = "edm-euler",
     .sampling_eps = kVeSamplingEps,
     .describe = edm,
     .take = take_edm,
     .preconditioned = true},
};

constexpr OptimizerRow kOptimizers[] = {
    {{"adamw", "Adam with decoupled weight decay", "Loshchilov & Hutter 2019", ""},
     Optimizer::Kind::kAdamW},
    {{"adam", "Adam", "Kingma & Ba 2015", ""}, Optimizer::Kind::kAdam},
    {{"sgd", "gradient descent with momentum", "Polyak 1964", ""}, Optimizer::Kind::kSgd},
};

constexpr DecayRow kDecays[] = {
    {{"constant", "no fall", "", ""}, LearningRate::Decay::kConstant, false},
    {{"linear", "linearly to 0", "", ""}, LearningRate::Decay::kLinear},
    {{"cosine", "along half a cosine to 0", "Loshchilov & Hutter 2017", ""},
     LearningRate::Decay::kCosine},
    {{"inverse-sqrt", "as the inverse root of the steps", "Karras et al. 2024, eq. 67", ""},
     LearningRate::Decay::kInverseSqrt,
     false},
};

constexpr ScoreWeightRow kScoreWeights[] = {
    {{"variance", "of the noise", "Song et al. 2021, eq. 7", ""},
     ScoreWeighting::kStd2,
     TimeSampling::kUniform,
     true},
    {{"likelihood", "the square of the diffusion", "Song, Durkan, Murray, Ermon 2021, theorem 1",
      ""},
     ScoreWeighting::kLikelihood,
     TimeSampling::kUniform},
    {{"importance", "likelihood, with times drawn where that weighs most",
      "Song, Durkan, Murray, Ermon 2021, section 4.3", ""},
     ScoreWeighting::kLikelihood,
     TimeSampling::kImportance},
};

}  // namespace

std::span<const TrainedProcessRow> trained_process_rows() { return kProcesses; }
std::span<const OptimizerRow> optimizer_rows() { return kOptimizers; }
std::span<const DecayRow> decay_rows() { return kDecays; }
std::span<const ScoreWeightRow> score_weight_rows() { return kScoreWeights; }

Result<const TrainedProcessRow*> trained_process(const TrainingOptions& options) {
  return row_called(trained_process_rows(), options.sde, "--sde");
}

Result<const NetworkDesign*> trained_network(const TrainingOptions& options) {
  ITO_ASSIGN(const NetworkDesign* row, row_called(network_designs(), options.network, "--network"));
  if (lists(row->processes, options.sde)) return row;
  return invalid_argument("--network {} needs --sde {}, found {}", row->name.name,
                          joined(names_in(row->processes)), options.sde);
}

}  // namespace ito
