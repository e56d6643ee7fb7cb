#include "diffusion/sde.h"

#include <cmath>

#include "base/check.h"
#include "base/error.h"
#include "graph/builder.h"

namespace ito {
namespace {

double exponential(double x) { return std::exp(x); }
Tensor exponential(Tensor x) { return exp(x); }
double root(double x) { return std::sqrt(x); }
Tensor root(Tensor x) { return sqrt(x); }
double logarithm(double x) { return std::log(x); }
Tensor logarithm(Tensor x) { return log(x); }
double zero_like(double) { return 0; }
Tensor zero_like(Tensor t) { return full(t.graph(), t.shape(), 0); }
// 1 - e^{-y} for y >= 0 without cancellation near 0.
double one_minus_exp_minus(double y) { return -std::expm1(-y); }
Tensor one_minus_exp_minus(Tensor y) {
  const Tensor h = tanh(y * 0.5);
  return 2.0 * h / (h + 1.0);
}

// ln(1 + y) for y >= 0, as 2 artanh(y/(2 + y)) where 1 + y would lose digits.
double log_one_plus(double y) { return std::log1p(y); }
Tensor log_one_plus(Tensor y) {
  const Tensor z = y / (y + 2.0), z2 = square(z);
  const Tensor series = 2.0 * z * (((z2 * (1.0 / 7) + 1.0 / 5) * z2 + 1.0 / 3) * z2 + 1.0);
  return select(less(z, full(z.graph(), z.shape(), 0.15)), series, log(y + 1.0));
}

// T is double or Tensor.
template <typename T>
T beta(const Sde& sde, T t) {
  return t * (sde.beta_max - sde.beta_min) + sde.beta_min;
}
// ∫_0^t β.
template <typename T>
T beta_integral(const Sde& sde, T t) {
  return t * (t * (0.5 * (sde.beta_max - sde.beta_min)) + sde.beta_min);
}

template <typename T>
T ve_sigma(const Sde& sde, T t) {
  return exponential(t * std::log(sde.sigma_max / sde.sigma_min)) * sde.sigma_min;
}

template <typename T>
T drift_of(const Sde& sde, T t) {
  switch (sde.kind) {
    case Sde::Kind::kVe:
    case Sde::Kind::kEdm:
      return zero_like(t);
    case Sde::Kind::kVp:
    case Sde::Kind::kSubVp:
      return beta(sde, t) * -0.5;
  }
  CHECK(false, "unknown SDE");
}

template <typename T>
T diffusion_of(const Sde& sde, T t) {
  switch (sde.kind) {
    case Sde::Kind::kVe:
      return ve_sigma(sde, t) * std::sqrt(2 * std::log(sde.sigma_max / sde.sigma_min));
    case Sde::Kind::kVp:
      return root(beta(sde, t));
    case Sde::Kind::kSubVp:
      return root(beta(sde, t) * one_minus_exp_minus(beta_integral(sde, t) * 2.0));
    case Sde::Kind::kEdm:
      return root(t * 2.0);
  }
  CHECK(false, "unknown SDE");
}

template <typename T>
T mean_of(const Sde& sde, T t) {
  switch (sde.kind) {
    case Sde::Kind::kVe:
    case Sde::Kind::kEdm:
      return zero_like(t) + 1.0;
    case Sde::Kind::kVp:
    case Sde::Kind::kSubVp:
      return exponential(beta_integral(sde, t) * -0.5);
  }
  CHECK(false, "unknown SDE");
}

template <typename T>
T std_of(const Sde& sde, T t) {
  switch (sde.kind) {
    case Sde::Kind::kVe:
      return ve_sigma(sde, t);
    case Sde::Kind::kVp:
      return root(one_minus_exp_minus(beta_integral(sde, t)));
    case Sde::Kind::kSubVp:
      return one_minus_exp_minus(beta_integral(sde, t));
    case Sde::Kind::kEdm:
      return t;
  }
  CHECK(false, "unknown SDE");
}

// Where ∫_0^t β = b: the positive root, in the form that does not cancel.
template <typename T>
T time_of_integral(const Sde& sde, T b) {
  const double slope = sde.beta_max - sde.beta_min, first = sde.beta_min;
  return b * 2.0 / (root(b * (2 * slope) + first * first) + first);
}

template <typename T>
T time_of_sigma(const Sde& sde, T sigma) {
  switch (sde.kind) {
    case Sde::Kind::kVe:
      return logarithm(sigma * (1 / sde.sigma_min)) * (1 / std::log(sde.sigma_max / sde.sigma_min));
    case Sde::Kind::kVp:  // σ² = e^b - 1
      return time_of_integral(sde, log_one_plus(sigma * sigma));
    case Sde::Kind::kSubVp: {  // σ = e^{b/2} - e^{-b/2}, so b = 2 arsinh(σ/2)
      const T half = sigma * 0.5;
      const T b = log_one_plus(half + half * half / (root(half * half + 1.0) + 1.0)) * 2.0;
      return time_of_integral(sde, b);
    }
    case Sde::Kind::kEdm:
      return sigma;
  }
  CHECK(false, "unknown SDE");
}

// Z(t) with dZ/dt = g²/std².
double importance_integral_of(const Sde& sde, double t) {
  switch (sde.kind) {
    case Sde::Kind::kVe:
      return 2 * std::log(sde.sigma_max / sde.sigma_min) * t;
    case Sde::Kind::kEdm:
      return 2 * std::log(t);
    case Sde::Kind::kVp:  // β/(1-e^{-B}) = d/dt ln(e^B - 1)
      return std::log(std::expm1(beta_integral(sde, t)));
    case Sde::Kind::kSubVp:  // β (1-e^{-2B})/(1-e^{-B})² = β coth(B/2) = d/dt 2 ln sinh(B/2)
      return 2 * std::log(std::sinh(0.5 * beta_integral(sde, t)));
  }
  CHECK(false, "unknown SDE");
}

Tensor importance_time_of(const Sde& sde, Tensor z) {
  switch (sde.kind) {
    case Sde::Kind::kVe:
      return z / (2 * std::log(sde.sigma_max / sde.sigma_min));
    case Sde::Kind::kEdm:
      return exp(z * 0.5);
    case Sde::Kind::kVp:
      return time_of_integral(sde, softplus(z));
    case Sde::Kind::kSubVp: {
      // 2 asinh(e^{z/2}); for z > 0 written with e^{-z}, which cannot overflow.
      const Tensor y = exp(minimum(z, full(z.graph(), {}, 0)) * 0.5);
      const Tensor small = log(y + sqrt(square(y) + 1.0)) * 2.0;
      const Tensor q = exp(maximum(z, full(z.graph(), {}, 0)) * -1.0);
      const Tensor large = z + 2.0 * log(sqrt(q + 1.0) + 1.0);
      return time_of_integral(sde, select(less(z, full(z.graph(), {}, 0)), small, large));
    }
  }
  CHECK(false, "unknown SDE");
}

}  // namespace

double Sde::end() const { return kind == Kind::kEdm ? sigma_max : 1; }

double Sde::start() const {
  switch (kind) {
    case Kind::kVe:
      return 1e-5;
    case Kind::kVp:
    case Kind::kSubVp:
      return 1e-3;
    case Kind::kEdm:
      return sigma_min;
  }
  CHECK(false, "unknown SDE");
}

double Sde::drift(double t) const { return drift_of(*this, t); }
double Sde::diffusion(double t) const { return diffusion_of(*this, t); }
double Sde::mean(double t) const { return mean_of(*this, t); }
double Sde::std(double t) const { return std_of(*this, t); }
double Sde::time_of(double sigma) const { return time_of_sigma(*this, sigma); }

Tensor Sde::drift(Tensor t) const { return drift_of(*this, t); }
Tensor Sde::diffusion(Tensor t) const { return diffusion_of(*this, t); }
Tensor Sde::mean(Tensor t) const { return mean_of(*this, t); }
Tensor Sde::std(Tensor t) const { return std_of(*this, t); }
Tensor Sde::time_of(Tensor sigma) const { return time_of_sigma(*this, sigma); }

double Sde::importance_integral(double t) const { return importance_integral_of(*this, t); }
Tensor Sde::importance_time(Tensor z) const { return importance_time_of(*this, z); }

bool Sde::keeps_images() const { return kind == Kind::kVe || kind == Kind::kEdm; }
bool Sde::time_is_std() const { return kind == Kind::kEdm; }
double Sde::prior_std() const { return keeps_images() ? sigma_max : 1; }

std::string sde_name(Sde::Kind kind) {
  switch (kind) {
    case Sde::Kind::kVe:
      return "ve";
    case Sde::Kind::kVp:
      return "vp";
    case Sde::Kind::kSubVp:
      return "subvp";
    case Sde::Kind::kEdm:
      return "edm";
  }
  CHECK(false, "unknown SDE");
}

Status check_sde(const Sde& sde) {
  if (sde.keeps_images()) {
    if (!(sde.sigma_min > 0) || !std::isfinite(sde.sigma_max))
      return invalid_argument("sigma_min is {} and sigma_max {}, expected positive finite numbers",
                              sde.sigma_min, sde.sigma_max);
    if (!(sde.sigma_min < sde.sigma_max))
      return invalid_argument("sigma_min is {}, expected less than sigma_max, which is {}",
                              sde.sigma_min, sde.sigma_max);
    return {};
  }
  if (!(sde.beta_min >= 0) || !(sde.beta_max > 0) || !std::isfinite(sde.beta_max))
    return invalid_argument("beta_min is {} and beta_max {}, expected 0 <= beta_min, 0 < beta_max",
                            sde.beta_min, sde.beta_max);
  if (sde.beta_min > sde.beta_max)
    return invalid_argument("beta_min is {}, expected at most beta_max, which is {}", sde.beta_min,
                            sde.beta_max);
  return {};
}

}  // namespace ito
