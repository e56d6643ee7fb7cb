// Predictor-corrector chains: what each product is made of, and what it refuses. Their accuracy is
// weak_order_test.cpp and sampler_law_test.cpp.
#include "diffusion/predictor_corrector.h"

#include <gtest/gtest.h>

#include "graph/builder.h"
#include "tests/diffusion/method_loop.h"

namespace ito::test {
namespace {

const GaussianMixture kGaussian{{1.0}, {{0.5}}, {{0.25}}};

std::vector<Predictor> all_predictors() {
  return {Predictor::kNone, Predictor::kEulerMaruyama, Predictor::kReverseDiffusion,
          Predictor::kReverseDiffusionOde, Predictor::kAncestral};
}
std::vector<Corrector> all_correctors() {
  return {Corrector::kNone, Corrector::kLangevin, Corrector::kAld};
}
std::vector<Sde> all_sdes() {
  return {{.kind = Sde::Kind::kVe, .sigma_min = 0.01, .sigma_max = 10},
          {.kind = Sde::Kind::kVp},
          {.kind = Sde::Kind::kSubVp},
          {.kind = Sde::Kind::kEdm, .sigma_min = 0.01, .sigma_max = 10}};
}

Result<Method> chain_for(const Sde& sde, const PredictorCorrectorOptions& options) {
  return predictor_corrector(sde, mixture_score(kGaussian, sde), options);
}

TEST(PredictorCorrector, IsAProduct) {
  for (const Sde& sde : all_sdes()) {
    for (const Predictor predictor : all_predictors()) {
      for (const Corrector corrector : all_correctors()) {
        const Result<Method> chain = chain_for(
            sde,
            {.predictor = predictor, .corrector = corrector, .steps = 30, .corrector_steps = 2});
        const bool nothing = predictor == Predictor::kNone && corrector == Corrector::kNone;
        const bool no_chain = predictor == Predictor::kAncestral && sde.kind == Sde::Kind::kSubVp;
        ASSERT_EQ(chain.ok(), !nothing && !no_chain)
            << sde_name(sde.kind) << " " << predictor_name(predictor);
        if (!chain.ok()) continue;
        const bool noise =
            predictor != Predictor::kNone && predictor != Predictor::kReverseDiffusionOde;
        EXPECT_EQ(chain->draws, (corrector == Corrector::kNone ? 0 : 2) + (noise ? 1 : 0));
        EXPECT_EQ(chain->steps, 30);
      }
    }
  }
}

TEST(PredictorCorrector, NamesGoBothWays) {
  for (const Predictor predictor : all_predictors())
    EXPECT_EQ(predictor_from_name(predictor_name(predictor)).value(), predictor);
  for (const Corrector corrector : all_correctors())
    EXPECT_EQ(corrector_from_name(corrector_name(corrector)).value(), corrector);
  EXPECT_FALSE(predictor_from_name("euler").ok());
  EXPECT_FALSE(corrector_from_name("mala").ok());
}

TEST(PredictorCorrector, BadRequestsAreNamed) {
  const auto message = [](const Sde& sde, const PredictorCorrectorOptions& options) {
    const Result<Method> chain = chain_for(sde, options);
    return chain.ok() ? std::string() : chain.error().message;
  };
  const Sde vp{.kind = Sde::Kind::kVp};
  EXPECT_NE(message(vp, {.steps = 1}).find("1 steps"), std::string::npos);
  EXPECT_NE(message(vp, {.steps = 20}).find("beta_max"), std::string::npos);
  EXPECT_NE(message(vp, {.end_time = 1}).find("end_time"), std::string::npos);
  EXPECT_NE(message(vp, {.corrector = Corrector::kAld, .snr = 0}).find("snr"), std::string::npos);
  EXPECT_NE(
      message(vp, {.corrector = Corrector::kAld, .corrector_steps = 0}).find("corrector_steps"),
      std::string::npos);
  EXPECT_NE(message({.kind = Sde::Kind::kVe, .sigma_min = -1}, {}).find("sigma_min"),
            std::string::npos);
  EXPECT_NE(
      message({.kind = Sde::Kind::kSubVp}, {.predictor = Predictor::kAncestral}).find("subvp"),
      std::string::npos);
}

TEST(PredictorCorrector, DenoisingTakesTheLastNoiseAway) {
  for (const Predictor predictor : {Predictor::kReverseDiffusion, Predictor::kNone}) {
    const Sde sde{.kind = Sde::Kind::kVe};
    const PredictorCorrectorOptions options{
        .predictor = predictor, .corrector = Corrector::kAld, .steps = 10, .corrector_steps = 1};
    const Method chain = chain_for(sde, options).value();
    const auto last_step = [&](double noise) {
      Externals externals = method_start(chain, {1, 1});
      externals["step"] = scalar_value(9);
      externals["noise." + std::to_string(chain.draws - 1)].data[0] = noise;
      replay(method_program(chain, {.shape = {1, 1}, .noise_input = true, .outputs = true}),
             externals);
      EXPECT_EQ(externals["x"].data, externals["output.mean"].data);
      return externals["x"].data[0];
    };
    EXPECT_EQ(last_step(0), last_step(3));
  }
}

// The published VP scheduler's step of length 1/N: with β = β(t), x + (β x/2 + β s)/N + √(β/N) z.
TEST(PredictorCorrector, EulerMaruyamaIsTheVpSchedulersStep) {
  const Sde sde{.kind = Sde::Kind::kVp, .beta_min = 0.1, .beta_max = 20};
  const ScoreFunction score = [](Tensor x, Tensor) { return -x; };
  constexpr int kSteps = 40;
  const Method chain = predictor_corrector(sde, score,
                                           {.predictor = Predictor::kEulerMaruyama,
                                            .steps = kSteps,
                                            .end_time = 1e-3,
                                            .denoise = false})
                           .value();
  const std::vector<double> t = chain.column("time"), on_x = chain.column("on_x"),
                            on_score = chain.column("on_score"), noise = chain.column("noise");
  ASSERT_EQ(t.size(), size_t{kSteps});
  for (size_t i = 0; i < t.size(); ++i) {
    EXPECT_NEAR(t[i], 1 + (1e-3 - 1) * static_cast<double>(i) / (kSteps - 1), 1e-12);
    const double beta = 0.1 + t[i] * 19.9;
    EXPECT_NEAR(on_x[i], 1 + beta / 2 / kSteps, 1e-12);
    EXPECT_NEAR(on_score[i], beta / kSteps, 1e-12);
    EXPECT_NEAR(noise[i], std::sqrt(beta / kSteps), 1e-12);
  }
}

// Algorithm 4's ε, with each image's own norms or with those of the batch.
TEST(LangevinCorrector, StepSizeIsTheSignalToNoiseRatio) {
  for (const NormOver over : {NormOver::kImage, NormOver::kBatch}) {
    const Sde sde{.kind = Sde::Kind::kVe};
    const ScoreFunction score = [](Tensor x, Tensor) { return -x; };
    const Method chain = predictor_corrector(sde, score,
                                             {.predictor = Predictor::kNone,
                                              .corrector = Corrector::kLangevin,
                                              .steps = 10,
                                              .snr = 0.1,
                                              .norm_over = over})
                             .value();
    Externals externals = method_start(chain, {2, 2});
    externals["x"].data = {3, 4, 0, 10};
    externals["noise.0"].data = {1, 0, 0, 3};
    replay(method_program(chain, {.shape = {2, 2}, .noise_input = true}), externals);
    const bool batch = over == NormOver::kBatch;
    const double first = 2 * std::pow(0.1 * (batch ? 2.0 / 7.5 : 1.0 / 5), 2);
    const double second = 2 * std::pow(0.1 * (batch ? 2.0 / 7.5 : 3.0 / 10), 2);
    EXPECT_NEAR(externals["x"].data[0], 3 - first * 3 + std::sqrt(2 * first), 1e-6);
    EXPECT_NEAR(externals["x"].data[1], 4 - first * 4, 1e-6);
    EXPECT_NEAR(externals["x"].data[3], 10 - second * 10 + std::sqrt(2 * second) * 3, 1e-6);
  }
}

}  // namespace
}  // namespace ito::test
