#include "diffusion/beta_quantile.h"

#include <cmath>
#include <limits>

#include "base/check.h"

namespace ito {
namespace {

// B_x(a, b) a x^-a (1-x)^-b as a continued fraction (Abramowitz & Stegun 26.5.8), by Lentz's
// method; fast for x < (a + 1)/(a + b + 2).
double continued_fraction(double x, double a, double b) {
  constexpr double kTiny = 1e-300;
  constexpr int kTerms = 500;
  double numerator = 1;
  double denominator = 1 - (a + b) * x / (a + 1);
  if (std::fabs(denominator) < kTiny) denominator = kTiny;
  denominator = 1 / denominator;
  double value = denominator;
  const auto advance = [&](double term) {
    denominator = 1 + term * denominator;
    if (std::fabs(denominator) < kTiny) denominator = kTiny;
    denominator = 1 / denominator;
    numerator = 1 + term / numerator;
    if (std::fabs(numerator) < kTiny) numerator = kTiny;
    value *= denominator * numerator;
    return std::fabs(denominator * numerator - 1);
  };
  for (int m = 1; m <= kTerms; ++m) {
    advance(m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)));
    const double change = advance(-(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)));
    if (change < std::numeric_limits<double>::epsilon()) break;
  }
  return value;
}

double log_beta(double a, double b) { return std::lgamma(a) + std::lgamma(b) - std::lgamma(a + b); }

}  // namespace

double beta_probability(double x, double a, double b) {
  CHECK(x >= 0 && x <= 1 && a > 0 && b > 0, "beta_probability: arguments out of range");
  if (x == 0 || x == 1) return x;
  const double front = std::exp(a * std::log(x) + b * std::log1p(-x) - log_beta(a, b));
  if (x < (a + 1) / (a + b + 2)) return front * continued_fraction(x, a, b) / a;
  return 1 - front * continued_fraction(1 - x, b, a) / b;
}

double beta_quantile(double p, double a, double b) {
  CHECK(p >= 0 && p <= 1 && a > 0 && b > 0, "beta_quantile: arguments out of range");
  if (p == 0 || p == 1) return p;
  // Near 1 the distance to 1 is what has digits.
  if (p > 0.5) return 1 - beta_quantile(1 - p, b, a);
  // Newton's method on p, kept inside a bracket that is halved where Newton would leave it.
  double low = 0, high = 1;
  double x = std::exp((std::log(p) + std::log(a) + log_beta(a, b)) / a);  // I_x ~ x^a/(a B)
  for (int i = 0; i < 200; ++i) {
    if (!(x > low && x < high)) x = (low + high) / 2;
    const double error = beta_probability(x, a, b) - p;
    (error < 0 ? low : high) = x;
    const double density =
        std::exp((a - 1) * std::log(x) + (b - 1) * std::log1p(-x) - log_beta(a, b));
    const double next = x - error / density;
    if (std::fabs(next - x) <= 1e-15 * x) return next;
    x = next;
  }
  return x;
}

}  // namespace ito
