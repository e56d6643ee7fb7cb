// Golden family schedulers: timesteps and tables of a scheduler, its steps replayed on recorded
// network outputs, and the whole trajectory with the network on the device as well, as an image is
// really sampled.
#include <cmath>
#include <map>

#include "base/error.h"
#include "diffusion/samplers.h"
#include "diffusion/sampling.h"
#include "diffusion/solver.h"
#include "graph/compile.h"
#include "io/diffusers.h"
#include "io/safetensors.h"
#include "runtime/executor.h"
#include "tests/golden_runner/families.h"
#include "tests/golden_runner/golden_models.h"
#include "tests/golden_runner/program_run.h"

namespace ito::golden {
namespace {

// Schedules are float32 arithmetic in a fixed order: a few units in the last place.
constexpr double kTableLimit = 1e-6;

Result<std::vector<float>> floats_of(const Array& array, const Shape& expected,
                                     const std::string& name) {
  if (array.shape != expected)
    return corrupt("{} has shape {}, expected {} (channels last)", name, array.shape.to_string(),
                   expected.to_string());
  return std::vector<float>(array.data.begin(), array.data.end());
}

// Axes [step, n, c, ...] → [step, n, ..., c].
std::vector<int> recorded_order(int rank) {
  std::vector<int> order = {0};
  for (int axis : channels_last_order(rank - 1)) order.push_back(axis + 1);
  return order;
}

Result<Array> recorded(const Case& golden, const std::string& name, int steps) {
  ITO_ASSIGN(const Array array, golden.array(name));
  if (array.shape.rank() < 3 || array.shape[0] != steps)
    return corrupt("{} has shape {}, expected {} steps", name, array.shape.to_string(), steps);
  return permuted(array, recorded_order(array.shape.rank()));
}

// One trajectory: "dummy" or "gmm".
struct Run {
  const Case& golden;
  const Solver& solver;
  std::string name;
  Array x_T;  // channels last

  std::string tensor(const std::string& what) const { return name + "." + what; }
};

// All samples and estimates of x_0 of a trajectory, [steps, ...] in the file's layout.
struct Trajectory {
  Array samples, pred_x0;
};

enum class Replay : uint8_t {
  kNone,      // the network is on the device
  kRun,       // every step takes the recorded eval_out
  kEachStep,  // and begins at the recorded sample
};

// Steps through the solver. Recorded outputs do not answer to x and so leave nothing to damp the
// rounding of earlier steps, which a solver of the noise magnifies by α'/α, 157 over a run of the
// linear schedule, in the reference as well: a whole run of them is held to the limit of the
// model's own runs, and each step from the recorded sample to the tight one.
Result<Trajectory> follow(vk::Device& device, const Run& run, Denoiser denoiser, Replay kind) {
  const Solver& solver = run.solver;
  const bool replay = kind != Replay::kNone;
  const MethodOptions options{.shape = run.x_T.shape, .noise_input = true, .outputs = true};
  Shape output_shape = run.x_T.shape;
  output_shape[-1] *= solver.output_multiple();
  Array eval_out, before, noise;
  if (replay) {
    ITO_ASSIGN(eval_out, recorded(run.golden, run.tensor("eval_out"), solver.steps()));
    ITO_ASSIGN(before, recorded(run.golden, run.tensor("samples"), solver.steps()));
  }
  if (solver.needs_noise()) {
    ITO_ASSIGN(noise, recorded(run.golden, run.tensor("noise"), solver.steps()));
  }
  ITO_ASSIGN(Plan plan, compile(method_program(solver_method(solver, std::move(denoiser)), options),
                                device.caps()));
  ITO_ASSIGN(const auto executor,
             Executor::create(device, std::move(plan), ExecutorOptions{.canary = true}));
  // A draw that no row uses is no input.
  const auto noise_port = method_ports::kNoise[0];
  const bool takes_noise = solver.needs_noise() && executor->has(noise_port);
  ITO_ASSIGN(const std::vector<float> start, floats_of(run.x_T, run.x_T.shape, "x_T"));
  ITO_TRY(executor->write(sampling_ports::kX, start));

  std::vector<int64_t> dims = run.x_T.shape.dims();
  dims.insert(dims.begin(), solver.steps());
  Array samples{.shape = Shape(dims), .data = {}}, pred_x0 = samples;
  for (int64_t k = 0; k < solver.steps(); ++k) {
    if (kind == Replay::kEachStep && k > 0) {
      ITO_ASSIGN(const auto values, floats_of(row(before, k - 1), run.x_T.shape, "samples"));
      ITO_TRY(executor->write(sampling_ports::kX, values));
    }
    if (replay) {
      ITO_ASSIGN(const auto values, floats_of(row(eval_out, k), output_shape, "eval_out"));
      ITO_TRY(executor->enqueue_write(solver_ports::kModelOutput, values));
    }
    if (takes_noise) {
      ITO_ASSIGN(const auto values, floats_of(row(noise, k), run.x_T.shape, "noise"));
      ITO_TRY(executor->enqueue_write(noise_port, values));
    }
    ITO_TRY(executor->run());
    ITO_ASSIGN(const auto x, executor->read(sampling_ports::kX));
    ITO_ASSIGN(const auto x0, executor->read(solver_ports::kX0));
    samples.data.insert(samples.data.end(), x.begin(), x.end());
    pred_x0.data.insert(pred_x0.data.end(), x0.begin(), x0.end());
  }
  const std::vector<int> back = inverse_order(recorded_order(samples.shape.rank()));
  return Trajectory{.samples = permuted(samples, back), .pred_x0 = permuted(pred_x0, back)};
}

// x_0 = x - σ ε of x = x_0 + σ ε with σ up to 4096: a difference of numbers of x's size, each
// rounded to float32 in the recorded run and in this one.
double cancellation(const Array& x_T, const Array& pred_x0) {
  constexpr double kRoundings = 4;
  return kRoundings * std::ldexp(1.0, -24) * largest_magnitude(x_T.data) /
         std::max(largest_magnitude(pred_x0.data), 1e-30);
}

// The README's rows "schedulers samples".
Status compare_run(vk::Device& device, const Run& run, const Denoiser& model,
                   Comparison& comparison) {
  double deviation = 0;
  if (run.golden.json.contains("fp64_dev")) {
    ITO_ASSIGN(const Json deviations, object(run.golden.json, "fp64_dev"));
    ITO_ASSIGN(const Json own, object(deviations, run.name));
    ITO_ASSIGN(deviation, number(own, "samples"));
  }
  const double own_limit = std::max(1e-4, 10 * deviation);
  // 2e-5 holds where the case is well-conditioned.
  const double replay_limit = std::max(2e-5, 10 * deviation);
  ITO_ASSIGN(const Array samples, run.golden.array(run.tensor("samples")));
  struct Kind {
    Replay replay;
    const char* suffix;
    double limit;
  };
  for (const auto& [replay, suffix, limit] : {Kind{Replay::kEachStep, " (each step)", replay_limit},
                                              Kind{Replay::kRun, " (replayed)", own_limit},
                                              Kind{Replay::kNone, " (own model)", own_limit}}) {
    ITO_ASSIGN(const Trajectory trajectory,
               follow(device, run, replay == Replay::kNone ? model : Denoiser(), replay));
    comparison.relative(run.tensor("samples") + suffix, trajectory.samples, samples, limit);
    // The estimate of x_0 magnifies the rounding of a model's ε by √(1-ᾱ)/√ᾱ (2e4 for a cosine
    // schedule's last timestep), so it is compared where ε is the recorded one.
    if (replay == Replay::kNone || !run.golden.has(run.tensor("pred_x0"))) continue;
    ITO_ASSIGN(const Array pred_x0, run.golden.array(run.tensor("pred_x0")));
    comparison.relative(run.tensor("pred_x0") + suffix, trajectory.pred_x0, pred_x0,
                        std::max(limit, cancellation(run.x_T, pred_x0)));
  }
  return {};
}

template <typename T>
Array list(const std::vector<T>& values) {
  return {.shape = {static_cast<int64_t>(values.size())},
          .data = std::vector<double>(values.begin(), values.end())};
}

// "Exact; where fp64_dev.*.same_timesteps is false: within 1." Timesteps between whole ones come
// from float32 logarithms, whose last place moves them by as much relative to T.
constexpr double kFractionalLimit = 1e-6;

Status compare_timesteps(const Case& golden, const std::string& name,
                         const std::vector<double>& found, Comparison& comparison) {
  ITO_ASSIGN(const Array expected, golden.array(name));
  ITO_ASSIGN(const bool whole, boolean_or(golden.json, "timesteps_integer", true));
  if (!whole) {
    comparison.relative(name, list(found), expected, kFractionalLimit);
    return {};
  }
  double limit = 0;
  if (golden.json.contains("fp64_dev")) {
    ITO_ASSIGN(const Json deviations, object(golden.json, "fp64_dev"));
    for (const auto& [run, deviation] : deviations.items()) {
      ITO_ASSIGN(const bool same, boolean_or(deviation, "same_timesteps", true));
      if (!same) limit = 1;
    }
  }
  comparison.absolute(name, list(found), expected, limit);
  return {};
}

Status compare_tables(const Case& golden, const Solver& solver, const SchedulerConfig& config,
                      Comparison& comparison) {
  ITO_TRY(compare_timesteps(golden, "timesteps", solver.timesteps(), comparison));
  if (golden.has("eval_t"))
    ITO_TRY(compare_timesteps(golden, "eval_t", solver.timesteps(), comparison));
  if (golden.json.contains("noise_used")) {
    ITO_ASSIGN(const std::vector<int64_t> used, integers(golden.json, "noise_used"));
    std::vector<int> found;
    for (size_t i = 0; i < solver.rows.size(); ++i) found.push_back(solver.uses_noise(i));
    comparison.exact("noise_used", list(found), list(used));
  }
  ITO_ASSIGN(const double sigma, number_or(golden.json, "init_noise_sigma", 1));
  comparison.relative("init_noise_sigma", list(std::vector<double>{solver.init_noise_sigma}),
                      list(std::vector<double>{sigma}), kTableLimit);
  // Processes without betas have no table.
  if (!golden.json.contains("table") || golden.json["table"].is_null()) return {};
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(config));
  ITO_ASSIGN(const std::string path, text(golden.json, "table"));
  Case table;
  table.name = path;
  ITO_ASSIGN(table.tensors, read_safetensors(golden.folder / path));
  ITO_ASSIGN(const Array betas, table.array("betas"));
  ITO_ASSIGN(const Array alphas_cumprod, table.array("alphas_cumprod"));
  comparison.relative("betas", list(schedule.betas), betas, kTableLimit);
  comparison.relative("alphas_cumprod", list(schedule.alphas_cumprod), alphas_cumprod, kTableLimit);
  return {};
}

// set_timesteps' and step's arguments.
Result<SolverOptions> read_options(const Case& golden) {
  SolverOptions options;
  ITO_ASSIGN(const int64_t steps, integer_or(golden.json, "num_inference_steps", 0));
  options.steps = static_cast<int>(steps);
  if (golden.json.contains("set_timesteps_kwargs")) {
    ITO_ASSIGN(const Json kwargs, object(golden.json, "set_timesteps_kwargs"));
    for (const auto& [key, value] : kwargs.items()) {
      if (key == "timesteps") {
        ITO_ASSIGN(const std::vector<int64_t> list, integers(kwargs, key));
        options.timesteps.assign(list.begin(), list.end());
      } else if (key == "mu") {
        ITO_ASSIGN(options.mu, number(kwargs, key));
      } else {
        return unsupported("set_timesteps argument '{}'", key);
      }
    }
  }
  if (golden.json.contains("step_kwargs")) {
    const std::map<std::string, double SolverOptions::*> numbers = {
        {"eta", &SolverOptions::eta},         {"s_churn", &SolverOptions::s_churn},
        {"s_tmin", &SolverOptions::s_tmin},   {"s_tmax", &SolverOptions::s_tmax},
        {"s_noise", &SolverOptions::s_noise},
    };
    ITO_ASSIGN(const Json kwargs, object(golden.json, "step_kwargs"));
    for (const auto& [key, value] : kwargs.items()) {
      const auto field = numbers.find(key);
      if (field != numbers.end()) {
        ITO_ASSIGN(options.*field->second, number(kwargs, key));
      } else if (key == "use_clipped_model_output") {
        ITO_ASSIGN(options.use_clipped_model_output, boolean(kwargs, key));
      } else if (key == "order") {
        ITO_ASSIGN(const int64_t order, integer_or(kwargs, key, 4));
        options.order = static_cast<int>(order);
      } else {
        return unsupported("step argument '{}'", key);
      }
    }
  }
  return options;
}

}  // namespace

Result<Outcome> run_scheduler(vk::Device& device, const Case& golden) {
  ITO_ASSIGN(const std::string class_name, text(golden.json, "class"));
  ITO_ASSIGN(Json config_json, object(golden.json, "config"));
  config_json["_class_name"] = class_name;
  ITO_ASSIGN(const SchedulerConfig config,
             parse_scheduler_config(config_json, golden.name + ": config"));
  if (find_row(score_sampler_rows(), config.sampler) != nullptr)
    return run_score_scheduler(device, golden, config);
  ITO_ASSIGN(const std::string space, text(golden.json, "space"));
  ITO_ASSIGN(const SolverOptions options, read_options(golden));
  if (find_row(solver_rows(), config.sampler) == nullptr)
    return skipped("later: sampler " + config.sampler);
  ITO_ASSIGN(const Solver solver, make_solver(config.sampler, config, options));
  ITO_ASSIGN(const std::string prediction, text(golden.json, "prediction"));
  ITO_ASSIGN(const Space models, golden_space(space, config, prediction));

  Comparison comparison;
  ITO_TRY(compare_tables(golden, solver, config, comparison));
  bool any = false;
  for (const std::string run_name : {"dummy", "gmm"}) {
    if (!golden.has(run_name + ".x_T")) continue;
    any = true;
    ITO_ASSIGN(const Array x_T, golden.array(run_name + ".x_T"));
    if (x_T.shape.rank() < 2) return corrupt("{}.x_T must have rank 2 or more", run_name);
    const Run run{.golden = golden,
                  .solver = solver,
                  .name = run_name,
                  .x_T = permuted(x_T, channels_last_order(x_T.shape.rank()))};
    Denoiser model = models.dummy;
    if (run_name == "gmm") {
      ITO_ASSIGN(model, mixture_model(golden, models));
      ITO_ASSIGN(const Array means, golden.array("gmm.means"));
      if (run.x_T.shape[-1] * run.x_T.shape[0] != run.x_T.shape.numel() ||
          run.x_T.shape[-1] != means.shape[1])
        return corrupt("gmm.x_T {} does not fit gmm.means {}", x_T.shape.to_string(),
                       means.shape.to_string());
    }
    if (solver.output_multiple() == 2) model = with_variance(std::move(model));
    ITO_TRY(compare_run(device, run, model, comparison));
  }
  if (!any) return corrupt("the case holds no trajectory");
  return comparison.outcome();
}

}  // namespace ito::golden
