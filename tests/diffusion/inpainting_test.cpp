// Constraints on data of two correlated numbers, one of them observed: every sampler's fill is then
// Gaussian, its moments follow by a recursion on the host, and the truth is the conditional
// Gaussian. The recursion says how far replacing is from it: predictors and the discrete chain
// alone are biased (the drawn part never feels the observation's future noise); corrector moves
// take the bias away as their number rises, and annealed Langevin has none once its last level is
// small and its steps are many.
#include <cmath>
#include <span>

#include "diffusion/annealed_langevin.h"
#include "diffusion/constraint.h"
#include "diffusion/noise_ladder.h"
#include "diffusion/posterior.h"
#include "diffusion/predictor_corrector.h"
#include "diffusion/samplers.h"
#include "graph/builder.h"
#include "tests/diffusion/method_device.h"
#include "tests/diffusion/mixture_denoiser.h"
#include "tests/support/run_program.h"

namespace ito::test {
namespace {

// Pixels (observed, filled) ~ N((0.3, -0.2), [[1, 0.8], [0.8, 1]]); y = 0.9.
constexpr double kMean0 = 0.3, kMean1 = -0.2, kVariance = 1, kCovariance = 0.8, kY = 0.9;
constexpr double kFillMean = kMean1 + kCovariance / kVariance * (kY - kMean0);
constexpr double kFillVariance = kVariance - kCovariance * kCovariance / kVariance;

// The data in the axes of their covariance, (sum, difference)/√2, where they are independent.
const double kRoot = std::sqrt(0.5);
const GaussianMixture kData{{1.0},
                            {{kRoot * (kMean0 + kMean1), kRoot*(kMean0 - kMean1)}},
                            {{kVariance + kCovariance, kVariance - kCovariance}}};

Tensor rotate(Tensor x) {  // its own inverse
  const Tensor axes = constant(x.graph(), {2, 2}, {kRoot, kRoot, kRoot, -kRoot});
  return reshape(matmul(reshape(x, {x.dim(0), 2}), axes), x.shape());
}

template <typename Function>
Function rotated(Function function) {
  return [function = std::move(function)](Tensor x, Tensor t) {
    return rotate(function(rotate(x), t));
  };
}

// The precision matrix of the data at x_t = a x_0 + s ε: [[own, cross], [cross, own]].
struct Precision {
  double own = 0, cross = 0;
};
Precision precision(double a, double s) {
  const double v = a * a * kVariance + s * s, c = a * a * kCovariance;
  return {.own = v / (v * v - c * c), .cross = -c / (v * v - c * c)};
}

struct Fill {
  double mean = 0, variance = 0;
};

// u' = on_x u + on_score s_u(u, o) + noise z, the observed pixel being o = a y + s z'.
Fill advance(const Fill& u, double a, double s, double on_x, double on_score, double noise) {
  const Precision p = precision(a, s);
  const double slope = on_x - on_score * p.own;
  return {
      .mean =
          on_x * u.mean - on_score * (p.own * (u.mean - a * kMean1) + p.cross * a * (kY - kMean0)),
      .variance = slope * slope * u.variance + std::pow(on_score * p.cross * s, 2) + noise * noise};
}

const Shape kImage{1, 2, 1};

class Inpainting : public DeviceMethod {
 protected:
  static Measurement first_pixel() { return Measurement::mask(kImage, {1, 0}).value(); }

  // Runs a program that has states "x" and "step" from noise of the given deviation, with the
  // observation in place, and reads x.
  static Result<std::vector<float>> run(const Program& program, int steps, const Shape& shape,
                                        double initial_std, const Measurement& measurement,
                                        const std::vector<float>& y, double noise_std) {
    std::vector<uint32_t> seeds(static_cast<size_t>(shape[0]));
    std::iota(seeds.begin(), seeds.end(), 0);
    ITO_ASSIGN(auto loop, executor_for(program));
    ITO_TRY(write_seeds(*loop, seeds));
    ITO_ASSIGN(auto observation, executor_for(observation_program(measurement)));
    ITO_TRY(observation->write(constraint_ports::kObservation, y));
    ITO_TRY(observation->run());
    ITO_ASSIGN(const auto coefficients, observation->read(constraint_ports::kObserved));
    ITO_TRY(loop->write(constraint_ports::kObserved, coefficients));
    ITO_ASSIGN(const auto deviations, observed_std(measurement, noise_std));
    ITO_TRY(loop->write(constraint_ports::kObservedStd, deviations));
    ITO_ASSIGN(auto noise, executor_for(initial_noise_program(shape, initial_std)));
    ITO_ASSIGN(const DeviceTensor x, loop->tensor("x"));
    ITO_TRY(noise->bind("x", x));
    ITO_TRY(write_seeds(*noise, seeds));
    ITO_TRY(noise->run());
    ITO_TRY(noise->wait());
    ITO_TRY(loop->run(static_cast<uint32_t>(steps)));
    return loop->read<float>("x");
  }

  static Result<std::vector<float>> run_method(const Method& chain, const Sde& sde,
                                               const Shape& shape, const Measurement& measurement,
                                               const std::vector<float>& y, double noise_std,
                                               double initial_std) {
    MethodOptions options{.shape = shape};
    options.constraint = measurement_constraint(measurement, sde_marginal(sde));
    return run(method_program(chain, options), chain.steps, shape, initial_std, measurement, y,
               noise_std);
  }

  // The observed pixel to the last bit, and the other's moments as predicted.
  static void expect_fill(const std::vector<float>& x, const Fill& exact) {
    for (size_t i = 0; i < x.size(); i += 2) ASSERT_EQ(x[i], static_cast<float>(kY));
    EXPECT_WITHIN_4_SE(estimate(x, 2, [](const float* p) { return p[1]; }), exact.mean);
    EXPECT_WITHIN_4_SE(
        estimate(x, 2, [&](const float* p) { return std::pow(p[1] - exact.mean, 2); }),
        exact.variance);
  }
};

// What replacing costs at this correlation (0.8): a third of a deviation in the mean, towards the
// mean of all data, and half of the variance.
void expect_known_bias(const Fill& fill) {
  EXPECT_LT(fill.mean, kFillMean);
  EXPECT_GT(fill.mean, kFillMean - std::sqrt(kFillVariance) / 3);
  EXPECT_NEAR(fill.variance, kFillVariance, 0.5 * kFillVariance);
}

// What σ_L² and the steps that are left to forget the level above leave.
void expect_no_bias(const Fill& fill) {
  EXPECT_NEAR(fill.mean, kFillMean, 0.01 * std::sqrt(kFillVariance));
  EXPECT_NEAR(fill.variance, kFillVariance, 0.03 * kFillVariance);
}

constexpr int64_t kChains = 16384;
const Shape kShape{kChains, 1, 2, 1}, kManyShape{100'000, 1, 2, 1}, kFewShape{8192, 1, 2, 1};

TEST_F(Inpainting, AnnealedLangevinFillsWithTheConditionalGaussian) {
  const Sde sde{.kind = Sde::Kind::kEdm};  // time is sigma
  ASSERT_OK_AND_ASSIGN(const std::vector<double> sigmas, geometric_ladder(1.6, 0.05, 6));
  const AnnealedLangevinOptions options{
      .form = AnnealedForm::kNcsn, .epsilon = 0.0025, .steps_per_level = 150, .denoise = false};
  ASSERT_OK_AND_ASSIGN(
      const Method chain,
      annealed_langevin(sigmas, sigmas, rotated(mixture_score(kData, sde)), options));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> x,
                       run_method(chain, sde, kManyShape, first_pixel(), {kY, 0}, 0, 1.6));
  Fill fill{.mean = 0, .variance = 1.6 * 1.6};
  for (double sigma : sigmas) {
    const double alpha = options.epsilon * sigma * sigma / (0.05 * 0.05);
    for (int i = 0; i < options.steps_per_level; ++i)
      fill = advance(fill, 1, sigma, 1, alpha / 2, std::sqrt(alpha));
  }
  expect_fill(x, fill);
  expect_no_bias(fill);
}

// The fill of a predictor-corrector chain with the ALD corrector.
Fill corrected_fill(const Method& chain, const Sde& sde, int corrector_steps) {
  Fill fill{.mean = 0, .variance = sde.prior_std() * sde.prior_std()};
  const std::vector<double> times = chain.column("time"), on_x = chain.column("on_x"),
                            on_score = chain.column("on_score"), noise = chain.column("noise"),
                            size = chain.column("corrector");
  for (size_t i = 0; i < times.size(); ++i) {
    const double a = sde.mean(times[i]), s = sde.std(times[i]);
    for (int move = 0; move < corrector_steps; ++move)
      fill = advance(fill, a, s, 1, size[i], std::sqrt(2 * size[i]));
    fill = advance(fill, a, s, on_x[i], on_score[i], noise[i]);
  }
  return fill;
}

TEST_F(Inpainting, ReverseSdesFillAsTheirRecursionSays) {
  for (const Sde& sde : {Sde{.kind = Sde::Kind::kVp},
                         Sde{.kind = Sde::Kind::kVe, .sigma_min = 0.01, .sigma_max = 10}}) {
    ASSERT_OK_AND_ASSIGN(
        const Method chain,
        predictor_corrector(sde, rotated(mixture_score(kData, sde)),
                            {.predictor = Predictor::kReverseDiffusion, .steps = 200}));
    ASSERT_OK_AND_ASSIGN(const std::vector<float> x, run_method(chain, sde, kShape, first_pixel(),
                                                                {kY, 0}, 0, sde.prior_std()));
    const Fill fill = corrected_fill(chain, sde, 0);
    expect_fill(x, fill);
    expect_known_bias(fill);
  }
}

// Every move sees an observation noised anew, so that its noise averages out.
TEST_F(Inpainting, CorrectorMovesTakeTheBiasAway) {
  for (const Sde& sde : {Sde{.kind = Sde::Kind::kVp},
                         Sde{.kind = Sde::Kind::kVe, .sigma_min = 0.01, .sigma_max = 10}}) {
    SCOPED_TRACE(sde_name(sde.kind));
    double last = 1;
    const int most = sde.kind == Sde::Kind::kVp ? 12 : 4;  // VP has fewer steps at little noise
    for (const int moves : {1, 4, 12}) {
      if (moves > most) continue;
      SCOPED_TRACE(moves);
      ASSERT_OK_AND_ASSIGN(const Method chain,
                           predictor_corrector(sde, rotated(mixture_score(kData, sde)),
                                               {.predictor = Predictor::kReverseDiffusion,
                                                .corrector = Corrector::kAld,
                                                .steps = 200,
                                                .corrector_steps = moves,
                                                .snr = 0.7}));
      ASSERT_OK_AND_ASSIGN(
          const std::vector<float> x,
          run_method(chain, sde, kFewShape, first_pixel(), {kY, 0}, 0, sde.prior_std()));
      const Fill fill = corrected_fill(chain, sde, moves);
      expect_fill(x, fill);
      const double bias = std::fabs(fill.mean - kFillMean) / std::sqrt(kFillVariance);
      EXPECT_LT(bias, 0.5 * last);
      last = bias;
      if (moves == most) expect_no_bias(fill);
    }
  }
}

TEST_F(Inpainting, DiscreteChainFillsAsItsRecursionSays) {
  SchedulerConfig config;
  config.clip_sample = false;
  const NoiseSchedule schedule = make_schedule(config, Arithmetic::kDouble).value();
  const Solver sampler =
      make_solver("ddpm", config, {.steps = 200, .arithmetic = Arithmetic::kDouble}).value();
  const Method method =
      solver_method(sampler, rotated(mixture_denoiser(kData, schedule, Prediction::kEpsilon)));
  MethodOptions options;
  options.shape = kShape;
  options.constraint = measurement_constraint(first_pixel(), schedule_marginal(schedule));
  ASSERT_OK_AND_ASSIGN(
      const std::vector<float> x,
      run(method_program(method, options), sampler.steps(), kShape, 1, first_pixel(), {kY, 0}, 0));
  Fill fill{.mean = 0, .variance = 1};
  for (int i = 0; i < sampler.steps(); ++i) {
    const int t = static_cast<int>(sampler.rows[static_cast<size_t>(i)].t);
    const int previous = i + 1 < sampler.steps() ? t - 5 : -1;
    const double a = std::sqrt(schedule.alpha_bar(t)), s = std::sqrt(1 - schedule.alpha_bar(t));
    // x_0 = (x + s² score)/a in the posterior mean.
    const Posterior step = posterior(schedule, t, previous);
    fill = advance(fill, a, s, step.on_x + step.on_x0 / a, step.on_x0 * s * s / a,
                   t > 0 ? std::sqrt(step.variance) : 0);
  }
  expect_fill(x, fill);
  expect_known_bias(fill);
}

// A noisy observation is x itself at a higher noise level, so for independent pixels releasing the
// chain at that level gives the exact posterior.
TEST_F(Inpainting, NoisyObservationOfIndependentPixelsGivesThePosterior) {
  const double v = 0.5, noise = 0.4;
  const GaussianMixture data{{1}, {{0, 0}}, {{v, v}}};
  const Sde sde{.kind = Sde::Kind::kVe, .sigma_min = 0.01, .sigma_max = 10};
  ASSERT_OK_AND_ASSIGN(const Method chain,
                       predictor_corrector(sde, mixture_score(data, sde),
                                           {.predictor = Predictor::kAncestral, .steps = 400}));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> x,
                       run_method(chain, sde, kShape, first_pixel(), {kY, 0}, noise, 10));
  const double shrink = v / (v + noise * noise);
  const auto observed = estimate(x, 2, [](const float* p) { return p[0]; });
  const auto spread =
      estimate(x, 2, [&](const float* p) { return std::pow(p[0] - shrink * kY, 2); });
  // 4 standard errors, and 2% for 400 steps (the level of release lies between two of them).
  EXPECT_NEAR(observed.mean, shrink * kY, 4 * observed.error + 0.02 * shrink * kY);
  EXPECT_NEAR(spread.mean, shrink * noise * noise,
              4 * spread.error + 0.02 * shrink * noise * noise);
}

// Correlated pixels need the corrector's moves above the level of release, as without noise; below
// it the moves must not forget the observation.
TEST_F(Inpainting, NoisyObservationOfCorrelatedPixelsGivesThePosterior) {
  const double noise = 0.4, known = kVariance / (kVariance + noise * noise);
  const double shift = (kY - kMean0) * known, left = known * noise * noise;
  const double slope = kCovariance / kVariance;
  for (const Sde& sde : {Sde{.kind = Sde::Kind::kVp},
                         Sde{.kind = Sde::Kind::kVe, .sigma_min = 0.01, .sigma_max = 10}}) {
    SCOPED_TRACE(sde_name(sde.kind));
    ASSERT_OK_AND_ASSIGN(const Method chain,
                         predictor_corrector(sde, rotated(mixture_score(kData, sde)),
                                             {.predictor = Predictor::kAncestral,
                                              .corrector = Corrector::kAld,
                                              .steps = 200,
                                              .corrector_steps = 4,
                                              .snr = 0.4}));
    ASSERT_OK_AND_ASSIGN(const std::vector<float> x, run_method(chain, sde, kShape, first_pixel(),
                                                                {kY, 0}, noise, sde.prior_std()));
    const double m0 = kMean0 + shift, m1 = kMean1 + slope * shift;
    const auto expect = [&](const char* what, auto f, double truth) {
      const Estimate found = estimate(x, 2, f);
      EXPECT_NEAR(found.mean, truth, 4 * found.error + 0.005) << what;
    };
    expect(
        "observed", [](const float* p) { return p[0]; }, m0);
    expect(
        "filled", [](const float* p) { return p[1]; }, m1);
    expect(
        "variance", [&](const float* p) { return std::pow(p[0] - m0, 2); }, left);
    expect(
        "variance of the fill", [&](const float* p) { return std::pow(p[1] - m1, 2); },
        kFillVariance + slope * slope * left);
    expect(
        "covariance", [&](const float* p) { return (p[0] - m0) * (p[1] - m1); }, slope * left);
  }
}

// Any data and any score will do for what the constraint promises.
class ConstraintOnImages : public Inpainting {
 protected:
  static constexpr int64_t kH = 6, kW = 6, kC = 3;
  static Shape image() { return {kH, kW, kC}; }

  static GaussianMixture data() {
    return {
        {1}, {std::vector<double>(kH * kW * kC, 0.1)}, {std::vector<double>(kH * kW * kC, 0.3)}};
  }

  // A x of samples of every form for the observation y.
  static void measure(const Measurement& m, const std::vector<float>& y,
                      const std::function<void(const std::vector<float>&)>& check) {
    const Shape shape{3, kH, kW, kC};
    const auto measured = [&](const std::vector<float>& x) {
      Program program;
      program.output("y", m.apply(input(*program.graph, "x", shape)));
      const auto values = run_on_interpreter(program, {{"x", {shape, {x.begin(), x.end()}}}});
      ASSERT_OK(values);
      const std::vector<double>& found = values->at("y").data;
      ASSERT_EQ(found.size(), 3 * y.size());
      for (size_t i = 0; i < found.size(); ++i)
        EXPECT_NEAR(found[i], y[i % y.size()], 2e-6) << i;  // float32 rotations
      check(x);
    };
    const Sde ve{.kind = Sde::Kind::kVe, .sigma_max = 5};
    ASSERT_OK_AND_ASSIGN(const Method corrected,
                         predictor_corrector(ve, mixture_score(data(), ve),
                                             {.predictor = Predictor::kEulerMaruyama,
                                              .corrector = Corrector::kLangevin,
                                              .steps = 12}));
    ASSERT_OK_AND_ASSIGN(const std::vector<float> a, run_method(corrected, ve, shape, m, y, 0, 5));
    measured(a);
    const SchedulerConfig config;
    const NoiseSchedule schedule = make_schedule(config).value();
    const Solver sampler = make_solver("ddpm", config, {.steps = 8}).value();
    const Method method =
        solver_method(sampler, mixture_denoiser(data(), schedule, Prediction::kEpsilon));
    MethodOptions options;
    options.shape = shape;
    options.constraint = measurement_constraint(m, schedule_marginal(schedule));
    ASSERT_OK_AND_ASSIGN(const std::vector<float> b,
                         run(method_program(method, options), sampler.steps(), shape, 1, m, y, 0));
    measured(b);
  }

  static std::vector<float> numbers(int64_t count) {
    std::vector<float> values;
    for (int64_t i = 0; i < count; ++i)
      values.push_back(static_cast<float>(0.8 * std::sin(1.1 * static_cast<double>(i))));
    return values;
  }
};

TEST_F(ConstraintOnImages, ObservedPixelsAreKeptToTheLastBit) {
  std::vector<float> mask;
  for (int64_t i = 0; i < kH * kW; ++i) mask.push_back(i % 7 < 3 ? 1.0f : 0.0f);
  std::vector<float> y = numbers(kH * kW * kC);
  for (size_t i = 0; i < y.size(); ++i) y[i] *= mask[i / kC];
  const Measurement m = Measurement::mask(image(), mask).value();
  measure(m, y, [&](const std::vector<float>& x) {
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t at = i % y.size();
      if (mask[at / kC] == 1) {
        EXPECT_EQ(x[i], y[at]) << i;
      } else {
        EXPECT_NE(x[i], 0) << i;
      }
    }
  });
}

TEST_F(ConstraintOnImages, ColourisationKeepsLuminance) {
  measure(Measurement::luminance(image()).value(), numbers(kH * kW),
          [](const std::vector<float>& x) {
            EXPECT_NE(x[0], x[1]);  // colours were drawn
          });
}

TEST_F(ConstraintOnImages, BlockMeansAreKept) {
  measure(Measurement::downsample(image(), 3).value(), numbers(kH * kW * kC / 9),
          [](const std::vector<float>& x) { EXPECT_NE(x[0], x[3]); });
}

TEST_F(ConstraintOnImages, BlursAreKept) {
  const Measurement m = Measurement::blur(image(), box_kernel(3)).value();
  // A blurred image: not everything is one, as some frequencies are lost.
  Program program;
  program.output("y", m.apply(input(*program.graph, "x", {1, kH, kW, kC})));
  const std::vector<float> sharp = numbers(kH * kW * kC);
  const auto values =
      run_on_interpreter(program, {{"x", {{1, kH, kW, kC}, {sharp.begin(), sharp.end()}}}});
  ASSERT_OK(values);
  const std::vector<double>& y = values->at("y").data;
  measure(m, {y.begin(), y.end()}, [](const std::vector<float>&) {});
}

}  // namespace
}  // namespace ito::test
