// Measurements against plain loops and the identities that define them.
#include "diffusion/measurement.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "diffusion/constraint.h"
#include "graph/builder.h"
#include "graph/interpret.h"

namespace ito::test {
namespace {

constexpr int64_t kH = 6, kW = 8, kC = 3;
const Shape kImage{kH, kW, kC};

std::vector<double> ramp(int64_t count, double frequency) {
  std::vector<double> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(std::sin(frequency * static_cast<double>(i)) + 0.01 * static_cast<double>(i));
  return values;
}

Shape with_axis(const Shape& shape) { return {1, shape[0], shape[1], shape[2]}; }

std::vector<double> run(Tensor (Measurement::*function)(Tensor) const, const Measurement& m,
                        const Shape& shape, const std::vector<double>& values) {
  Graph graph;
  const Tensor y = (m.*function)(input(graph, "x", with_axis(shape)));
  const auto results = interpret({y}, {{"x", {with_axis(shape), values}}});
  EXPECT_TRUE(results.ok());
  return (*results)[0].data;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  EXPECT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

void expect_near(const std::vector<double>& a, const std::vector<double>& b, double limit) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], limit) << i;
}

std::vector<float> checkers(int64_t count) {
  std::vector<float> mask;
  for (int64_t i = 0; i < count; ++i) mask.push_back(i % 3 == 0 ? 1.0f : 0.0f);
  return mask;
}

std::vector<Measurement> all() {
  return {Measurement::mask(kImage, checkers(kH * kW)).value(),
          Measurement::mask(kImage, checkers(kH * kW * kC)).value(),
          Measurement::luminance(kImage).value(),
          Measurement::downsample(kImage, 2).value(),
          Measurement::blur(kImage, box_kernel(3)).value(),
          Measurement::blur(kImage, gaussian_kernel(0.7, kH)).value(),
          Measurement::blur(kImage, {-0.25, 1.5, -0.25}).value()};
}

// An identity of matrices that are float64 products of tables in float64.
constexpr double kRounding = 1e-10;

TEST(Measurement, TransformsAreOrthogonal) {
  const std::vector<double> x = ramp(kImage.numel(), 0.7);
  for (const Measurement& m : all()) {
    const std::vector<double> c = run(&Measurement::analyse, m, kImage, x);
    EXPECT_NEAR(dot(c, c), dot(x, x), kRounding * dot(x, x));
    expect_near(run(&Measurement::synthesise, m, kImage, c), x, kRounding);
  }
}

TEST(Measurement, AdjointIsTheTranspose) {
  const std::vector<double> x = ramp(kImage.numel(), 0.7);
  for (const Measurement& m : all()) {
    const std::vector<double> y = ramp(m.observation().numel(), 1.3);
    EXPECT_NEAR(dot(run(&Measurement::apply, m, kImage, x), y),
                dot(x, run(&Measurement::adjoint, m, m.observation(), y)), 1e-9);
  }
}

TEST(Measurement, PseudoInverseObeysMoorePenrose) {
  const std::vector<double> x = ramp(kImage.numel(), 0.7);
  for (const Measurement& m : all()) {
    const auto A = [&](const std::vector<double>& v) {
      return run(&Measurement::apply, m, kImage, v);
    };
    const auto P = [&](const std::vector<double>& v) {
      return run(&Measurement::synthesise, m, kImage,
                 run(&Measurement::observed_coefficients, m, m.observation(), v));
    };
    const std::vector<double> y = A(x);
    expect_near(A(P(y)), y, 1e-9);        // A A⁺ A = A
    expect_near(P(A(P(y))), P(y), 1e-9);  // A⁺ A A⁺ = A⁺
    const std::vector<double> z = ramp(kImage.numel(), 2.1);
    EXPECT_NEAR(dot(P(A(x)), z), dot(x, P(A(z))), 1e-9);  // A⁺ A is symmetric
  }
}

TEST(Measurement, MaskKeepsObservedPixelsAndDropsTheRest) {
  const Measurement m = Measurement::mask(kImage, checkers(kH * kW)).value();
  const std::vector<double> x = ramp(kImage.numel(), 0.7);
  const std::vector<double> y = run(&Measurement::apply, m, kImage, x);
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(y[i], (i / kC) % 3 == 0 ? x[i] : 0);
}

TEST(Measurement, LuminanceIsTheSumOverRootThree) {
  const Measurement m = Measurement::luminance(kImage).value();
  const std::vector<double> x = ramp(kImage.numel(), 0.7);
  const std::vector<double> y = run(&Measurement::apply, m, kImage, x);
  ASSERT_EQ(y.size(), static_cast<size_t>(kH * kW));
  for (size_t i = 0; i < y.size(); ++i)
    EXPECT_NEAR(y[i], (x[3 * i] + x[3 * i + 1] + x[3 * i + 2]) / std::sqrt(3.0), kRounding);
}

TEST(Measurement, DownsamplingIsTheMeanOfBlocks) {
  const Measurement m = Measurement::downsample(kImage, 2).value();
  const std::vector<double> x = ramp(kImage.numel(), 0.7);
  const std::vector<double> y = run(&Measurement::apply, m, kImage, x);
  const auto at = [&](int64_t i, int64_t j, int64_t k) {
    return x[static_cast<size_t>((i * kW + j) * kC + k)];
  };
  for (int64_t i = 0; i < kH / 2; ++i)
    for (int64_t j = 0; j < kW / 2; ++j)
      for (int64_t k = 0; k < kC; ++k)
        EXPECT_NEAR(y[static_cast<size_t>((i * kW / 2 + j) * kC + k)],
                    (at(2 * i, 2 * j, k) + at(2 * i, 2 * j + 1, k) + at(2 * i + 1, 2 * j, k) +
                     at(2 * i + 1, 2 * j + 1, k)) /
                        4,
                    kRounding);
}

TEST(Measurement, BlurIsThePeriodicConvolution) {
  const std::vector<double> kernel = {0.1, 0.3, 0.5, 0.3, 0.1};
  const Measurement m = Measurement::blur(kImage, kernel).value();
  const std::vector<double> x = ramp(kImage.numel(), 0.7);
  const std::vector<double> y = run(&Measurement::apply, m, kImage, x);
  for (int64_t i = 0; i < kH; ++i)
    for (int64_t j = 0; j < kW; ++j)
      for (int64_t k = 0; k < kC; ++k) {
        double sum = 0;
        for (int64_t di = -2; di <= 2; ++di)
          for (int64_t dj = -2; dj <= 2; ++dj)
            sum +=
                kernel[static_cast<size_t>(di + 2)] * kernel[static_cast<size_t>(dj + 2)] *
                x[static_cast<size_t>((((i + di + kH) % kH) * kW + (j + dj + kW) % kW) * kC + k)];
        EXPECT_NEAR(y[static_cast<size_t>((i * kW + j) * kC + k)], sum, kRounding);
      }
}

TEST(Measurement, ImpossibleOnesAreRefusedByName) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  struct Case {
    Result<Measurement> result;
    const char* part;
  };
  std::vector<float> half(kH * kW, 1.0f), holes(kH * kW, 1.0f);
  half[5] = 0.5f;
  holes[7] = nan;
  const std::vector<Case> cases = {
      {Measurement::mask(kImage, std::vector<float>(7, 1.0f)), "7 numbers, expected 48"},
      {Measurement::mask(kImage, half), "0.5 at number 5"},
      {Measurement::mask(kImage, holes), "nan at number 7"},
      {Measurement::mask(kImage, std::vector<float>(kH * kW, nan)), "nan"},
      {Measurement::mask(kImage, std::vector<float>(kH * kW, 0.0f)), "observes no pixel"},
      {Measurement::luminance({4, 4, 1}), "3 channels, found 1"},
      {Measurement::downsample(kImage, 1), "1, expected 2"},
      {Measurement::downsample(kImage, 4), "4 does not divide 6x8"},
      {Measurement::blur(kImage, {0.5, 0.5}), "odd"},
      {Measurement::blur(kImage, box_kernel(7)), "7 numbers"},
      {Measurement::blur(kImage, {-0.5, 1, -0.5}), "sums to 0"},
      {Measurement::blur(kImage, {0, 0, 0}), "sums to 0"},
      {Measurement::blur(kImage, {0.1, 1, 0.2}), "not symmetric"},
      {Measurement::blur(kImage, {nan, 1, nan}), "nan"},
  };
  for (const Case& c : cases) {
    ASSERT_FALSE(c.result.ok()) << c.part;
    EXPECT_NE(c.result.error().message.find(c.part), std::string::npos) << c.result.error().message;
  }
  const Measurement mask = Measurement::mask(kImage, checkers(kH * kW)).value();
  for (double noise : {-0.1, static_cast<double>(nan), std::numeric_limits<double>::infinity()})
    EXPECT_FALSE(observed_std(mask, noise).ok()) << noise;
}

}  // namespace
}  // namespace ito::test
