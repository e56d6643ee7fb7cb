// The weak order of every predictor: how fast the exact moments of the discretised reverse process
// on Gaussian data approach the data's as its steps are refined. With correctors, and on a mixture:
// sampler_law_test.cpp.
#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/predictor_corrector.h"
#include "tests/diffusion/method_loop.h"

namespace ito::test {
namespace {

constexpr double kMean = 0.5, kVariance = 0.5;

struct Slope {
  double value = 0;
  double error = 0;  // standard error
};

// The slope p of ln|e| = a + p ln h + b h, by least squares; the last term is the next of the
// error's expansion in h. Its standard error is that of the residuals, which are the terms beyond,
// and that of errors known to `rounding`.
Slope order_of(const std::vector<double>& h, const std::vector<double>& e, double rounding) {
  // Both other columns are projected out of ln h (Frisch and Waugh): p is then a plain ratio.
  const size_t n = h.size();
  const auto remove_line = [&](std::vector<double> y) {  // a + b h
    double mean_h = 0, mean_y = 0, hy = 0, hh = 0;
    for (size_t i = 0; i < n; ++i)
      mean_h += h[i] / static_cast<double>(n), mean_y += y[i] / static_cast<double>(n);
    for (size_t i = 0; i < n; ++i)
      hy += (h[i] - mean_h) * (y[i] - mean_y), hh += (h[i] - mean_h) * (h[i] - mean_h);
    for (size_t i = 0; i < n; ++i) y[i] -= mean_y + hy / hh * (h[i] - mean_h);
    return y;
  };
  std::vector<double> log_h, log_e;
  for (size_t i = 0; i < n; ++i) {
    log_h.push_back(std::log(h[i]));
    log_e.push_back(std::log(std::fabs(e[i])));
  }
  const std::vector<double> x = remove_line(log_h), y = remove_line(log_e);
  double xy = 0, xx = 0, residuals = 0, rounded = 0;
  for (size_t i = 0; i < n; ++i) xy += x[i] * y[i], xx += x[i] * x[i];
  for (size_t i = 0; i < n; ++i) {
    residuals += std::pow(y[i] - xy / xx * x[i], 2);
    rounded += std::pow(x[i] / xx * rounding / e[i], 2);
  }
  return {.value = xy / xx,
          .error = std::sqrt(residuals / static_cast<double>(n - 3) / xx) + std::sqrt(rounded)};
}

TEST(WeakOrder, RegressionFindsTheOrderOfAnExpansion) {
  std::vector<double> h, one, two;
  for (int n : {32, 64, 128, 256, 512}) {
    h.push_back(1.0 / n);
    one.push_back(h.back() * 0.3 * std::exp(4 * h.back()));
    two.push_back(-2 * h.back() * h.back() + 5 * std::pow(h.back(), 3));
  }
  EXPECT_NEAR(order_of(h, one, 0).value, 1, 1e-9);
  EXPECT_NEAR(order_of(h, two, 0).value, 2, 4 * order_of(h, two, 0).error);
  EXPECT_LT(order_of(h, two, 0).error, 1e-3);
}

// From the exact marginal at the end. The last noise is left in and σ_min is so small that it is
// nothing beside the errors: what remains is the discretisation's. Tables are float32, which is the
// rounding.
struct Errors {
  std::vector<double> h, mean, variance;
};
Errors errors_of(const Sde& sde, Predictor predictor) {
  const GaussianMixture data{{1.0}, {{kMean}}, {{kVariance}}};
  const double a = sde.mean(sde.end()), s = sde.std(sde.end());
  Errors errors;
  for (const int steps : {64, 128, 256, 512, 1024, 2048}) {
    const Method chain = predictor_corrector(sde, mixture_score(data, sde),
                                             {.predictor = predictor,
                                              .steps = steps,
                                              .end_time = sde.kind == Sde::Kind::kEdm ? 0 : 1e-8,
                                              .denoise = false})
                             .value();
    const Moments end = method_moments(chain, {a * kMean, a * a * kVariance + s * s}).back();
    errors.h.push_back(1.0 / steps);
    errors.mean.push_back(end.mean - kMean);
    errors.variance.push_back(end.variance - kVariance);
  }
  return errors;
}

void expect_order_one(const std::vector<double>& h, const std::vector<double>& errors) {
  const Slope slope = order_of(h, errors, 3e-8);
  EXPECT_NEAR(slope.value, 1, 4 * slope.error);
  EXPECT_LT(4 * slope.error, 0.05) << "too uncertain to tell orders apart";
}

TEST(WeakOrder, OfEveryPredictorIsOneOnGaussianData) {
  for (const Sde& sde : std::vector<Sde>{
           {.kind = Sde::Kind::kVe, .sigma_min = 1e-4, .sigma_max = 10},
           {.kind = Sde::Kind::kVp, .beta_max = 8},
           {.kind = Sde::Kind::kSubVp, .beta_max = 8},
           {.kind = Sde::Kind::kEdm, .sigma_min = 1e-4, .sigma_max = 10},
       }) {
    for (const Predictor predictor : {Predictor::kEulerMaruyama, Predictor::kReverseDiffusion,
                                      Predictor::kReverseDiffusionOde, Predictor::kAncestral}) {
      if (predictor == Predictor::kAncestral && sde.kind == Sde::Kind::kSubVp) continue;
      SCOPED_TRACE(sde_name(sde.kind) + " " + predictor_name(predictor));
      const Errors errors = errors_of(sde, predictor);
      expect_order_one(errors.h, errors.variance);
      if (sde.mean(sde.end()) < 1) {
        expect_order_one(errors.h, errors.mean);
      } else {  // without a drift the score pulls to the mean, which stays where it is
        for (const double error : errors.mean) EXPECT_NEAR(error, 0, 1e-12);
      }
    }
  }
}

}  // namespace
}  // namespace ito::test
