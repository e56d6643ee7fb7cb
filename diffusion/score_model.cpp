#include "diffusion/score_model.h"

#include <span>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/registry.h"
#include "diffusion/probability_flow.h"
#include "diffusion/process.h"
#include "graph/builder.h"

namespace ito {

namespace {

// What an EDM scheduler's prediction_type says of the network.
struct EdmOutput {
  Name name;
  double sign;
};
constexpr EdmOutput kEdmOutputs[] = {
    {{"epsilon", "the network is F", "Karras et al. 2022, eq. 7", ""}, 1},
    {{"v_prediction", "the network is -F", "diffusers' EDM schedulers", ""}, -1},
};

}  // namespace

Status check_noise_input(NoiseInput input, NoiseInput expected, const char* message) {
  if (input != expected) return unsupported("{}", message);
  return {};
}

Result<Sde> scheduler_sde(const SchedulerConfig& config) {
  const ProcessRow& row = process_row(config.process);
  if (row.sde != nullptr) return row.sde(config);
  return unsupported("the model's scheduler is of no SDE: expected one of VE, VP, sub-VP or EDM");
}

double sampling_end(const SchedulerConfig& config) {
  const ProcessRow& row = process_row(config.process);
  CHECK(row.sampling_end != nullptr, "sampling_end of a process that is no SDE");
  return row.sampling_end(config);
}

Result<double> edm_output_sign(const SchedulerConfig& config) {
  const EdmOutput* row = find_row(std::span<const EdmOutput>(kEdmOutputs), config.prediction_type);
  if (row != nullptr) return row->sign;
  return unsupported("EDM with prediction_type \"{}\": expected epsilon or v_prediction",
                     config.prediction_type);
}

EdmDenoiser scheduler_denoiser(Denoiser network, const SchedulerConfig& config) {
  const EdmPreconditioning preconditioning{.sigma_data = config.sigma_data};
  if (edm_output_sign(config).value() > 0) return edm_denoiser(std::move(network), preconditioning);
  return edm_denoiser(
      [network = std::move(network)](Tensor x, Tensor c_noise) { return -network(x, c_noise); },
      preconditioning);
}

ScoreFunction network_score(Denoiser network, NoiseInput input, const SchedulerConfig& config) {
  const ProcessRow& row = process_row(config.process);
  CHECK(row.network_score != nullptr, "network_score of a process that is no SDE");
  return row.network_score(std::move(network), input, config);
}

Result<ScoreModel> chain_score(const NoiseSchedule& schedule, Prediction prediction,
                               Denoiser denoiser) {
  ITO_ASSIGN(const ProbabilityFlow flow,
             probability_flow(schedule, prediction, std::move(denoiser)));
  const Sde sde;  // VP with the rates of Song et al. 2021
  return ScoreModel{.sde = sde, .score = [sde, score = flow.score](Tensor x, Tensor t) {
                      // The flow's time is minus the log-SNR.
                      return score(x, log(sde.std(t) / sde.mean(t)) * 2.0);
                    }};
}

ScoreFunction clipped_score(const Sde& sde, ScoreFunction score, double range) {
  return [sde, score = std::move(score), range](Tensor x, Tensor t) {
    const Tensor s = score(x, t);
    const Tensor mean = per_image(sde.mean(t), x.rank());
    const Tensor variance = per_image(square(sde.std(t)), x.rank());
    const Tensor clean = (x + variance * s) / mean;
    return s + mean / variance * (clamp(clean, -range, range) - clean);
  };
}

Result<ScoreModel> edm_coordinates(const ScoreModel& model, double end_time) {
  const Sde& sde = model.sde;
  if (!(end_time > 0 && end_time < sde.end()))
    return invalid_argument("end_time is {}, expected a time between 0 and {}", end_time,
                            sde.end());
  if (sde.time_is_std()) {
    Sde shorter = sde;
    shorter.sigma_min = end_time;
    return ScoreModel{.sde = shorter, .score = model.score};
  }
  const auto sigma = [&](double t) { return sde.std(t) / sde.mean(t); };
  return ScoreModel{
      .sde = {.kind = Sde::Kind::kEdm, .sigma_min = sigma(end_time), .sigma_max = sigma(sde.end())},
      .score = [sde, score = model.score](Tensor x, Tensor sigmas) {
        const Tensor t = sde.time_of(sigmas);
        const Tensor mean = per_image(sde.mean(t), x.rank());
        return mean * score(mean * x, t);
      }};
}

Result<ScoreModel> noise_coordinates(const ScoreModel& model, double end_time) {
  if (model.sde.keeps_images()) return model;
  return edm_coordinates(model, end_time);
}

Tensor ladder_time(Tensor level, int64_t levels) {
  CHECK(levels >= 2, "a ladder has at least two noise levels");
  return cast(level, DType::kF32) / static_cast<double>(levels - 1);
}

}  // namespace ito
