// The library's GLSL is also C++ once a few names exist, so its accuracy is measured here without a
// device, in the same float arithmetic.
#include "graph/kernels/glsl_lib.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "graph/op.h"

namespace ito {
namespace glsl {

#define precise
using uint = uint32_t;
float abs(float x) { return std::fabs(x); }
float floor(float x) { return std::floor(x); }
float exp(float x) { return std::exp(x); }
float min(float a, float b) { return a < b ? a : b; }
uint max(uint a, uint b) { return a < b ? b : a; }
uint min(uint a, uint b) { return a < b ? a : b; }
int max(int a, int b) { return a < b ? b : a; }
int min(int a, int b) { return a < b ? a : b; }
float clamp(float x, float low, float high) { return x < low ? low : x > high ? high : x; }
float uintBitsToFloat(uint x) { return std::bit_cast<float>(x); }
uint floatBitsToUint(float x) { return std::bit_cast<uint>(x); }
void umulExtended(uint a, uint b, uint& high, uint& low) {
  uint64_t product = uint64_t{a} * b;
  high = static_cast<uint>(product >> 32);
  low = static_cast<uint>(product);
}

#include "shaders/lib/ito_and.glsl"
#include "shaders/lib/ito_cos.glsl"
#include "shaders/lib/ito_erf.glsl"
#include "shaders/lib/ito_max.glsl"
#include "shaders/lib/ito_min.glsl"
#include "shaders/lib/ito_or.glsl"
#include "shaders/lib/ito_philox.glsl"
#include "shaders/lib/ito_pow.glsl"
#include "shaders/lib/ito_rem.glsl"
#include "shaders/lib/ito_sigmoid.glsl"
#include "shaders/lib/ito_sin.glsl"
#include "shaders/lib/ito_tanh.glsl"
#include "shaders/lib/ito_xor.glsl"
#undef precise

}  // namespace glsl

namespace {

// Largest error of fn against the double function over [low, high].
template <typename Fn, typename Exact>
double worst_error(Fn fn, Exact exact, double low, double high, bool relative) {
  constexpr int kSamples = 200001;
  double worst = 0;
  for (int i = 0; i < kSamples; ++i) {
    float x = static_cast<float>(low + (high - low) * i / (kSamples - 1));
    double truth = exact(static_cast<double>(x));
    double error = std::fabs(fn(x) - truth);
    if (relative && truth != 0) error /= std::fabs(truth);
    worst = std::max(worst, error);
  }
  return worst;
}

double exact_sigmoid(double x) {
  return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
}

TEST(GlslLib, SineAndCosineKeepTheirAccuracyFarFromZero) {
  auto sine = [](double x) { return std::sin(x); };
  auto cosine = [](double x) { return std::cos(x); };
  EXPECT_LT(worst_error(glsl::ito_sin, sine, -8, 8, false), 1.5e-7);
  EXPECT_LT(worst_error(glsl::ito_sin, sine, -1e4, 1e4, false), 1.5e-7);
  EXPECT_LT(worst_error(glsl::ito_cos, cosine, -8, 8, false), 1.5e-7);
  EXPECT_LT(worst_error(glsl::ito_cos, cosine, -1e4, 1e4, false), 1.5e-7);
}

TEST(GlslLib, ErfIsWithinItsBound) {
  auto exact = [](double x) { return std::erf(x); };
  EXPECT_LT(worst_error(glsl::ito_erf, exact, -6, 6, false), 2e-7);
  EXPECT_LT(worst_error(glsl::ito_erf, exact, -1e-3, 1e-3, true), 3e-7);
}

TEST(GlslLib, TanhAndSigmoidAreRelativelyAccurate) {
  auto exact_tanh = [](double x) { return std::tanh(x); };
  EXPECT_LT(worst_error(glsl::ito_tanh, exact_tanh, -12, 12, true), 3e-7);
  EXPECT_LT(worst_error(glsl::ito_tanh, exact_tanh, -1e-3, 1e-3, true), 3e-7);
  EXPECT_LT(worst_error(glsl::ito_sigmoid, exact_sigmoid, -85, 30, true), 3e-7);
  EXPECT_EQ(glsl::ito_sigmoid(-1000.f), 0.f);
  EXPECT_EQ(glsl::ito_sigmoid(1000.f), 1.f);
  EXPECT_EQ(glsl::ito_tanh(-1000.f), -1.f);
}

TEST(GlslLib, PowIsAccurateForLargeExponentsNearOne) {
  for (float a : {0.9f, 0.99f, 0.999f, 0.9999f, 1.0001f, 1.7f, 5000.f, 3e-5f})
    for (float b : {-2.f, -0.5f, 0.001f, 0.3f, 1.f, 2.f, 3.7f, 8.f, 1000.f, 20000.f}) {
      double exact = std::pow(double{a}, double{b});
      if (exact > 3e38 || exact < 1.2e-38) continue;
      EXPECT_NEAR(glsl::ito_pow(a, b) / exact, 1, 1e-6) << a << "^" << b;
    }
  auto square_root = [](float x) { return glsl::ito_pow(x, 0.5f); };
  EXPECT_LT(worst_error(
                square_root, [](double x) { return std::sqrt(x); }, 1e-3, 100, true),
            4e-7);
}

TEST(GlslLib, PowTakesNegativeAndZeroBases) {
  EXPECT_FLOAT_EQ(glsl::ito_pow(-2.f, 3.f), -8.f);
  EXPECT_FLOAT_EQ(glsl::ito_pow(-2.f, 4.f), 16.f);
  EXPECT_FLOAT_EQ(glsl::ito_pow(-2.f, -1.f), -0.5f);
  EXPECT_TRUE(std::isnan(glsl::ito_pow(-2.f, 0.5f)));
  EXPECT_EQ(glsl::ito_pow(0.f, 2.f), 0.f);
  EXPECT_EQ(glsl::ito_pow(0.f, 0.f), 1.f);
  EXPECT_EQ(glsl::ito_pow(0.f, -1.f), std::numeric_limits<float>::infinity());
  EXPECT_EQ(glsl::ito_pow(10.f, 50.f), std::numeric_limits<float>::infinity());
  EXPECT_EQ(glsl::ito_pow(10.f, -60.f), 0.f);
}

TEST(GlslLib, RemainderRoundsDownForFloatsAndTowardsZeroForIntegers) {
  EXPECT_EQ(glsl::ito_rem(-1.f, 4.f), 3.f);
  EXPECT_EQ(glsl::ito_rem(-7, 4), -3);
  EXPECT_EQ(glsl::ito_rem(7u, 4u), 3u);
}

TEST(GlslLib, PhiloxGivesThePublishedKnownAnswers) {
  const uint32_t zeros[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  const uint32_t ones[] = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
  const uint32_t pi[] = {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
  for (uint32_t lane = 0; lane < 4; ++lane) {
    EXPECT_EQ(glsl::ito_philox(0, 0, 0, 0, 0, 0, lane), zeros[lane]);
    EXPECT_EQ(glsl::ito_philox(~0u, ~0u, ~0u, ~0u, ~0u, ~0u, lane), ones[lane]);
    EXPECT_EQ(glsl::ito_philox(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822,
                               0x299f31d0, lane),
              pi[lane]);
  }
}

TEST(GlslLib, EveryFunctionThatARowNamesIsThere) {
  for (const OpDef& def : op_table()) {
    std::string text(def.glsl);
    for (size_t at = text.find("ito_"); at != std::string::npos; at = text.find("ito_", at + 1)) {
      std::string name = text.substr(at, text.find('(', at) - at);
      EXPECT_NE(glsl_helper(name).find(" " + name + "("), std::string_view::npos) << name;
    }
  }
}

}  // namespace
}  // namespace ito
