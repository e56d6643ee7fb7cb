// Golden family sde, *_traj_PREDICTOR_CORRECTOR: every step of a predictor-corrector sampler with
// the exact score of a Gaussian mixture.
#include <numeric>

#include "base/error.h"
#include "diffusion/predictor_corrector.h"
#include "tests/golden_runner/families.h"
#include "tests/golden_runner/method_run.h"
#include "tests/golden_runner/sde_case.h"

namespace ito::golden {
namespace {

// The README: trajectories in float32.
constexpr double kTrajectoryLimit = 1e-3;
// A host table against one rounded to float32.
constexpr double kTableLimit = 1e-6;

Result<PredictorCorrectorOptions> read_options(const Case& golden) {
  PredictorCorrectorOptions options;
  ITO_ASSIGN(std::string predictor, text(golden.json, "predictor"));
  ITO_ASSIGN(options.predictor, predictor_from_name(predictor));
  ITO_ASSIGN(const std::string corrector, text(golden.json, "corrector"));
  ITO_ASSIGN(options.corrector, corrector_from_name(corrector));
  ITO_ASSIGN(const int64_t steps, integer(golden.json, "N"));
  options.steps = static_cast<int>(steps);
  ITO_ASSIGN(options.snr, number(golden.json, "snr"));
  ITO_ASSIGN(options.end_time, number(golden.json, "eps"));
  options.denoise = false;
  options.norm_over = NormOver::kBatch;
  return options;
}

}  // namespace

Result<Outcome> run_sde_trajectory(vk::Device& device, const Case& golden) {
  ITO_ASSIGN(const Sde sde, sde_of(golden));
  ITO_ASSIGN(const GaussianMixture mixture, mixture_of(golden));
  ITO_ASSIGN(const PredictorCorrectorOptions options, read_options(golden));
  ITO_ASSIGN(const Method chain, predictor_corrector(sde, mixture_score(mixture, sde), options));
  ITO_ASSIGN(const Array x_T, golden.array("x_T"));
  if (x_T.shape.rank() != 2 || x_T.shape[1] != static_cast<int64_t>(mixture.means[0].size()))
    return corrupt("x_T {} does not fit the mixture", x_T.shape.to_string());

  std::vector<int64_t> every_row(static_cast<size_t>(chain.steps));
  std::iota(every_row.begin(), every_row.end(), 0);
  std::vector<RecordedNoise> noises;
  if (options.corrector != Corrector::kNone) {
    ITO_ASSIGN(const Array noise, golden.array("noise_corrector"));
    noises.push_back({noise, every_row});
  }
  if (noises.size() < static_cast<size_t>(chain.draws)) {
    ITO_ASSIGN(const Array noise, golden.array("noise_predictor"));
    noises.push_back({noise, every_row});
  }
  for (const RecordedNoise& recorded : noises)
    if (recorded.noise.shape.rank() != 3 || recorded.noise.shape[0] != chain.steps)
      return corrupt("noise has shape {}, expected {} steps", recorded.noise.shape.to_string(),
                     chain.steps);

  ITO_ASSIGN(const Trajectory trajectory, follow_chain(device, chain, x_T, noises));
  Comparison comparison;
  ITO_ASSIGN(const Array timesteps, golden.array("timesteps"));
  comparison.relative("timesteps", {.shape = timesteps.shape, .data = chain.column("time")},
                      timesteps, kTableLimit);
  const std::pair<const char*, const char*> compared[] = {
      {"samples", "x"}, {"means", "mean"}, {"after_corrector", "corrected"}};
  for (const auto& [recorded, ours] : compared) {
    if (!golden.has(recorded)) continue;
    ITO_ASSIGN(const Array expected, golden.array(recorded));
    const Array& actual = trajectory.at(ours);
    comparison.relative(recorded, actual, expected, kTrajectoryLimit);
    // A VE sample shrinks from 50 to 1; the last one counts on its own scale as well.
    if (actual.shape == expected.shape)
      comparison.relative(std::string(recorded) + " (last)", row(actual, chain.steps - 1),
                          row(expected, chain.steps - 1), kTrajectoryLimit);
  }
  return comparison.outcome();
}

}  // namespace ito::golden
