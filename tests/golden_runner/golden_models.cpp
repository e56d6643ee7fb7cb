#include "tests/golden_runner/golden_models.h"

#include <cmath>

#include "base/error.h"
#include "diffusion/parameterization.h"
#include "diffusion/schedule.h"
#include "graph/builder.h"

namespace ito::golden {
namespace {

// t [n] with axes of extent 1 appended up to the rank of x.
Tensor per_image(Tensor t, Tensor x) {
  std::vector<int64_t> dims(static_cast<size_t>(x.rank()), 1);
  dims[0] = t.dim(0);
  return reshape(t, Shape(std::move(dims)));
}

struct Mixture {
  Array means, variances;
  std::vector<double> log_weights;
};

// E[x_0 | x_t] and ε = -s score, each [n, d].
struct MixturePosterior {
  Tensor x0, epsilon;
};

// x [n,d], a and s [n].
MixturePosterior mixture_posterior(const Mixture& mixture, Tensor x, Tensor a, Tensor s) {
  Graph& graph = x.graph();
  const int64_t n = x.dim(0), k = mixture.means.shape[0], d = mixture.means.shape[1];
  const Tensor mean = constant(graph, {1, k, d}, mixture.means.data);
  const Tensor variance = constant(graph, {1, k, d}, mixture.variances.data);
  const Tensor a3 = reshape(a, {n, 1, 1}), s3 = reshape(s, {n, 1, 1});
  const Tensor total = square(a3) * variance + square(s3);  // [n,k,d]
  const Tensor off = reshape(x, {n, 1, d}) - a3 * mean;
  const Tensor pull = off / total;
  const Tensor log_density =
      sum(log(total) + off * pull, {2}) * -0.5 + constant(graph, {1, k}, mixture.log_weights);
  const Tensor responsibility = reshape(softmax(log_density), {n, k, 1});
  return {.x0 = sum(responsibility * (mean + a3 * variance * pull), {1}),
          .epsilon = reshape(s, {n, 1}) * sum(responsibility * pull, {1})};
}

// x |t|/(|t| + 1).
Tensor growing(Tensor x, Tensor t) {
  const Tensor size = maximum(t, -t);
  return x * per_image(size / (size + 1.0), x);
}

using Point = Space::Point;

// The chain, at whole timesteps and, ln(s/a) being linear, between them.
Result<Space> chain_space(const SchedulerConfig& config, const std::string& prediction_name) {
  ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(config));
  ITO_ASSIGN(const Prediction prediction, prediction_from_name(prediction_name));
  std::vector<double> table;  // √ᾱ, √(1-ᾱ), ln(s/a)
  for (double alpha_bar : schedule.alphas_cumprod) {
    const double a = std::sqrt(alpha_bar), s = std::sqrt(1 - alpha_bar);
    // Zero terminal SNR: an infinite ratio is met at the timestep itself only.
    table.insert(table.end(), {a, s, a > 0 ? std::log(s / a) : 0});
  }
  Space space;
  space.dummy = growing;
  space.point = [table, rows = schedule.num_timesteps()](Tensor x, Tensor t) {
    Graph& graph = x.graph();
    const Tensor values = constant(graph, {rows, 3}, table);
    const Tensor below = cast(t, DType::kU32), part = t - cast(below, DType::kF32);
    const Tensor last = scalar(graph, rows - 1, DType::kU32);
    const Tensor above = minimum(below + scalar(graph, 1, DType::kU32), last);
    const Tensor at = gather(values, below), next = gather(values, above);
    const auto column = [&](Tensor from, int64_t i) {
      return reshape(slice_axis(from, 1, i, i + 1), t.shape());
    };
    const Tensor log_ratio = column(at, 2) + part * (column(next, 2) - column(at, 2));
    const Tensor ratio = exp(log_ratio), between_a = 1.0 / sqrt(square(ratio) + 1.0);
    const Tensor whole = less(part, scalar(graph, 1e-6));
    return Point{.x = x,
                 .a = select(whole, column(at, 0), between_a),
                 .s = select(whole, column(at, 1), ratio * between_a)};
  };
  space.output = [prediction](const Point& p, Tensor x0, Tensor epsilon) {
    return prediction_target(prediction, x0, epsilon, p.a, p.s);
  };
  return space;
}

// x_t = x_0 + t ε, the score.
Space exploding_space() {
  Space space;
  space.dummy = [](Tensor x, Tensor t) { return -(x / per_image(square(t) + 1.0, x)); };
  space.point = [](Tensor x, Tensor t) {
    return Point{.x = x, .a = full(x.graph(), t.shape(), 1), .s = t};
  };
  space.output = [](const Point& p, Tensor, Tensor epsilon) { return -(epsilon / p.s); };
  return space;
}

// s = t/T, a = 1 - s, the velocity.
Space flow_space(const SchedulerConfig& config) {
  Space space;
  space.dummy = growing;
  space.point = [last = config.num_train_timesteps](Tensor x, Tensor t) {
    const Tensor s = t / static_cast<double>(last);
    return Point{.x = x, .a = 1.0 - s, .s = s};
  };
  space.output = [](const Point&, Tensor x0, Tensor epsilon) { return epsilon - x0; };
  return space;
}

// σ from the time; the input is x/√(σ² + σ_d²), and D = c_skip x + c_out output.
Space preconditioned_space(const SchedulerConfig& config, double time_scale, double sigma_least,
                           double sign) {
  Space space;
  space.dummy = growing;
  const double variance = config.sigma_data * config.sigma_data;
  space.point = [=](Tensor x, Tensor t) {
    const Tensor sigma = exp(t * time_scale);
    return Point{.x = x * per_image(sqrt(square(sigma) + variance), x),
                 .a = full(x.graph(), t.shape(), 1),
                 .s = sigma};
  };
  space.output = [=](const Point& p, Tensor x0, Tensor) {
    const Tensor left = p.s - sigma_least;
    const Tensor c_skip = variance / (square(left) + variance);
    const Tensor c_out = left * (sign * config.sigma_data) / sqrt(square(p.s) + variance);
    return (x0 - c_skip * p.x) / c_out;
  };
  return space;
}

}  // namespace

Result<Space> golden_space(const std::string& name, const SchedulerConfig& config,
                           const std::string& prediction) {
  if (name == "vp") return chain_space(config, prediction);
  if (name == "ve") return exploding_space();
  if (name == "flow") return flow_space(config);
  if (name == "edm")
    return preconditioned_space(config, 4, 0, prediction == "v_prediction" ? -1 : 1);
  if (name == "cm") return preconditioned_space(config, 4.0 / 1000, config.sigma_min, 1);
  return unsupported("space '{}'", name);
}

Result<Denoiser> mixture_model(const Case& golden, const Space& space) {
  Mixture mixture;
  ITO_ASSIGN(mixture.means, golden.array("gmm.means"));
  ITO_ASSIGN(mixture.variances, golden.array("gmm.vars"));
  ITO_ASSIGN(const Array weights, golden.array("gmm.weights"));
  if (mixture.means.shape.rank() != 2 || mixture.variances.shape != mixture.means.shape ||
      weights.shape != Shape{mixture.means.shape[0]})
    return corrupt("gmm.means, gmm.vars and gmm.weights do not fit together");
  for (double weight : weights.data) mixture.log_weights.push_back(std::log(weight));
  return Denoiser([=](Tensor x, Tensor t) {
    const Tensor flat = reshape(x, {x.dim(0), x.dim(-1)});
    Point point = space.point(flat, t);
    const MixturePosterior posterior = mixture_posterior(mixture, point.x, point.a, point.s);
    point.a = reshape(point.a, {x.dim(0), 1});
    point.s = reshape(point.s, {x.dim(0), 1});
    return reshape(space.output(point, posterior.x0, posterior.epsilon), x.shape());
  });
}

Denoiser with_variance(Denoiser model) {
  return [model = std::move(model)](Tensor x, Tensor t) {
    return concat({model(x, t), tanh(x)}, -1);
  };
}

}  // namespace ito::golden
