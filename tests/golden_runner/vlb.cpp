// Golden family vlb: the terms of the variational bound and the hybrid loss with its gradients, and
// timesteps drawn by the loss's second moment.
#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "diffusion/importance_timesteps.h"
#include "diffusion/score.h"
#include "diffusion/variational_bound.h"
#include "graph/builder.h"
#include "tests/golden_runner/families.h"
#include "tests/golden_runner/program_run.h"

namespace ito::golden {
namespace {

constexpr double kBits = 1e-5;  // absolute, as the README asks of terms that may vanish
constexpr double kPrediction = 1e-3;  // x_0 from ε magnifies float32's rounding by up to √(1-ᾱ)/√ᾱ
constexpr double kRelative = 1e-5;  // tables and float32 results on the scale of the largest

// Rows of one timestep by images, [t, n, c, h, w], as one batch [t n, h, w, c].
Array as_batch(const Array& rows) {
  std::vector<int64_t> dims = rows.shape.dims();
  dims[1] *= dims[0];
  dims.erase(dims.begin());
  return permuted({.shape = Shape(dims), .data = rows.data}, channels_last_order(4));
}

// And back, the rows apart again.
Array as_rows(const HostValue& batch, const Shape& shape) {
  Array array = batch.shape.rank() == 4 ? to_array(batch, channels_last_order(4)) : to_array(batch);
  array.shape = shape;
  return array;
}

struct Tables {
  NoiseSchedule schedule;
  std::vector<int> timesteps;
};

Result<Tables> read_tables(const Case& golden, Comparison& comparison) {
  Tables tables;
  ITO_ASSIGN(const int64_t T, integer(golden.json, "T"));
  ITO_ASSIGN(const std::string name, text(golden.json, "schedule"));
  SchedulerConfig config;
  config.num_train_timesteps = static_cast<int>(T);
  if (name == "cosine") {
    config.beta_schedule = "squaredcos_cap_v2";
  } else {
    const double scale = 1000.0 / static_cast<double>(T);
    config.beta_start *= scale;
    config.beta_end *= scale;
  }
  ITO_ASSIGN(tables.schedule, make_schedule(config, Arithmetic::kDouble));
  ITO_ASSIGN(const Array timesteps, golden.array("timesteps"));
  for (const double t : timesteps.data) {
    if (!(t >= 0 && t < static_cast<double>(T))) return corrupt("timesteps holds {}", t);
    tables.timesteps.push_back(static_cast<int>(t));
  }
  Array variance, log_variance, on_x0, on_x;
  for (Array* array : {&variance, &log_variance, &on_x0, &on_x}) array->shape = {T};
  for (int t = 0; t < T; ++t) {
    const Posterior p = posterior(tables.schedule, t, t - 1);
    variance.data.push_back(p.variance);
    log_variance.data.push_back(
        std::log(posterior(tables.schedule, std::max(t, 1), std::max(t, 1) - 1).variance));
    on_x0.data.push_back(p.on_x0);
    on_x.data.push_back(p.on_x);
  }
  const Array betas{.shape = {T}, .data = tables.schedule.betas};
  const Array products{.shape = {T}, .data = tables.schedule.alphas_cumprod};
  for (const auto& [key, array] : {std::pair<const char*, const Array*>{"betas", &betas},
                                   {"alphas_cumprod", &products},
                                   {"posterior_variance", &variance},
                                   {"posterior_log_variance_clipped", &log_variance},
                                   {"posterior_mean_coef1", &on_x0},
                                   {"posterior_mean_coef2", &on_x}}) {
    ITO_ASSIGN(const Array expected, golden.array(key));
    comparison.relative(key, *array, expected, 1e-6);  // float32 rounding of the file
  }
  return tables;
}

// One result of the program and the tensor of the file that it must be.
struct Wanted {
  std::string name;
  Tensor tensor;
  double limit;
  bool absolute;
};

Result<Outcome> run_importance(vk::Device& device, const Case& golden) {
  Comparison comparison;
  ITO_ASSIGN(const double uniform, number(golden.json, "uniform_prob"));
  ITO_ASSIGN(const Array history, golden.array("history"));
  ITO_ASSIGN(const Array timesteps, golden.array("update_t"));
  ITO_ASSIGN(const Array losses, golden.array("update_loss"));
  const int64_t T = history.shape[0], K = history.shape[1];
  Program program;
  Graph& graph = *program.graph;
  const auto full_count = [&](double count) {
    return TimestepHistory{.losses = input(graph, "history", history.shape),
                           .count = full(graph, {T}, count, DType::kU32)};
  };
  const TimestepHistory before = full_count(static_cast<double>(K));
  const TimestepHistory after =
      with_losses(before, input(graph, "update_t", timesteps.shape, DType::kU32),
                  input(graph, "update_loss", losses.shape));
  const Tensor p = timestep_probabilities(before, uniform);
  const std::vector<Wanted> wanted = {
      {"probs", p, kRelative, false},
      {"importance_weights", 1.0 / (p * static_cast<double>(T)), kRelative, false},
      {"uniform_probs", timestep_probabilities(full_count(static_cast<double>(K - 1)), uniform),
       kRelative, false},
      {"history_after", after.losses, 0, true},
      {"probs_after", timestep_probabilities(after, uniform), kRelative, false}};
  for (const Wanted& each : wanted) program.output(each.name, each.tensor);
  ITO_ASSIGN(const HostValues results, run_on_device(device, program,
                                                     {{"history", to_value(history)},
                                                      {"update_t", to_value(timesteps)},
                                                      {"update_loss", to_value(losses)}}));
  for (const Wanted& each : wanted) {
    ITO_ASSIGN(const Array expected, golden.array(each.name));
    const Array found = to_array(result_of(results, each.name));
    if (each.absolute)
      comparison.absolute(each.name, found, expected, each.limit);
    else
      comparison.relative(each.name, found, expected, each.limit);
  }
  return comparison.outcome();
}

}  // namespace

Result<Outcome> run_vlb(vk::Device& device, const Case& golden) {
  if (golden.has("history")) return run_importance(device, golden);
  Comparison comparison;
  ITO_ASSIGN(const Tables tables, read_tables(golden, comparison));
  ITO_ASSIGN(const Array x0, golden.array("x0"));
  ITO_ASSIGN(const Array noise, golden.array("noise"));
  if (x0.shape.rank() != 4 || noise.shape.rank() != 5) return corrupt("x0 and noise do not fit");
  const int64_t rows = noise.shape[0], n = noise.shape[1];
  const Shape terms{rows, n};
  if (rows != static_cast<int64_t>(tables.timesteps.size()) || n != x0.shape[0])
    return corrupt("x0, noise and timesteps do not fit together");

  Program program;
  Graph& graph = *program.graph;
  HostValues values;
  const auto batch_input = [&](const std::string& name) -> Result<Tensor> {
    ITO_ASSIGN(const Array array, golden.array(name));
    if (array.shape != noise.shape) return corrupt("{} is not of noise's shape", name);
    values[name] = to_value(as_batch(array));
    return input(graph, name, values[name].shape);
  };
  ITO_ASSIGN(const Tensor z, batch_input("noise"));
  ITO_ASSIGN(const Tensor epsilon, batch_input("eps_pred"));
  ITO_ASSIGN(const Tensor v, batch_input("v"));
  values["x0"] = to_value(permuted(x0, channels_last_order(4)));
  const Tensor once = input(graph, "x0", values["x0"].shape);
  const Tensor images = concat(std::vector<Tensor>(static_cast<size_t>(rows), once), 0);
  std::vector<double> each_t;
  for (const int t : tables.timesteps) each_t.insert(each_t.end(), static_cast<size_t>(n), t);
  const TrainingDraw draw{.timestep = constant(graph, {rows * n}, each_t, DType::kU32), .noise = z};

  std::vector<Wanted> wanted;
  Tensor x_t;
  const std::vector<std::pair<const char*, VarianceType>> variances = {
      {"fixed_small", VarianceType::kFixedSmall},
      {"fixed_large", VarianceType::kFixedLarge},
      {"learned_range", VarianceType::kLearnedRange}};
  for (const auto& [name, variance] : variances) {
    const Denoiser model = [&, learned = is_learned(variance)](Tensor x, Tensor) {
      x_t = x;
      return learned ? concat({epsilon, v}, 3) : epsilon;
    };
    for (const bool clip : {true, false}) {
      BoundOptions options{.variance = variance, .clip = clip};
      const std::string key = std::string("vb.") + name + (clip ? ".clip" : ".noclip");
      wanted.push_back(
          {key, bound_terms(images, draw, tables.schedule, model, options).bits, kBits, true});
      options.cdf = DecoderCdf::kErf;
      const Tensor exact = bound_terms(images, draw, tables.schedule, model, options).bits;
      wanted.push_back({key + ".l0_erf", slice_axis(exact, 0, 0, n), kBits, true});
    }
  }
  wanted.push_back({"prior_bpd", bound_prior(once, tables.schedule), kBits, true});
  const Denoiser learned = [&](Tensor, Tensor) { return concat({epsilon, v}, 3); };
  ITO_ASSIGN(const Json lambdas, object(golden.json, "lambdas"));
  for (const auto& [key, unused] : lambdas.items()) {
    ITO_ASSIGN(const double lambda, number(lambdas, key));
    const BoundLoss loss = hybrid_loss(images, draw, tables.schedule, learned,
                                       {.variance = VarianceType::kLearnedRange}, lambda);
    wanted.push_back({key + ".loss", loss.per_image, kBits, true});
    const std::vector<Tensor> gradients =
        grad(sum_all(loss.per_image) * (1 / static_cast<double>(n)), {epsilon, v});
    wanted.push_back({key + ".d_eps", gradients[0], kRelative, false});
    wanted.push_back({key + ".d_v", gradients[1], kRelative, false});
  }
  wanted.push_back({"x_t", x_t, kRelative, false});
  std::vector<double> levels;
  for (const int t : tables.timesteps)
    for (int64_t i = 0; i < n; ++i)
      levels.insert(levels.end(), {std::sqrt(tables.schedule.alpha_bar(t)),
                                   std::sqrt(1 - tables.schedule.alpha_bar(t))});
  const Tensor level = constant(graph, {rows * n, 2}, levels);
  const auto column = [&](int64_t i) {
    return per_image(reshape(slice_axis(level, 1, i, i + 1), {rows * n}), 4);
  };
  wanted.push_back(
      {"pred_x0_clipped",
       clamp(predicted_x0(Prediction::kEpsilon, x_t, epsilon, column(0), column(1)), -1, 1),
       kPrediction, false});
  for (const Wanted& each : wanted) program.output(each.name, each.tensor);

  ITO_ASSIGN(const HostValues results, run_on_device(device, program, values));
  for (const Wanted& each : wanted) {
    ITO_ASSIGN(const Array expected, golden.array(each.name));
    const Array found = as_rows(result_of(results, each.name), expected.shape);
    // A term of many bits is compared on its own scale.
    const double scale = std::max(1.0, largest_magnitude(expected.data));
    if (each.absolute)
      comparison.absolute(each.name, found, expected, each.limit * scale);
    else
      comparison.relative(each.name, found, expected, each.limit);
  }
  return comparison.outcome();
}

}  // namespace ito::golden
