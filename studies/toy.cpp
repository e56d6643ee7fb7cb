#include "studies/toy.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "api/ode_solver.h"
#include "api/replay.h"
#include "base/check.h"
#include "base/error.h"
#include "diffusion/annealed_langevin.h"
#include "diffusion/langevin.h"
#include "diffusion/likelihood.h"
#include "diffusion/method.h"
#include "diffusion/predictor_corrector.h"
#include "graph/builder.h"
#include "graph/compile.h"
#include "runtime/executor.h"

namespace ito {
namespace {

using Clock = std::chrono::steady_clock;
using Progress = std::function<bool(const ToyProgress&)>;

constexpr int64_t kShownPoints = 2000;  // shown and compared
constexpr int kFieldSide = 23;          // arrows per row
constexpr int kDensitySide = 72;        // cells per row
constexpr int kPaths = 8, kPathSteps = 250;
constexpr int64_t kFisherPoints = 8192;
constexpr uint32_t kFreshStep = 1u << 30;  // step word of draws that training never makes
constexpr Port<float> kPath{"path"};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<uint32_t> numbers(int64_t n) {
  std::vector<uint32_t> values(static_cast<size_t>(n));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<uint32_t>(i);
  return values;
}

// The rest of a toy run, once there are weights on the device.
class ToyRun {
 public:
  ToyRun(vk::Device& device, const ToyOptions& options, ToyModel model, const Progress& progress)
      : device_(device), options_(options), model_(std::move(model)), progress_(progress) {}

  Result<ToyResult> run() {
    const Clock::time_point start = Clock::now();
    result_.extent = model_.data().extent;
    result_.shown_sigma = model_.shown_sigma();
    ITO_TRY(train());
    result_.train_seconds = seconds_since(start);
    ITO_TRY(draw_data());
    ITO_TRY(evaluate_field());
    ITO_TRY(walk());
    ITO_TRY(sample());
    ITO_TRY(find_density());
    if (model_.data().is_mixture()) ITO_TRY(measure_fisher());
    result_.energy_distance = energy_distance(result_.samples, result_.data);
    result_.energy_distance_of_data = energy_distance(other_data_, result_.data);
    result_.seconds = seconds_since(start);
    return std::move(result_);
  }

 private:
  Status step(const std::string& stage, int64_t done, int64_t total) {
    if (progress_ && !progress_({stage, done, total})) return interrupted("stopped");
    return {};
  }
  std::vector<uint32_t> key() const { return {options_.seed, 0x746f79}; }
  // The weights in a program that is being built: an input to be bound to the trained average.
  Scope weights(Graph& graph) const {
    return Scope(model_.parameters(),
                 input(graph, state_name::kAverage, {model_.parameters().size()}));
  }
  ScoreFunction score() const {
    return [this](Tensor x, Tensor t) { return model_.score(weights(x.graph()))(x, t); };
  }

  Result<std::unique_ptr<Executor>> executor_of(const Program& program) {
    ITO_ASSIGN(Plan plan, compile(program, device_.caps()));
    ITO_ASSIGN(auto executor, Executor::create(device_, std::move(plan)));
    if (executor->plan().find_external(state_name::kAverage) >= 0 && average_.valid())
      ITO_TRY(executor->bind(state_name::kAverage, average_));
    if (executor->has(kToyKey)) ITO_TRY(executor->write(kToyKey, key()));
    return executor;
  }

  Status train();
  Status draw_data();
  Status evaluate_field();
  Status walk();
  Status sample();
  Status find_density();
  Status density_of_energy();
  Status density_by_flow();
  Status density_along_lines();
  Status measure_fisher();
  Status run_method(const Method& chain, Executor& executor, const std::string& stage);

  vk::Device& device_;
  const ToyOptions& options_;
  const ToyModel model_;
  const Progress& progress_;
  ToyResult result_;
  std::unique_ptr<Executor> training_;
  DeviceTensor average_;
  std::vector<float> other_data_;
};

Status ToyRun::train() {
  ITO_ASSIGN(training_, executor_of(model_.train_step()));
  const std::vector<float> start = initial_parameters(model_.parameters(), options_.seed);
  ITO_TRY(training_->write(state_name::kParameters, start));
  ITO_TRY(training_->write(state_name::kAverage, start));
  constexpr int64_t kPart = 20;
  for (int64_t done = 0; done < options_.steps; done += kPart) {
    ITO_TRY(step("training", done, options_.steps));
    ITO_TRY(training_->run(static_cast<uint32_t>(std::min(kPart, options_.steps - done))));
  }
  ITO_ASSIGN(result_.losses, training_->read<float>(state_name::kLossHistory));
  const auto bad = std::find_if(result_.losses.begin(), result_.losses.end(),
                                [](float loss) { return !std::isfinite(loss); });
  if (bad != result_.losses.end())
    return diverged("the loss is not finite at step {}; a smaller --lr may help",
                    bad - result_.losses.begin() + 1);
  const size_t last = std::max<size_t>(result_.losses.size() / 10, 1);
  double sum = 0;
  for (size_t i = result_.losses.size() - last; i < result_.losses.size(); ++i)
    sum += result_.losses[i];
  result_.final_loss = sum / static_cast<double>(last);
  ITO_ASSIGN(average_, training_->tensor(state_name::kAverage));
  return {};
}

Status ToyRun::draw_data() {
  Program program;
  Graph& graph = *program.graph;
  const Tensor drawn =
      toy_points(model_.data(), input(graph, kToyKey, {2}), iota(graph, {2 * kShownPoints}, 0),
                 scalar(graph, kFreshStep, DType::kU32));
  program.output("points", drawn);
  ITO_ASSIGN(auto executor, executor_of(program));
  ITO_TRY(executor->run());
  ITO_ASSIGN(const std::vector<float> points, executor->read<float>("points"));
  result_.data.assign(points.begin(), points.begin() + 2 * kShownPoints);
  other_data_.assign(points.begin() + 2 * kShownPoints, points.end());
  return {};
}

Status ToyRun::evaluate_field() {
  result_.field_grid = {kFieldSide, model_.data().extent};
  const int64_t n = int64_t{kFieldSide} * kFieldSide;
  Program program;
  Graph& graph = *program.graph;
  program.output("score",
                 score()(input(graph, "x", {n, 2}), full(graph, {n}, model_.shown_time())));
  ITO_ASSIGN(auto executor, executor_of(program));
  ITO_TRY(executor->write("x", result_.field_grid.points()));
  ITO_TRY(executor->run());
  ITO_ASSIGN(result_.field, executor->read<float>("score"));
  for (const float value : result_.field)
    if (!std::isfinite(value)) return diverged("the learned score is not finite");
  return {};
}

// Replays a whole chain from its present x; names the step at which it diverged.
Status ToyRun::run_method(const Method& chain, Executor& executor, const std::string& stage) {
  return replay(executor, chain.name, chain.steps,
                {.each = 20, .before = [&](int done) { return step(stage, done, chain.steps); }});
}

// Langevin paths from a ring of points outside the data. The path is kept on the device.
Status ToyRun::walk() {
  const double finest = std::hypot(model_.data().width, model_.shown_sigma());
  const double eta = 0.5 * finest * finest;  // stable for the finest feature below 4 finest²
  result_.path_steps = kPathSteps;
  result_.path_count = kPaths;
  result_.path_step_size = eta;
  ITO_ASSIGN(
      const Method chain,
      langevin(score(), {.step_size = eta, .steps = kPathSteps, .time = model_.shown_time()}));
  Program program =
      method_program(chain, {.shape = {kPaths, 2}, .noise_input = false, .outputs = false});
  Graph& graph = *program.graph;
  const Tensor path = input(graph, kPath, {kPathSteps, kPaths, 2});
  const Tensor here = equal(iota(graph, path.shape(), 0), input(graph, sampling_ports::kStep, {}));
  const auto x = std::find_if(
      program.outputs.begin(), program.outputs.end(),
      [](const ProgramOutput& output) { return output.name == sampling_ports::kX.name; });
  CHECK(x != program.outputs.end(), "a chain has no x");
  program.update(path, select(here, broadcast_to(x->value, path.shape()), path));
  ITO_ASSIGN(auto executor, executor_of(program));
  std::vector<float> start;
  for (int i = 0; i < kPaths; ++i) {
    const double angle = 2 * 3.14159265358979 * (i + 0.5) / kPaths, r = 0.93 * result_.extent;
    start.push_back(static_cast<float>(r * std::cos(angle)));
    start.push_back(static_cast<float>(r * std::sin(angle)));
  }
  ITO_TRY(executor->write(sampling_ports::kX, start));
  ITO_TRY(executor->write(sampling_ports::kImage, numbers(kPaths)));
  ITO_TRY(executor->write(sampling_ports::kKey, key()));
  ITO_TRY(run_method(chain, *executor, "walking"));
  ITO_ASSIGN(const std::vector<float> walked, executor->read(kPath));
  result_.paths = start;
  result_.paths.insert(result_.paths.end(), walked.begin(), walked.end());
  return {};
}

// With noise levels: annealed Langevin dynamics for a ladder, else predictor and corrector.
// Without: long Langevin dynamics from a wide Gaussian.
Status ToyRun::sample() {
  Method chain;
  double start_std = 2;
  if (model_.has_ladder()) {
    const std::vector<double> times = ToyModel::ladder_times();
    std::vector<double> sigmas;
    for (const double time : times) sigmas.push_back(model_.sde().std(time));
    ITO_ASSIGN(chain, annealed_langevin(
                          sigmas, times, score(),
                          {.epsilon = 0.1 * sigmas.back() * sigmas.back(), .steps_per_level = 60}));
    start_std = sigmas.front();
  } else if (model_.is_conditional()) {
    // The corrector's steps follow σ: in two dimensions a single |s| is too random to set them by.
    ITO_ASSIGN(chain, predictor_corrector(model_.sde(), score(),
                                          {.predictor = Predictor::kReverseDiffusion,
                                           .corrector = Corrector::kAld,
                                           .steps = 200,
                                           .snr = 0.2}));
    start_std = model_.sde().prior_std();
  } else {
    const double finest = std::hypot(model_.data().width, model_.shown_sigma());
    ITO_ASSIGN(chain, langevin(score(), {.step_size = 0.5 * finest * finest,
                                         .steps = 1500,
                                         .time = model_.shown_time()}));
  }
  const Shape shape{kShownPoints, 2};
  ITO_ASSIGN(auto executor, executor_of(method_program(
                                chain, {.shape = shape, .noise_input = false, .outputs = false})));
  ITO_ASSIGN(auto noise, executor_of(initial_noise_program(shape, start_std)));
  ITO_TRY(
      executor->share(*noise, sampling_ports::kX, sampling_ports::kKey, sampling_ports::kImage));
  ITO_TRY(noise->write(sampling_ports::kKey, key()));
  ITO_TRY(noise->write(sampling_ports::kImage, numbers(kShownPoints)));
  ITO_TRY(noise->run());
  ITO_TRY(run_method(chain, *executor, "sampling"));
  ITO_ASSIGN(result_.samples, executor->read(sampling_ports::kX));
  return {};
}

Status ToyRun::find_density() {
  result_.density_grid = {kDensitySide, model_.data().extent};
  ITO_TRY(step("log-density", 0, 1));
  if (model_.is_energy())
    ITO_TRY(density_of_energy());
  else if (model_.is_conditional())
    ITO_TRY(density_by_flow());
  else
    ITO_TRY(density_along_lines());
  // The mass of the square, and mass 1 for those that are known up to a constant only.
  std::vector<double>& values = result_.log_density;
  const double cell = 2 * result_.extent / kDensitySide;
  const double peak = *std::max_element(values.begin(), values.end());
  double sum = 0;
  for (const double value : values) sum += std::exp(value - peak) * cell * cell;
  const double log_mass = peak + std::log(sum);
  result_.density_mass = std::exp(log_mass);
  if (!result_.density_normalised)
    for (double& value : values) value -= log_mass;
  return {};
}

Status ToyRun::density_of_energy() {
  result_.density_method = "energy";
  result_.density_sigma = model_.shown_sigma();
  const int64_t n = int64_t{kDensitySide} * kDensitySide;
  Program program;
  Graph& graph = *program.graph;
  program.output("f", model_.energy(weights(graph))(input(graph, "x", {n, 2}),
                                                    full(graph, {n}, model_.shown_time())));
  ITO_ASSIGN(auto executor, executor_of(program));
  ITO_TRY(executor->write("x", result_.density_grid.points()));
  ITO_TRY(executor->run());
  ITO_ASSIGN(const std::vector<float> f, executor->read<float>("f"));
  result_.log_density.assign(f.begin(), f.end());
  return {};
}

// ln p by the probability flow from the shown noise level up to the prior, with the exact
// divergence.
Status ToyRun::density_by_flow() {
  result_.density_method = "probability flow";
  result_.density_normalised = true;
  result_.density_sigma = model_.shown_sigma();
  const Sde& sde = model_.sde();
  const Shape shape{int64_t{kDensitySide} * kDensitySide, 2};
  ProbabilityFlow flow = probability_flow(sde, score());
  flow.start = model_.shown_time();
  const LikelihoodOptions options{.divergence = Divergence::kExact};
  ITO_TRY(check_likelihood(options, shape));
  ITO_ASSIGN(auto solver, OdeSolver::create(device_, likelihood_system(flow, shape, options),
                                            {.rtol = 1e-3, .atol = 1e-3}));
  ITO_TRY(solver->bind(state_name::kAverage, average_));
  ITO_TRY(solver->write(flow_ports::kState, result_.density_grid.points()));
  ITO_TRY(
      solver->solve(flow.start, flow.end, 5000, [&] { return step("log-density", 0, 1).ok(); }));
  ITO_ASSIGN(const std::vector<double> z, solver->value(kFlowComponent));
  ITO_ASSIGN(const std::vector<double> delta, solver->value(kDeltaComponent));
  for (size_t i = 0; i < delta.size(); ++i) {
    const float end[2] = {static_cast<float>(z[2 * i]), static_cast<float>(z[2 * i + 1])};
    result_.log_density.push_back(gaussian_log_density(end, flow.prior_std) + 2 * delta[i]);
  }
  return {};
}

// ln p(x) - ln p(0) by the integral of the score along the line from the origin; for networks that
// are not told a time.
Status ToyRun::density_along_lines() {
  result_.density_method = "line integral";
  result_.density_sigma = model_.shown_sigma();
  const int64_t n = int64_t{kDensitySide} * kDensitySide;
  ITO_ASSIGN(auto solver, OdeSolver::create(device_, line_system(score(), {n, 2}),
                                            {.rtol = 1e-3, .atol = 1e-3}));
  ITO_TRY(solver->bind(state_name::kAverage, average_));
  ITO_TRY(
      solver->write(likelihood_ports::kLineFrom, std::vector<float>(2 * static_cast<size_t>(n))));
  ITO_TRY(solver->write(likelihood_ports::kLineTo, result_.density_grid.points()));
  ITO_TRY(solver->solve(0, 1, 5000));
  ITO_ASSIGN(result_.log_density, solver->value(kDifferenceComponent));
  return {};
}

Status ToyRun::measure_fisher() {
  Program program;
  Graph& graph = *program.graph;
  const Tensor t = full(graph, {kFisherPoints}, model_.shown_time());
  const Tensor x = model_.points(input(graph, kToyKey, {2}), kFisherPoints,
                                 scalar(graph, kFreshStep, DType::kU32), t);
  const ScoreFunction zero = [](Tensor at, Tensor) { return full(at.graph(), at.shape(), 0); };
  program.output("divergence", fisher_divergence(x, t, score(), model_.truth()).loss);
  program.output("scale", fisher_divergence(x, t, zero, model_.truth()).loss);
  ITO_ASSIGN(auto executor, executor_of(program));
  ITO_TRY(executor->run());
  ITO_ASSIGN(const std::vector<float> divergence, executor->read<float>("divergence"));
  ITO_ASSIGN(const std::vector<float> scale, executor->read<float>("scale"));
  result_.fisher_divergence = divergence[0];
  result_.fisher_scale = scale[0];
  return {};
}

double mean_distance(const std::vector<float>& x, const std::vector<float>& y) {
  const bool same = &x == &y;
  double sum = 0;
  for (size_t i = 0; i < x.size(); i += 2)
    for (size_t j = 0; j < y.size(); j += 2)
      sum += std::hypot(double{x[i]} - y[j], double{x[i + 1]} - y[j + 1]);
  const double n = static_cast<double>(x.size() / 2), m = static_cast<double>(y.size() / 2);
  return sum / (n * (same ? m - 1 : m));
}

}  // namespace

std::vector<float> ToyGrid::points() const {
  std::vector<float> points;
  for (int j = 0; j < side; ++j)
    for (int i = 0; i < side; ++i) {
      points.push_back(static_cast<float>(extent * ((2 * i + 1.0) / side - 1)));
      points.push_back(static_cast<float>(extent * ((2 * j + 1.0) / side - 1)));
    }
  return points;
}

double energy_distance(const std::vector<float>& x, const std::vector<float>& y) {
  return 2 * mean_distance(x, y) - mean_distance(x, x) - mean_distance(y, y);
}

Result<ToyResult> run_toy(vk::Device& device, const ToyOptions& options, const Progress& progress) {
  ITO_ASSIGN(ToyModel model, ToyModel::create(options));
  return ToyRun(device, options, std::move(model), progress).run();
}

}  // namespace ito
