#include "api/toy_model.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "graph/builder.h"

namespace ito {
namespace {

struct ObjectiveName {
  ToyObjective objective;
  const char* name;
};
constexpr std::array<ObjectiveName, 8> kObjectives = {{{ToyObjective::kIsm, "ism"},
                                                       {ToyObjective::kSsm, "ssm"},
                                                       {ToyObjective::kSsmVr, "ssm-vr"},
                                                       {ToyObjective::kDsm, "dsm"},
                                                       {ToyObjective::kNcsn, "ncsn"},
                                                       {ToyObjective::kVe, "ve"},
                                                       {ToyObjective::kVp, "vp"},
                                                       {ToyObjective::kSubVp, "subvp"}}};

// Variance of a coordinate of the toy data sets, about. The network learns the difference from the
// score of a Gaussian of that variance, which is small far from the data: there the score leads
// back whatever has been learnt.
constexpr double kVariance = 3;
constexpr int kLevels = 10;  // of the ladder

Sde sde_of(ToyObjective objective, const ToyData& data) {
  switch (objective) {
    case ToyObjective::kVp:
      return {.kind = Sde::Kind::kVp};
    case ToyObjective::kSubVp:
      return {.kind = Sde::Kind::kSubVp};
    case ToyObjective::kNcsn:
    case ToyObjective::kVe:
      // From half the finest feature to the largest distance between points (Song & Ermon 2020,
      // technique 1).
      return {.kind = Sde::Kind::kVe, .sigma_min = data.width / 2, .sigma_max = 2 * data.extent};
    default:
      return {.kind = Sde::Kind::kEdm, .sigma_min = 1e-3, .sigma_max = 2 * data.extent};
  }
}

// The time at which std, which grows, is sigma.
double time_of_std(const Sde& sde, double sigma) {
  double low = 0, high = sde.end();
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (low + high);
    (sde.std(middle) < sigma ? low : high) = middle;
  }
  return high;
}

// Of every image at its time: what x and the network's output are scaled by.
struct Scales {
  Tensor in;        // f32 [n]: 1 / deviation of x_t
  Tensor out;       // 1 / deviation of the finest feature at that noise level
  Tensor variance;  // of x_t
};

Scales scales_of(const ToyModel& model, Tensor t) {
  const Sde& sde = model.sde();
  Tensor variance, finest;
  if (model.is_conditional()) {
    finest = sde.std(t);
    variance = square(sde.mean(t)) * kVariance + square(finest);
  } else {
    const double shown = model.shown_sigma(), width = model.data().width;
    finest = full(t.graph(), t.shape(), std::hypot(shown, width));
    variance = full(t.graph(), t.shape(), kVariance + shown * shown);
  }
  return {.in = rsqrt(variance), .out = reciprocal(finest), .variance = variance};
}

}  // namespace

std::vector<std::string> toy_objective_names() {
  std::vector<std::string> names;
  for (const ObjectiveName& entry : kObjectives) names.push_back(entry.name);
  return names;
}

Result<ToyObjective> toy_objective_from_name(const std::string& name) {
  for (const ObjectiveName& entry : kObjectives)
    if (name == entry.name) return entry.objective;
  return invalid_argument("objective is \"{}\", expected {}", name,
                          fmt::join(toy_objective_names(), ", "));
}

int64_t default_toy_steps(ToyObjective objective) {
  return objective >= ToyObjective::kNcsn ? 5000 : 2500;
}

Result<ToyModel> ToyModel::create(const ToyOptions& options) {
  ToyModel model;
  ITO_ASSIGN(model.data_, toy_data(options.data));
  ITO_ASSIGN(model.objective_, toy_objective_from_name(options.objective));
  model.energy_ = options.energy;
  model.batch_ = options.batch;
  model.sde_ = sde_of(model.objective_, model.data_);
  if (model.is_conditional())
    model.shown_time_ = time_of_std(model.sde_, 1.5 * model.data_.width);
  else
    model.shown_time_ = model.objective_ == ToyObjective::kDsm ? model.data_.width : 0;
  ITO_ASSIGN(model.network_, mlp_network({.in_features = 2,
                                          .out_features = options.energy ? 1 : 2,
                                          .hidden_features = options.hidden,
                                          .hidden_layers = 3,
                                          .act_fn = "silu",
                                          .time_features = model.is_conditional() ? 16 : 0,
                                          .time_scale = 30}));
  Optimizer& optimizer = model.train_.optimizer;
  optimizer.learning_rate = {.base = options.learning_rate,
                             .warmup_steps = std::min<int64_t>(100, options.steps / 10),
                             .decay = LearningRate::Decay::kCosine,
                             .total_steps = options.steps,
                             .final_fraction = 0.01};
  optimizer.max_grad_norm = 10;
  optimizer.average.decay = 0.995;
  ITO_TRY(check_optimizer(optimizer));
  model.train_.loss_history = options.steps;
  return model;
}

// The bare network, [n, out]. It sees x at unit scale and the noise level as ln std, scaled to
// [0, 1].
Tensor ToyModel::output(const Scope& parameters, Tensor x, Tensor t, Tensor in_scale) const {
  const Tensor scaled = x * reshape(in_scale, {x.dim(0), 1});
  if (!is_conditional()) return network_.build(parameters, scaled, {});
  const double low = std::log(sde_.std(sde_.start())), high = std::log(sde_.std(sde_.end()));
  return network_.build(parameters, scaled, (log(sde_.std(t)) - low) / (high - low));
}

EnergyFunction ToyModel::energy(const Scope& parameters) const {
  CHECK(energy_, "toy: a score network has no energy");
  return [this, parameters](Tensor x, Tensor t) {
    const Scales scales = scales_of(*this, t);
    const int64_t n = x.dim(0);
    // The gradient of the first term is network-sized times scales.out.
    const Tensor f = reshape(output(parameters, x, t, scales.in), {n});
    return f * scales.out / scales.in - sum(square(x), {1}) / (scales.variance * 2.0);
  };
}

ScoreFunction ToyModel::score(const Scope& parameters) const {
  if (energy_) return energy_score(energy(parameters));
  return [this, parameters](Tensor x, Tensor t) {
    const Scales scales = scales_of(*this, t);
    return output(parameters, x, t, scales.in) * per_image(scales.out, 2) -
           x / per_image(scales.variance, 2);
  };
}

ScoreFunction ToyModel::truth() const {
  CHECK(data_.is_mixture(), "toy: " + data_.name + " has no closed-form score");
  return mixture_score(data_.mixture, sde_);
}

std::vector<double> ToyModel::ladder_times() {
  std::vector<double> times;
  for (int i = 0; i < kLevels; ++i) times.push_back(1 - static_cast<double>(i) / (kLevels - 1));
  return times;
}

Tensor ToyModel::points(Tensor key, int64_t n, Tensor step, Tensor t) const {
  const Tensor image = iota(key.graph(), {n}, 0);
  const Tensor x0 = toy_points(data_, key, image, step);
  const Tensor noise = draw_score_noise({n, 2}, key, image, step);
  return per_image(sde_.mean(t), 2) * x0 + per_image(sde_.std(t), 2) * noise;
}

Tensor ToyModel::loss(Graph& graph, const Scope& parameters, Tensor counter) const {
  const int64_t n = batch_;
  const Tensor key = input(graph, kToyKey, {2}, DType::kU32), image = iota(graph, {n}, 0);
  const Tensor x0 = toy_points(data_, key, image, counter);
  const ScoreFunction s = score(parameters);
  const auto noise = [&] { return draw_score_noise({n, 2}, key, image, counter); };
  const Tensor shown = full(graph, {n}, shown_time_);
  switch (objective_) {
    case ToyObjective::kIsm:
      return implicit_score_matching(x0, shown, s).loss;
    case ToyObjective::kSsm:
    case ToyObjective::kSsmVr: {
      const Tensor v = draw_projections(Projection::kRademacher, 1, {n, 2}, key, image, counter);
      return sliced_score_matching(x0, shown, v, objective_ == ToyObjective::kSsmVr, s).loss;
    }
    case ToyObjective::kDsm:
      return denoising_score_matching(x0, shown, noise(), shown_sigma(), s).loss;
    case ToyObjective::kNcsn: {
      const Tensor t = draw_ladder(ladder_times(), key, image, counter).sigma;
      return ladder_score_matching(x0, t, noise(), sde_.std(t), s).loss;
    }
    case ToyObjective::kVe:
    case ToyObjective::kVp:
    case ToyObjective::kSubVp:
      return continuous_dsm_loss(x0, draw_times(sde_, key, image, counter), noise(), sde_, s).loss;
  }
  CHECK(false, "unknown objective");
}

Program ToyModel::train_step() const {
  return train_step_program(
      network_.set(),
      [this](Graph& graph, const Scope& parameters, Tensor counter) {
        return loss(graph, parameters, counter);
      },
      train_);
}

}  // namespace ito
