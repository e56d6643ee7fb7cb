// ito likelihood --bound and --line on a network whose answers have a closed form.
#include "api/bound.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "diffusion/posterior.h"
#include "io/json.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/zero_model.h"

namespace ito::test {
namespace {

constexpr int kT = 40;

// 8x8 images of three classes; all weights are zero and with them the output, v: the exact answer
// for data that are standard normal, x̂_0 = √ᾱ x_t and ∇ ln p = -x.
void write_zero_model(const Path& folder) {
  SchedulerConfig scheduler;
  scheduler.num_train_timesteps = kT;
  scheduler.beta_start = 0.005;
  scheduler.beta_end = 0.4;
  scheduler.prediction_type = "v_prediction";
  scheduler.clip_sample = false;
  const Status status = save_model(folder, zero_model(8, scheduler));
  ASSERT_TRUE(status.ok()) << status.error().message;
}

double pixel(int image, int p) { return (p * (image % 3 + 1) * 7 + image * 5) % 256 / 127.5 - 1; }

NoiseSchedule zero_schedule() {
  SchedulerConfig config;
  config.num_train_timesteps = kT;
  config.beta_start = 0.005;
  config.beta_end = 0.4;
  return make_schedule(config, Arithmetic::kDouble).value();
}

// L_T and E Σ L_t, t >= 1, of the first `count` images of write_tiny_data, bits/dim: x_0 - x̂_0 =
// (1-ᾱ) x_0 - √(ᾱ(1-ᾱ)) ε.
struct Expected {
  double prior = 0, rate = 0;
};
Expected expected_bound(int count) {
  const NoiseSchedule schedule = zero_schedule();
  double square = 0;
  for (int i = 0; i < count; ++i)
    for (int p = 0; p < 64; ++p) square += pixel(i, p) * pixel(i, p) / (64 * count);
  Expected expected;
  const double last = schedule.alpha_bar(kT - 1);
  expected.prior = 0.5 * (last * square - last - std::log1p(-last)) * std::numbers::log2e;
  for (int t = 1; t < kT; ++t) {
    const Posterior q = posterior(schedule, t, t - 1);
    const double rest = 1 - schedule.alpha_bar(t);
    const double error = rest * rest * square + schedule.alpha_bar(t) * rest;
    expected.rate += 0.5 * q.on_x0 * q.on_x0 * error / q.variance * std::numbers::log2e;
  }
  return expected;
}

// Of the root of the mean of |x_0 - x̂_0|²/64 over the first `count` images at timestep t, on the
// scale of bytes: its standard error from the variance of both images and noise.
double expected_distortion_error(int t, int count) {
  const double kept = zero_schedule().alpha_bar(t), rest = 1 - kept;
  double sum = 0, squares = 0, noise = 0;
  for (int i = 0; i < count; ++i) {
    double square = 0;
    for (int p = 0; p < 64; ++p) square += pixel(i, p) * pixel(i, p) / 64;
    const double mean = rest * rest * square + kept * rest;
    sum += mean / count;
    squares += mean * mean / count;
    noise += (4 * rest * rest * square * kept * rest + 2 * std::pow(kept * rest, 2)) / 64 / count;
  }
  const double variance = noise + (squares - sum * sum) * count / (count - 1);
  return 127.5 * std::sqrt(variance / count) / (2 * std::sqrt(sum));
}

TEST(Bound, CommandGivesTheClosedFormSplitInThree) {
  const Scratch scratch;
  write_tiny_data(scratch / "data.npz");
  write_zero_model(scratch / "model");
  constexpr int kImages = 24;
  const Expected expected = expected_bound(kImages);
  const auto measure = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"likelihood", "--bound",
                                      "--model",    (scratch / "model").string(),
                                      "--data",     (scratch / "data.npz").string(),
                                      "--num",      std::to_string(kImages),
                                      "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run_ito(words);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return Json::parse(outcome.out);
  };
  const Json json = measure({"--batch", "10", "--picture", (scratch / "rate.png").string(),
                             "--table", (scratch / "rate.csv").string()});
  const auto mean = [](const Json& part) { return part.at("mean").get<double>(); };
  EXPECT_EQ(json.at("images"), kImages);
  EXPECT_EQ(json.at("terms"), kT);
  EXPECT_NEAR(mean(json.at("L_T")), expected.prior, 1e-5);
  const double error = json.at("L_t").at("standard_error").get<double>();
  EXPECT_GT(error, 0);
  // Images differ by more than their noise, so the noise's share is well within four of these.
  EXPECT_NEAR(mean(json.at("L_t")), expected.rate, 4 * error);
  EXPECT_LT(error, 0.1 * expected.rate);
  EXPECT_GT(mean(json.at("L_0")), 0);
  EXPECT_NEAR(mean(json.at("bound")),
              mean(json.at("L_T")) + mean(json.at("L_t")) + mean(json.at("L_0")), 1e-6);
  // Rates grow from L_T on to all but L_0, and what is sent brings the estimate nearer.
  const Json& curve = json.at("rate_distortion");
  ASSERT_EQ(curve.size(), static_cast<size_t>(kT));
  EXPECT_EQ(curve.front().at("timestep"), kT - 1);
  EXPECT_NEAR(curve.front().at("rate").get<double>(), mean(json.at("L_T")), 1e-6);
  EXPECT_NEAR(curve.back().at("rate").get<double>(), mean(json.at("L_T")) + mean(json.at("L_t")),
              1e-4);
  EXPECT_GT(curve.front().at("distortion").get<double>(),
            5 * curve.back().at("distortion").get<double>());
  // At the start only L_T has been sent, and at the end what joins it scatters with it or against.
  const auto number = [](const Json& row, const char* key) { return row.at(key).get<double>(); };
  const double prior_error = number(json.at("L_T"), "standard_error");
  EXPECT_NEAR(number(curve.front(), "rate_standard_error"), prior_error, 1e-9);
  EXPECT_NEAR(number(curve.back(), "rate_standard_error"), error, prior_error);
  for (const Json& row : curve) {
    const double closed =
        expected_distortion_error(static_cast<int>(number(row, "timestep")), kImages);
    // The variance of 24 normal values scatters by √(2/23), its root by half of that: 0.15.
    EXPECT_NEAR(number(row, "distortion_standard_error") / closed, 1, 4 * 0.15)
        << row.at("timestep");
  }
  EXPECT_TRUE(file_exists(scratch / "rate.png"));
  EXPECT_TRUE(file_exists(scratch / "rate.csv"));
  // Another batch changes nothing; a few terms keep the expectation.
  const Json whole = measure({"--batch", "24"});
  EXPECT_NEAR(mean(whole.at("bound")), mean(json.at("bound")), 1e-5);
  const Json some = measure({"--terms", "9"});
  EXPECT_EQ(some.at("rate_distortion").size(), 9u);
  EXPECT_NEAR(mean(some.at("L_t")), expected.rate,
              4 * some.at("L_t").at("standard_error").get<double>());
}

TEST(Line, CommandGivesTheDifferenceOfANormalDensity) {
  const Scratch scratch;
  write_tiny_data(scratch / "data.npz");
  write_zero_model(scratch / "model");
  // The same images in another order of classes.
  std::vector<uint8_t> pixels, labels;
  for (int i = 0; i < 48; ++i) {
    labels.push_back(static_cast<uint8_t>(i % 3));
    for (int p = 0; p < 64; ++p)
      pixels.push_back(static_cast<uint8_t>((pixel(i + 3, p) + 1) * 127.5 + 0.5));
  }
  TensorFile file;
  file.tensors.emplace("images", tensor_from_bytes({48, 8, 8}, pixels));
  file.tensors.emplace("labels", tensor_from_bytes({48}, labels));
  ASSERT_TRUE(write_npz(scratch / "other.npz", file).ok());
  const Outcome outcome = run_ito({"likelihood", "--model", (scratch / "model").string(), "--line",
                                   (scratch / "data.npz").string(),
                                   (scratch / "other.npz").string(), "--num", "4", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = Json::parse(outcome.out);
  double sum = 0, squares = 0;
  for (int i = 0; i < 4; ++i) {
    double difference = 0;
    for (int p = 0; p < 64; ++p)
      difference += (std::pow(pixel(i, p), 2) - std::pow(pixel(i + 3, p), 2)) / 2;
    EXPECT_NEAR(json.at("differences")[static_cast<size_t>(i)].get<double>(), difference, 1e-3);
    sum += difference / 4;
    squares += difference * difference / 4;
  }
  EXPECT_NEAR(json.at("difference").get<double>(), sum, 1e-3);
  EXPECT_NEAR(json.at("standard_error").get<double>(), std::sqrt((squares - sum * sum) / 3), 1e-3);
}

// One pair has no scatter and its integral draws nothing: what is said is how far the integral may
// be off.
TEST(Line, OfOnePairSaysItsIntegrationError) {
  const Scratch scratch;
  write_tiny_data(scratch / "data.npz");
  write_zero_model(scratch / "model");
  const auto line = [&](const std::vector<std::string>& more) {
    const Path data = scratch / "data.npz";
    return run_ito(
        with({"likelihood", "--model", (scratch / "model").string(), "--line", data.string(),
              data.string(), "--num", "1", "--table", (scratch / "line.csv").string()},
             more));
  };
  const Outcome said = line({});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_NE(said.out.find("no sampling error: an integral over "), std::string::npos) << said.out;
  const Outcome outcome = line({"--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = Json::parse(outcome.out);
  EXPECT_TRUE(json.at("standard_error").is_null());
  // A score that is linear along the line is integrated exactly.
  EXPECT_LT(json.at("integration_error").get<double>(), 1e-4);
  EXPECT_GE(json.at("points").get<int>(), 8);
  EXPECT_EQ(read_file(scratch / "line.csv").value().find("line,difference,integration_error,"), 0u);
}

// No scatter of one image is known, and none is said to be 0.
TEST(Bound, OfOneImageHasNoStandardError) {
  const Scratch scratch;
  write_tiny_data(scratch / "data.npz");
  write_zero_model(scratch / "model");
  const std::vector<std::string> words = {"likelihood", "--bound",
                                          "--model",    (scratch / "model").string(),
                                          "--data",     (scratch / "data.npz").string(),
                                          "--num",      "1",
                                          "--terms",    "3"};
  const Outcome outcome = run_ito(with(words, {"--json"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = Json::parse(outcome.out);
  EXPECT_TRUE(json.at("bound").at("standard_error").is_null());
  EXPECT_TRUE(json.at("rate_distortion")[0].at("distortion_standard_error").is_null());
  const Outcome said = run_ito(words);
  EXPECT_NE(said.out.find("standard error unknown"), std::string::npos) << said.out;
}

TEST(Bound, WrongUsageIsNamed) {
  struct Case {
    std::vector<std::string> arguments;
    std::string part;
  };
  for (const Case& c :
       {Case{{"--model", "m"}, "--data is missing"},
        Case{{"--model", "m", "--data", "d", "--picture", "p.png"}, "needs --bound"},
        Case{{"--model", "m", "--data", "d", "--cdf", "erf"}, "--cdf is of the bound"},
        Case{{"--model", "m", "--data", "d", "--bound", "--probe", "exact"},
             "--probe is of the flow"},
        Case{{"--model", "m", "--data", "d", "--bound", "--variance", "wide"}, "wide"},
        Case{{"--model", "m", "--data", "d", "--line", "a", "b"}, "without --data"},
        Case{{"--model", "m", "--data", "d", "--class", "1"}, "--class needs --line"}}) {
    std::vector<std::string> words = {"likelihood"};
    words.insert(words.end(), c.arguments.begin(), c.arguments.end());
    const Outcome outcome = run_ito(words);
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_NE(outcome.err.find(c.part), std::string::npos) << outcome.err;
  }
}

}  // namespace
}  // namespace ito::test
