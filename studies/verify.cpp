#include "studies/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "api/replay.h"
#include "base/error.h"
#include "diffusion/forward_sde.h"
#include "diffusion/langevin.h"
#include "diffusion/method.h"
#include "diffusion/score.h"
#include "diffusion/streams.h"
#include "diffusion/toy_data.h"
#include "graph/builder.h"
#include "graph/compile.h"
#include "runtime/executor.h"

namespace ito {
namespace {

constexpr double kWorstZ = 4;
constexpr int kBins = 32;
constexpr Port<float> kPoints{"points"};

// Two overlapping components of unequal weight, so that every moment is one of its own.
const GaussianMixture& mixture() {
  static const GaussianMixture value{
      {0.3, 0.7}, {{-1.2, 0.6}, {0.8, -0.4}}, {{0.16, 0.36}, {0.25, 0.09}}};
  return value;
}

// What x's first two moments and marginal are if x = a x_0 + N(0, v), x_0 of the mixture.
struct Law {
  double a = 1, v = 0;

  double mean(size_t axis) const {
    double sum = 0;
    for (size_t k = 0; k < mixture().weights.size(); ++k)
      sum += mixture().weights[k] * mixture().means[k][axis];
    return a * sum;
  }
  double covariance(size_t i, size_t j) const {
    double sum = 0;
    for (size_t k = 0; k < mixture().weights.size(); ++k)
      sum += mixture().weights[k] * (a * a * mixture().means[k][i] * mixture().means[k][j] +
                                     (i == j ? a * a * mixture().variances[k][i] + v : 0));
    return sum - mean(i) * mean(j);
  }
  // P(x[axis] < at).
  double below(size_t axis, double at) const {
    double sum = 0;
    for (size_t k = 0; k < mixture().weights.size(); ++k) {
      const double deviation = std::sqrt(a * a * mixture().variances[k][axis] + v);
      sum += mixture().weights[k] * 0.5 *
             std::erfc((a * mixture().means[k][axis] - at) / (deviation * std::sqrt(2.0)));
    }
    return sum;
  }
};

// Sample moments of points [n, 2] and their standard errors.
struct Moments {
  explicit Moments(const std::vector<float>& points) : n(static_cast<double>(points.size()) / 2) {
    for (size_t i = 0; i < points.size(); ++i) mean[i % 2] += points[i] / n;
    for (size_t i = 0; i < points.size(); i += 2) {
      const double x = points[i] - mean[0], y = points[i + 1] - mean[1];
      const double products[3] = {x * x, x * y, y * y};
      for (int k = 0; k < 3; ++k) {
        covariance[k] += products[k] / n;
        squares[k] += products[k] * products[k] / n;
      }
    }
  }
  double mean_error(int axis) const { return std::sqrt(covariance[2 * axis] / n); }
  double covariance_error(int k) const {
    return std::sqrt((squares[k] - covariance[k] * covariance[k]) / n);
  }

  double n;
  double mean[2] = {0, 0};
  double covariance[3] = {0, 0, 0};  // xx, xy, yy
  double squares[3] = {0, 0, 0};     // means of the squared products
};

VerifyRow row_of(std::string check, std::string quantity, double measured, double theory,
                 double expected, double error) {
  return {.check = std::move(check),
          .quantity = std::move(quantity),
          .measured = measured,
          .theory = theory,
          .bias = expected - theory,
          .standard_error = error,
          .z = (measured - expected) / error};
}

// χ² of x's histogram over bins of equal expected probability. Its z is by Wilson & Hilferty's cube
// root (1931), which is close to normal; χ² itself is not.
VerifyRow histogram_row(const std::string& check, const std::vector<float>& points,
                        const Law& law) {
  const double count = static_cast<double>(points.size()) / 2;
  std::vector<double> bounds;
  for (int b = 1; b < kBins; ++b) {
    double low = -1e3, high = 1e3;
    for (int i = 0; i < 80; ++i) {
      const double middle = 0.5 * (low + high);
      (law.below(0, middle) * kBins < b ? low : high) = middle;
    }
    bounds.push_back(low);
  }
  std::vector<double> found(kBins, 0);
  for (size_t i = 0; i < points.size(); i += 2)
    ++found[static_cast<size_t>(std::upper_bound(bounds.begin(), bounds.end(), points[i]) -
                                bounds.begin())];
  double chi2 = 0;
  for (const double number : found) {
    const double difference = number - count / kBins;
    chi2 += difference * difference / (count / kBins);
  }
  constexpr double k = kBins - 1;
  VerifyRow row = row_of(check, "chi2 of x's histogram", chi2, k, k, std::sqrt(2 * k));
  row.z = (std::cbrt(chi2 / k) - (1 - 2 / (9 * k))) / std::sqrt(2 / (9 * k));
  return row;
}

// All rows of one cloud of points: `theory` in continuous time, `expected` with the method's bias.
void add_rows(std::vector<VerifyRow>& rows, const std::string& check,
              const std::vector<float>& points, const Law& theory, const Law& expected) {
  const Moments moments(points);
  static constexpr const char* kAxes[2] = {"x", "y"};
  for (int axis = 0; axis < 2; ++axis) {
    const size_t i = static_cast<size_t>(axis);
    rows.push_back(row_of(check, fmt::format("mean of {}", kAxes[axis]), moments.mean[axis],
                          theory.mean(i), expected.mean(i), moments.mean_error(axis)));
  }
  static constexpr const char* kProducts[3] = {"variance of x", "covariance of x and y",
                                               "variance of y"};
  static constexpr size_t kFirst[3] = {0, 0, 1}, kSecond[3] = {0, 1, 1};
  for (int k = 0; k < 3; ++k)
    rows.push_back(row_of(check, kProducts[k], moments.covariance[k],
                          theory.covariance(kFirst[k], kSecond[k]),
                          expected.covariance(kFirst[k], kSecond[k]), moments.covariance_error(k)));
  rows.push_back(histogram_row(check, points, expected));
}

class Verification {
 public:
  Verification(vk::Device& device, const VerifyOptions& options,
               const std::function<bool(const std::string&)>& progress)
      : device_(device), options_(options), progress_(progress), shape_{options.chains, 2} {}

  Result<std::vector<VerifyRow>> run() {
    for (const Sde& sde : {Sde{.kind = Sde::Kind::kVe, .sigma_min = 0.05, .sigma_max = 5},
                           Sde{.kind = Sde::Kind::kVp}, Sde{.kind = Sde::Kind::kSubVp},
                           Sde{.kind = Sde::Kind::kEdm, .sigma_min = 0.05, .sigma_max = 5}})
      ITO_TRY(check_forward(sde));
    for (const double step_size : {0.1, 0.2, 0.4}) ITO_TRY(check_unadjusted(step_size));
    ITO_TRY(check_adjusted(0.15));
    return std::move(rows_);
  }

 private:
  Status begin(const std::string& check) {
    if (progress_ && !progress_(check)) return interrupted("stopped");
    return {};
  }

  // An executor of the chain whose x holds points of `start` (a function of key and images).
  Result<std::unique_ptr<Executor>> prepare(
      const Method& chain, const std::function<Tensor(Tensor key, Tensor image)>& start) {
    Program first;
    Graph& graph = *first.graph;
    const Tensor key = input(graph, sampling_ports::kKey, {2});
    const Tensor image = input(graph, sampling_ports::kImage, {shape_[0]});
    first.output(kPoints, start(key, image));
    std::vector<uint32_t> images(static_cast<size_t>(shape_[0]));
    for (size_t i = 0; i < images.size(); ++i) images[i] = static_cast<uint32_t>(i);
    // Every check its own key: no two share numbers.
    const std::vector<uint32_t> key_words = {options_.seed, ++checks_};
    ITO_ASSIGN(Plan first_plan, compile(first, device_.caps()));
    ITO_ASSIGN(auto starter, Executor::create(device_, std::move(first_plan)));
    ITO_TRY(starter->write(sampling_ports::kKey, key_words));
    ITO_TRY(starter->write(sampling_ports::kImage, images));
    ITO_TRY(starter->run());
    ITO_ASSIGN(DeviceTensor points, starter->tensor(kPoints));

    const MethodOptions options{.shape = shape_, .noise_input = false, .outputs = false};
    ITO_ASSIGN(Plan plan, compile(method_program(chain, options), device_.caps()));
    ITO_ASSIGN(auto executor, Executor::create(device_, std::move(plan)));
    ITO_TRY(executor->bind(sampling_ports::kX, points));
    ITO_TRY(executor->write(sampling_ports::kKey, key_words));
    ITO_TRY(executor->write(sampling_ports::kImage, images));
    if (chain.start == nullptr) return executor;
    ITO_ASSIGN(Plan start_plan, compile(method_start_program(chain, shape_), device_.caps()));
    ITO_ASSIGN(auto state, Executor::create(device_, std::move(start_plan)));
    ITO_TRY(state->bind(sampling_ports::kX, points));
    for (const MethodState& name : chain.states) {
      const auto port = sampling_ports::kHistory[name.name];
      ITO_TRY(state->share(*executor, port));
    }
    ITO_TRY(state->run());
    ITO_TRY(state->wait());
    return executor;
  }

  // Replays, and the points where the chains are then.
  Result<std::vector<float>> advance(const Method& chain, Executor& executor, int steps) {
    ITO_TRY(replay(executor, chain.name, steps,
                   {.each = 20, .before = [&](int) { return begin(current_); }}));
    return executor.read(sampling_ports::kX);
  }

  static Tensor mixture_start(Tensor key, Tensor image, double mean, double deviation) {
    ToyData data;
    data.mixture = mixture();
    const Tensor zero = full(key.graph(), {}, 0, DType::kU32);
    const Tensor z = random_normal({image.dim(0), 2}, key, image, zero, kStreamForwardNoise);
    return toy_points(data, key, image, zero) * mean + z * deviation;
  }

  Status check_forward(const Sde& sde) {
    const std::string name = sde_name(sde.kind);
    current_ = "Kolmogorov-Fokker-Planck, " + name;
    ITO_ASSIGN(const Method chain, forward_process(sde, sde.end(), options_.steps));
    ITO_ASSIGN(auto executor, prepare(chain, [&](Tensor key, Tensor image) {
                 return mixture_start(key, image, sde.mean(0), sde.std(0));
               }));
    int done = 0;
    for (const double share : {0.25, 0.5, 1.0}) {
      const int until = static_cast<int>(std::lround(share * options_.steps));
      ITO_ASSIGN(const std::vector<float> points, advance(chain, *executor, until - done));
      done = until;
      const double t = sde.end() * done / options_.steps;
      const EulerMoments euler = euler_moments(sde, options_.steps, done);
      add_rows(rows_, fmt::format("KFP {}, t = {:.3g}", name, t), points,
               {sde.mean(t), sde.std(t) * sde.std(t)}, {euler.mean, euler.variance});
    }
    return {};
  }

  // On N(0, s²) the chain x' = (1 - η/(2s²)) x + √η z has the stationary variance
  // η/(1 - (1 - η/(2s²))²) = s²/(1 - η/(4s²)): O(η) too much. One axis with s² = 1, one with 1/4.
  Status check_unadjusted(double eta) {
    current_ = fmt::format("unadjusted Langevin, step size {:.3g}", eta);
    const double variances[2] = {1, 0.25};
    const GaussianMixture target{{1}, {{0, 0}}, {{variances[0], variances[1]}}};
    const Sde still{.kind = Sde::Kind::kEdm};
    // Long enough to forget the start: (1 - η/2)^(2 steps) < 1e-6.
    const int steps = static_cast<int>(std::ceil(-std::log(1e-6) / eta));
    ITO_ASSIGN(const Method chain, langevin(mixture_score(target, still),
                                            {.step_size = eta, .steps = steps, .time = 0}));
    ITO_ASSIGN(auto executor, prepare(chain, [&](Tensor key, Tensor image) {
                 const Tensor zero = full(key.graph(), {}, 0, DType::kU32);
                 return random_normal({image.dim(0), 2}, key, image, zero, kStreamInitialNoise) *
                        constant(key.graph(), {2}, {1, 0.5});
               }));
    ITO_ASSIGN(const std::vector<float> points, advance(chain, *executor, steps));
    const Moments moments(points);
    const std::string check = fmt::format("ULA, step size {:.3g}", eta);
    for (int axis = 0; axis < 2; ++axis) {
      const double s2 = variances[axis];
      rows_.push_back(row_of(check, fmt::format("variance, target {:.3g}", s2),
                             moments.covariance[2 * axis], s2, s2 / (1 - eta / (4 * s2)),
                             moments.covariance_error(2 * axis)));
    }
    return {};
  }

  // Chains that start in the mixture stay in it.
  Status check_adjusted(double eta) {
    current_ = fmt::format("Metropolis-adjusted Langevin, step size {:.3g}", eta);
    const int steps = 100;
    const Sde still{.kind = Sde::Kind::kEdm};
    ITO_ASSIGN(const Method chain,
               metropolis_langevin(mixture_energy(mixture(), still),
                                   {.step_size = eta, .steps = steps, .time = 0}));
    ITO_ASSIGN(auto executor, prepare(chain, [&](Tensor key, Tensor image) {
                 return mixture_start(key, image, 1, 0);
               }));
    ITO_ASSIGN(const std::vector<float> points, advance(chain, *executor, steps));
    add_rows(rows_, fmt::format("MALA, step size {:.3g}", eta), points, {1, 0}, {1, 0});
    return {};
  }

  vk::Device& device_;
  const VerifyOptions& options_;
  const std::function<bool(const std::string&)>& progress_;
  const Shape shape_;
  std::string current_;
  uint32_t checks_ = 0;
  std::vector<VerifyRow> rows_;
};

}  // namespace

Status check_verify(const VerifyOptions& options) {
  if (options.chains < 1000)
    return invalid_argument("{} chains, expected at least 1000", options.chains);
  if (options.steps < 10) return invalid_argument("{} steps, expected at least 10", options.steps);
  return {};
}

bool VerifyRow::passed() const { return std::abs(z) <= kWorstZ; }

EulerMoments euler_moments(const Sde& sde, int steps, int done) {
  EulerMoments moments{.mean = sde.mean(0), .variance = sde.std(0) * sde.std(0)};
  const double delta = sde.end() / steps;
  for (int i = 0; i < done; ++i) {
    const double t = delta * i, factor = 1 + sde.drift(t) * delta, g = sde.diffusion(t);
    moments.mean *= factor;
    moments.variance = factor * factor * moments.variance + g * g * delta;
  }
  return moments;
}

Result<std::vector<VerifyRow>> run_verify(
    vk::Device& device, const VerifyOptions& options,
    const std::function<bool(const std::string& check)>& progress) {
  ITO_TRY(check_verify(options));
  return Verification(device, options, progress).run();
}

}  // namespace ito
