#include "diffusion/flow_matching.h"

#include <cmath>
#include <numbers>

#include "base/check.h"
#include "base/error.h"
#include "diffusion/score.h"
#include "diffusion/streams.h"
#include "graph/builder.h"

namespace ito {
namespace {

constexpr double kQuarterTurn = std::numbers::pi / 2;
// The first timestep is told at half a step from the data.
constexpr double kHalfStep = 0.5;

constexpr FlowPathRow kPaths[] = {
    {{"linear", "(1-t) x_0 + t e, a straight line", "Liu et al. 2023, eq. 1", "rectified"},
     FlowPath::kLinear},
    {{"trigonometric", "cos(pi t/2) x_0 + sin(pi t/2) e, which keeps the variance",
      "Albergo & Vanden-Eijnden 2023, section 4", "vp"},
     FlowPath::kTrigonometric},
};

constexpr FlowTimesRow kTimes[] = {
    {{"uniform", "every time as often", "Lipman et al. 2023, section 3", ""}, FlowTimes::kUniform},
    {{"logit-normal", "times whose logit is normal", "Esser et al. 2024, section 3.1", ""},
     FlowTimes::kLogitNormal},
};

}  // namespace

std::span<const FlowPathRow> flow_path_rows() { return kPaths; }
Result<FlowPath> flow_path_from_name(const std::string& name) {
  ITO_ASSIGN(const FlowPathRow* row, row_called(flow_path_rows(), name, "--path"));
  return row->path;
}

std::span<const FlowTimesRow> flow_times_rows() { return kTimes; }
Result<FlowTimes> flow_times_from_name(const std::string& name) {
  ITO_ASSIGN(const FlowTimesRow* row, row_called(flow_times_rows(), name, "--time-sampling"));
  return row->times;
}

FlowPoint flow_point(FlowPath path, double t) {
  if (path == FlowPath::kLinear) return {.a = 1 - t, .s = t, .on_x0 = -1, .on_noise = 1};
  const double a = std::cos(kQuarterTurn * t), s = std::sin(kQuarterTurn * t);
  return {.a = a, .s = s, .on_x0 = -s, .on_noise = a};
}

std::vector<double> trigonometric_betas(int timesteps) {
  std::vector<double> betas;
  double before = 1;
  for (int i = 0; i < timesteps; ++i) {
    const double a = flow_point(FlowPath::kTrigonometric, (i + kHalfStep) / timesteps).a;
    betas.push_back(1 - a * a / before);
    before = a * a;
  }
  return betas;
}

SchedulerConfig flow_scheduler(FlowPath path, int timesteps) {
  SchedulerConfig scheduler;
  scheduler.num_train_timesteps = timesteps;
  if (path == FlowPath::kLinear) {
    scheduler.process = ProcessKind::kFlow;
    scheduler.sampler = "flow-euler";
    scheduler.prediction_type = "flow_prediction";
    scheduler.clip_sample = false;
    return scheduler;
  }
  scheduler.sampler = "ddim";
  scheduler.trained_betas = trigonometric_betas(timesteps);
  scheduler.prediction_type = "v_prediction";
  scheduler.timestep_spacing = "trailing";
  return scheduler;
}

Status check_flow_options(const FlowOptions& options) {
  if (options.timesteps < 1)
    return invalid_argument("timesteps is {}, expected at least 1", options.timesteps);
  if (!std::isfinite(options.mean) || !std::isfinite(options.std) || options.std < 0)
    return invalid_argument(
        "the times' logits have mean {} and deviation {}, expected numbers, the "
        "latter 0 or more",
        options.mean, options.std);
  return {};
}

FlowDraw draw_flow(const Shape& shape, Tensor key, Tensor image, Tensor step,
                   const FlowOptions& options) {
  const Shape times{shape[0]};
  const Tensor time =
      options.times == FlowTimes::kUniform
          ? random_uniform(times, key, image, step, kStreamTrainTimestep)
          : sigmoid(random_normal(times, key, image, step, kStreamTrainTimestep) * options.std +
                    options.mean);
  return {.time = time, .noise = random_normal(shape, key, image, step, kStreamTrainNoise)};
}

TrainingLoss flow_matching_loss(Tensor x0, const FlowDraw& draw, const Denoiser& network,
                                const FlowOptions& options) {
  const Tensor t = per_image(draw.time, x0.rank());
  const double T = options.timesteps;
  Tensor x_t, target, told = draw.time * T;
  if (options.path == FlowPath::kLinear) {
    x_t = (1.0 - t) * x0 + t * draw.noise;
    target = draw.noise - x0;
  } else {
    const Tensor a = cos(t * kQuarterTurn), s = sin(t * kQuarterTurn);
    x_t = a * x0 + s * draw.noise;
    target = a * draw.noise - s * x0;
    told = told - kHalfStep;
  }
  const Tensor output = network(x_t, told);
  CHECK(output.shape() == x0.shape(), "flow matching: the network gives " +
                                          output.shape().to_string() + ", expected " +
                                          x0.shape().to_string());
  std::vector<int64_t> axes;
  for (int axis = 1; axis < x0.rank(); ++axis) axes.push_back(axis);
  const Tensor per = mean(square(output - target), axes);
  return {.loss = mean_all(per), .per_image = per, .x_t = x_t, .target = target};
}

}  // namespace ito
