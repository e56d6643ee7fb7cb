// Golden cases schedulers/score_sde_*: the predictor-corrector sampler that the scheduler of a
// score model asks for, step by step, with the model on the device.
#include "base/error.h"
#include "diffusion/predictor_corrector.h"
#include "diffusion/score_model.h"
#include "tests/golden_runner/families.h"
#include "tests/golden_runner/golden_models.h"
#include "tests/golden_runner/method_run.h"

namespace ito::golden {
namespace {

// The README: own model evaluation.
constexpr double kSampleLimit = 1e-4;
// A host table against one rounded to float32.
constexpr double kTableLimit = 1e-6;

Array list(const std::vector<double>& values) {
  return {.shape = {static_cast<int64_t>(values.size())}, .data = values};
}

// The recorded noise of every draw of a step: corrector moves in order, then the predictor.
std::vector<RecordedNoise> noise_of_draws(const Array& noise, const Method& method) {
  std::vector<RecordedNoise> draws;
  for (int draw = 0; draw < method.draws; ++draw) {
    RecordedNoise recorded{.noise = noise, .row_of_replay = {}};
    for (int step = 0; step < method.steps; ++step)
      recorded.row_of_replay.push_back(step * method.draws + draw);
    draws.push_back(std::move(recorded));
  }
  return draws;
}

// Of each `stride` rows the last: the recorded run kept x after every move of the corrector.
Array every(const Array& source, int64_t stride) {
  std::vector<int64_t> dims = source.shape.dims();
  dims[0] /= stride;
  Array chosen{.shape = Shape(dims), .data = {}};
  for (int64_t i = stride - 1; i < source.shape[0]; i += stride) {
    const Array one = row(source, i);
    chosen.data.insert(chosen.data.end(), one.data.begin(), one.data.end());
  }
  return chosen;
}

}  // namespace

Result<Outcome> run_score_scheduler(vk::Device& device, const Case& golden,
                                    const SchedulerConfig& config) {
  ITO_ASSIGN(const Sde sde, scheduler_sde(config));
  ITO_ASSIGN(const std::string space_name, text(golden.json, "space"));
  ITO_ASSIGN(const std::string prediction, text(golden.json, "prediction"));
  ITO_ASSIGN(const Space space, golden_space(space_name, config, prediction));
  ITO_ASSIGN(const int64_t steps, integer(golden.json, "num_inference_steps"));
  if (config.process != ProcessKind::kVe)
    return unsupported("the recorded order of steps is that of the VE scheduler");
  const PredictorCorrectorOptions options{.predictor = Predictor::kReverseDiffusion,
                                          .corrector = Corrector::kLangevin,
                                          .steps = static_cast<int>(steps),
                                          .corrector_steps = config.correct_steps,
                                          .snr = config.snr,
                                          .end_time = config.sampling_eps,
                                          .denoise = false,
                                          .norm_over = NormOver::kBatch};

  Comparison comparison;
  ITO_ASSIGN(const double prior, number(golden.json, "init_noise_sigma"));
  comparison.measured("init_noise_sigma", std::abs(sde.prior_std() / prior - 1), kTableLimit);
  for (const std::string run : {"dummy", "gmm"}) {
    ITO_ASSIGN(const Array x_T, golden.array(run + ".x_T"));
    Denoiser model = space.dummy;
    if (run == "gmm") {
      ITO_ASSIGN(model, mixture_model(golden, space));
    }
    ITO_ASSIGN(const Method method,
               predictor_corrector(sde, network_score(model, NoiseInput::kSigma, config), options));
    std::vector<double> sigmas;
    for (double t : method.column("time")) sigmas.push_back(sde.std(t));
    ITO_ASSIGN(const Array timesteps, golden.array("timesteps"));
    comparison.relative("timesteps", list(method.column("time")), timesteps, kTableLimit);
    ITO_ASSIGN(const Array levels, golden.array("sigmas"));
    comparison.relative("sigmas", list(sigmas), levels, kTableLimit);

    ITO_ASSIGN(const Array noise, golden.array(run + ".noise"));
    if (noise.shape.rank() < 2 || noise.shape[0] != int64_t{method.steps} * method.draws)
      return corrupt("{}.noise has shape {}, expected {} draws", run, noise.shape.to_string(),
                     method.steps * method.draws);
    ITO_ASSIGN(const Trajectory trajectory,
               follow_chain(device, method, x_T, noise_of_draws(noise, method)));
    const std::pair<const char*, const char*> compared[] = {
        {".samples", "x"}, {".sample_mean", "mean"}, {".corrected", "corrected"}};
    for (const auto& [recorded, ours] : compared) {
      ITO_ASSIGN(Array expected, golden.array(run + recorded));
      if (ours == std::string("corrected")) expected = every(expected, options.corrector_steps);
      const Array& actual = trajectory.at(ours);
      comparison.relative(run + recorded, actual, expected, kSampleLimit);
      // A sample shrinks from σ_max; the last one counts on its own scale as well.
      if (actual.shape == expected.shape)
        comparison.relative(run + recorded + " (last)", row(actual, steps - 1),
                            row(expected, steps - 1), kSampleLimit);
    }
  }
  return comparison.outcome();
}

}  // namespace ito::golden
