#include "studies/toy_model.h"

#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "graph/builder.h"

namespace ito {
namespace {

// Variance of a coordinate of the toy data sets, about. The network learns the difference from the
// score of a Gaussian of that variance, which is small far from the data: there the score leads
// back whatever has been learnt.
constexpr double kVariance = 3;
constexpr int kLevels = 10;  // of the ladder

// From half the finest feature to the largest distance between points (Song & Ermon 2020,
// technique 1).
Sde ve(const ToyData& data) {
  return {.kind = Sde::Kind::kVe, .sigma_min = data.width / 2, .sigma_max = 2 * data.extent};
}
Sde vp(const ToyData&) { return {.kind = Sde::Kind::kVp}; }
Sde subvp(const ToyData&) { return {.kind = Sde::Kind::kSubVp}; }
// Of a network without noise levels.
Sde still(const ToyData& data) {
  return {.kind = Sde::Kind::kEdm, .sigma_min = 1e-3, .sigma_max = 2 * data.extent};
}

Tensor ism_loss(const ToyDraw& draw) {
  return implicit_score_matching(draw.x0, draw.shown, draw.score).loss;
}
template <bool kVarianceReduced>
Tensor ssm_loss(const ToyDraw& draw) {
  const Tensor v = draw_projections(Projection::kRademacher, 1, draw.x0.shape(), draw.key,
                                    draw.image, draw.step);
  return sliced_score_matching(draw.x0, draw.shown, v, kVarianceReduced, draw.score).loss;
}
Tensor dsm_loss(const ToyDraw& draw) {
  return denoising_score_matching(draw.x0, draw.shown, draw.noise(), draw.model.shown_sigma(),
                                  draw.score)
      .loss;
}
Tensor ladder_loss(const ToyDraw& draw) {
  const Tensor t = draw_ladder(ToyModel::ladder_times(), draw.key, draw.image, draw.step).sigma;
  return ladder_score_matching(draw.x0, t, draw.noise(), draw.model.sde().std(t), draw.score).loss;
}
Tensor continuous_loss(const ToyDraw& draw) {
  const Sde& sde = draw.model.sde();
  const Tensor t = draw_times(sde, draw.key, draw.image, draw.step);
  return continuous_dsm_loss(draw.x0, t, draw.noise(), sde, draw.score).loss;
}

constexpr ToyObjective kObjectives[] = {
    {{"ism", "implicit score matching, exact trace", "Hyvärinen 2005, eq. 4", ""},
     false,
     false,
     false,
     still,
     ism_loss},
    {{"ssm", "sliced score matching, Rademacher projections", "Song et al. 2019, eq. 7", ""},
     false,
     false,
     false,
     still,
     ssm_loss<false>},
    {{"ssm-vr", "its variance-reduced form", "Song et al. 2019, eq. 8", ""},
     false,
     false,
     false,
     still,
     ssm_loss<true>},
    {{"dsm", "denoising score matching at one noise level", "Vincent 2011, eq. 11", ""},
     false,
     false,
     true,
     still,
     dsm_loss},
    {{"ncsn", "a ladder of ten noise levels", "Song & Ermon 2019, eq. 6", ""},
     true,
     true,
     false,
     ve,
     ladder_loss},
    {{"ve", "variance-exploding SDE", "Song et al. 2021, eq. 9", ""},
     true,
     false,
     false,
     ve,
     continuous_loss},
    {{"vp", "variance-preserving SDE", "Song et al. 2021, eq. 11", ""},
     true,
     false,
     false,
     vp,
     continuous_loss},
    {{"subvp", "sub-variance-preserving SDE", "Song et al. 2021, eq. 12", ""},
     true,
     false,
     false,
     subvp,
     continuous_loss},
};

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

Tensor ToyDraw::noise() const { return draw_score_noise(x0.shape(), key, image, step); }

std::span<const ToyObjective> toy_objective_rows() { return kObjectives; }

Result<const ToyObjective*> toy_objective(const std::string& name) {
  return row_called(toy_objective_rows(), name, "objective");
}

Result<ToyModel> ToyModel::create(const ToyOptions& options) {
  ToyModel model;
  ITO_ASSIGN(model.data_, toy_data(options.data));
  ITO_ASSIGN(model.objective_, toy_objective(options.objective));
  model.energy_ = options.energy;
  model.batch_ = options.batch;
  model.sde_ = model.objective_->sde(model.data_);
  if (model.is_conditional())
    model.shown_time_ = time_of_std(model.sde_, 1.5 * model.data_.width);
  else
    model.shown_time_ = model.objective_->smoothed ? model.data_.width : 0;
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
  const Tensor key = input(graph, kToyKey, {2}), image = iota(graph, {n}, 0);
  const ScoreFunction s = score(parameters);
  return objective_->loss({.x0 = toy_points(data_, key, image, counter),
                           .key = key,
                           .image = image,
                           .step = counter,
                           .shown = full(graph, {n}, shown_time_),
                           .model = *this,
                           .score = s});
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
