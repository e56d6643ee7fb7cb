// `ito toy` and `ito verify` at small settings, and what of them can be known beforehand.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "io/image.h"
#include "io/json.h"
#include "io/png.h"
#include "studies/toy.h"
#include "studies/verify.h"
#include "tests/apps/run_ito.h"

namespace ito::test {
namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Pixels of a colour, not grey, in the middle of the panel whose drawing area begins at (x, y).
int coloured_pixels(const Image& image, int x, int y) {
  int count = 0;
  for (int j = y + 50; j < y + 350; ++j)
    for (int i = x + 50; i < x + 350; ++i) {
      const uint8_t* pixel = image.pixels.data() + (j * image.w + i) * image.c;
      const auto [low, high] = std::minmax({pixel[0], pixel[1], pixel[2]});
      count += high - low > 50;
    }
  return count;
}

TEST(Toy, DrawsAPictureAndMeasuresAgainstTheExactScore) {
  const Scratch scratch;
  const Path png = scratch / "gaussian.png";
  const Outcome outcome =
      run_ito({"toy", "gaussian", "--out", png.string(), "--objective", "ssm-vr", "--steps", "150",
               "--batch", "128", "--hidden", "24", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = parse_json(outcome.out, "output").value();
  const Json& metrics = json.at("metrics");
  // A network that starts near a round Gaussian's score comes closer to that of the data.
  EXPECT_LT(metrics.at("fisher_divergence").get<double>(),
            0.25 * metrics.at("fisher_of_zero_score").get<double>());
  EXPECT_EQ(metrics.at("density_method"), "line integral");
  EXPECT_EQ(read_png_settings(png).value().at("objective"), "ssm-vr");
  const Image image = read_image(png).value();
  EXPECT_GT(image.w, 1000);
  EXPECT_GT(image.h, 800);
  // Data, score, paths; samples, density, loss. The second column has colour bars.
  ASSERT_EQ(image.c, 3);
  for (const int y : {100, 602})
    for (const int x : {76, 576, 1160}) {
      const int coloured = coloured_pixels(image, x, y);
      EXPECT_GT(coloured, 100) << "panel at " << x << ", " << y;
      EXPECT_TRUE(coloured < 80'000 || (x == 576 && y == 602)) << "panel at " << x << ", " << y;
    }
}

TEST(Toy, AnEnergyWithNoiseLevelsGivesItsDensityItself) {
  const Scratch scratch;
  const Path png = scratch / "moons.png";
  const Outcome outcome =
      run_ito({"toy", "two_moons", "--out", png.string(), "--network", "energy", "--objective",
               "ncsn", "--steps", "20", "--batch", "64", "--hidden", "16", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = parse_json(outcome.out, "output").value();
  EXPECT_EQ(json.at("metrics").at("density_method"), "energy");
  EXPECT_FALSE(json.at("metrics").contains("fisher_divergence"));
}

TEST(Toy, AbsurdLearningRateIsNamedWithItsStep) {
  const Scratch scratch;
  const Path png = scratch / "absurd.png";
  const Outcome outcome =
      run_ito({"toy", "gaussian", "--out", png.string(), "--objective", "dsm", "--steps", "6",
               "--batch", "64", "--hidden", "16", "--lr", "1e30"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(says(outcome.err, "the loss is not finite at step 2;")) << outcome.err;
  EXPECT_FALSE(file_exists(png));
}

TEST(Toy, WrongNamesAreWrongUsage) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"toy", "three_moons", "--out", "a.png"}, "three_moons"},
      {{"toy", "rings", "--out", "a.png", "--objective", "guess"}, "guess"},
      {{"toy", "rings", "--out", "a.png", "--network", "tree"}, "tree"},
      {{"toy", "rings", "--out", "a.txt"}, "a.txt"},
      {{"toy", "rings", "--out", "a.png", "--steps", "0"}, "found 0"},
      {{"verify", "--chains", "10"}, "10 chains"},
      {{"verify", "--steps", "3"}, "3 steps"},
      {{"verify", "--report", "a.txt"}, "a.txt"}};
  for (const auto& [arguments, part] : cases) {
    const Outcome outcome = run_ito(arguments);
    EXPECT_EQ(outcome.code, 2) << part;
    EXPECT_TRUE(says(outcome.err, part)) << outcome.err;
  }
}

TEST(Toy, EnergyDistanceIsThatOfItsDefinition) {
  // Two points at distance 2 and two at distance 4, crossed: E|X-Y| = √5.
  const std::vector<float> x = {-1, 0, 1, 0}, y = {0, -2, 0, 2};
  EXPECT_NEAR(energy_distance(x, y), 2 * std::sqrt(5.0) - 2 - 4, 1e-12);
}

TEST(Verify, SmallSettingsAgreeWithTheory) {
  const Scratch scratch;
  const Path report = scratch / "report.html";
  const Outcome outcome = run_ito(
      {"verify", "--chains", "8192", "--steps", "60", "--json", "--report", report.string()});
  ASSERT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  const Json rows = parse_json(outcome.out, "output").value().at("rows");
  EXPECT_EQ(rows.size(), 84u);  // 4 SDEs x 3 times x 6, 3 step sizes x 2, 6 of MALA
  for (const Json& row : rows) {
    EXPECT_TRUE(row.at("passed").get<bool>()) << row.dump();
    EXPECT_GT(row.at("standard_error").get<double>(), 0) << row.dump();
  }
  EXPECT_TRUE(says(read_file(report).value(), "KFP vp, t = 0.5"));
  EXPECT_TRUE(says(read_file(report).value(), "KFP edm, t = 2.5"));
}

TEST(Verify, ARowBeyondFourStandardErrorsIsWrong) {
  VerifyRow row;
  row.z = 3.9;
  EXPECT_TRUE(row.passed());
  row.z = -4.1;
  EXPECT_FALSE(row.passed());
  row.z = std::nan("");
  EXPECT_FALSE(row.passed());
}

// The bias that the table allows for is one that vanishes: of first order in the step.
TEST(Verify, EulersBiasHalvesWithItsStep) {
  for (const Sde& sde : {Sde{.kind = Sde::Kind::kVe, .sigma_min = 0.05, .sigma_max = 5},
                         Sde{.kind = Sde::Kind::kVp}, Sde{.kind = Sde::Kind::kSubVp},
                         Sde{.kind = Sde::Kind::kEdm, .sigma_min = 0.05, .sigma_max = 5}}) {
    SCOPED_TRACE(sde_name(sde.kind));
    const double half = sde.end() / 2;
    const auto bias = [&](int steps) {
      const EulerMoments moments = euler_moments(sde, steps, steps / 2);
      const double std = sde.std(half);
      return moments.variance + moments.mean * moments.mean - std * std -
             sde.mean(half) * sde.mean(half);
    };
    EXPECT_NE(bias(1000), 0);
    EXPECT_NEAR(bias(1000) / bias(2000), 2, 0.1);
    EXPECT_NEAR(bias(10000), 0, 5e-3);
  }
}

}  // namespace
}  // namespace ito::test
