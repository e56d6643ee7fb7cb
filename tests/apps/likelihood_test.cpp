// ito likelihood and the sessions behind it, on a network whose flow has a closed form.
#include "api/likelihood.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "api/flow.h"
#include "api/log_density_lines.h"
#include "diffusion/schedule.h"
#include "io/json.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/zero_model.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

// Rows of numbers below the heading; an empty field is zero.
std::vector<std::vector<double>> read_table(const Path& path) {
  std::istringstream lines(read_file(path).value());
  std::string line, field;
  std::getline(lines, line);
  EXPECT_EQ(line, "image,label,log_density,bits_per_dim,probe_error,evaluations,rejections");
  std::vector<std::vector<double>> rows;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    rows.emplace_back();
    while (std::getline(fields, field, ','))
      rows.back().push_back(std::strtod(field.c_str(), nullptr));
  }
  return rows;
}

// zero_model's output is ε = 0, and its flow dx/dτ = -(1 - ᾱ) x / 2 has a closed form:
// z = x √(ᾱ_T / ᾱ_0). The same network on 2x2 images with weights of 0.4 of what training starts
// from: its flow is not linear.
Model random_model() {
  Model model = zero_model(2);
  model.weights = initial_parameters(model.network.set(), 3);
  for (float& weight : model.weights) weight *= 0.4f;
  return model;
}

// 6 images of 2x2 in three classes.
void write_small_data(const Path& path) {
  std::vector<uint8_t> pixels, labels;
  for (int i = 0; i < 6 * 4; ++i) pixels.push_back(static_cast<uint8_t>((i * 53 + i / 4) % 256));
  for (int i = 0; i < 6; ++i) labels.push_back(static_cast<uint8_t>(i % 3));
  TensorFile file;
  file.tensors.emplace("images", tensor_from_bytes({6, 2, 2}, pixels));
  file.tensors.emplace("labels", tensor_from_bytes({6}, labels));
  ASSERT_OK(write_npz(path, file));
}

double contraction(const Model& model) {
  const NoiseSchedule schedule = make_schedule(model.scheduler).value();
  return std::sqrt(schedule.alpha_bar(999) / schedule.alpha_bar(0));
}

// A model that is not square, and images that are not as large: padded, resized or refused.
TEST(Likelihood, ImagesOfAnotherSizeArePaddedResizedOrRefused) {
  const Scratch scratch;
  const Model model = zero_model(std::array<int, 2>{4, 8});
  ASSERT_OK(save_model(scratch / "model", model));
  const auto likelihood = [&](const Shape& shape, const std::vector<std::string>& more) {
    TensorFile file;
    std::vector<uint8_t> pixels(static_cast<size_t>(shape.numel()), 90);
    file.tensors.emplace("images", tensor_from_bytes(shape, pixels));
    file.tensors.emplace("labels", tensor_from_bytes({shape[0]}, {0, 1}));
    EXPECT_TRUE(write_npz(scratch / "data.npz", file).ok());
    return run_ito(with({"likelihood", "--model", (scratch / "model").string(), "--data",
                         (scratch / "data.npz").string(), "--num", "2", "--json"},
                        more));
  };
  for (const std::vector<std::string>& how :
       {std::vector<std::string>{"--rtol", "0.1", "--atol", "0.1"}, {"--bound", "--terms", "2"}}) {
    for (const Shape& shape : {Shape{2, 4, 8}, Shape{2, 3, 5}}) {
      const Outcome outcome = likelihood(shape, how);
      ASSERT_EQ(outcome.code, 0) << outcome.err;
      EXPECT_EQ(Json::parse(outcome.out)["dimensions"], 32);
    }
    const Outcome large = likelihood({2, 8, 8}, how);
    EXPECT_NE(large.code, 0);
    EXPECT_NE(large.err.find("8 wide and 8 high, the model's 8 and 4; --resize 8x4"),
              std::string::npos)
        << large.err;
    for (const std::vector<std::string>& fit :
         {std::vector<std::string>{"--resize", "8x4"}, {"--resize", "8x4", "--pad"}}) {
      const Outcome resized = likelihood({2, 8, 8}, with(how, fit));
      EXPECT_EQ(resized.code, 0) << resized.err;
    }
  }
}

TEST(Likelihood, CommandGivesTheClosedFormOfALinearFlow) {
  const Scratch scratch;
  write_tiny_data(scratch / "data.npz");
  const Model model = zero_model();
  ASSERT_OK(save_model(scratch / "model", model));
  const Outcome outcome =
      run_ito({"likelihood", "--model", (scratch / "model").string(), "--data",
               (scratch / "data.npz").string(), "--first", "4", "--num", "3", "--batch", "2",
               "--probes", "2", "--table", (scratch / "table.csv").string(), "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = Json::parse(outcome.out);
  EXPECT_EQ(json["images"], 3);
  EXPECT_EQ(json["dimensions"], 64);
  EXPECT_EQ(json["interrupted"], false);
  // ln p(x) = ln N(z; 0, I) + D ln(dz/dx); z is so small that only its prior's constant counts to
  // 1e-4 bits (z² < 5e-5).
  const double bits = 7 + (0.5 * std::log(2 * M_PI) - std::log(contraction(model))) / std::log(2.0);
  EXPECT_NEAR(json["bits_per_dim"].get<double>(), bits, 3e-4);
  EXPECT_EQ(json["probe_standard_error"], 0.0);  // no Jacobian to estimate
  const auto rows = read_table(scratch / "table.csv");
  ASSERT_EQ(rows.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_EQ(rows[i].size(), 7u);
    EXPECT_EQ(rows[i][0], static_cast<double>(4 + i));
    EXPECT_EQ(rows[i][1], static_cast<double>((4 + i) % 3));
    EXPECT_NEAR(rows[i][3], bits, 3e-4);
    EXPECT_NEAR(rows[i][2], -64 * std::log(2.0) * (bits - 7), 0.02);  // nats of the whole image
    EXPECT_GE(rows[i][5], 8);
  }
}

// ln p of x = b/127.5 - 1 itself: the same closed form, another volume of a byte.
TEST(Likelihood, WithoutDequantisationBytesAreWiderByTheirCount) {
  const Scratch scratch;
  write_tiny_data(scratch / "data.npz");
  const Model model = zero_model();
  ASSERT_OK(save_model(scratch / "model", model));
  const Outcome outcome =
      run_ito({"likelihood", "--model", (scratch / "model").string(), "--data",
               (scratch / "data.npz").string(), "--num", "2", "--no-dequantize", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const double bits =
      std::log2(127.5) + (0.5 * std::log(2 * M_PI) - std::log(contraction(model))) / std::log(2.0);
  EXPECT_NEAR(Json::parse(outcome.out)["bits_per_dim"].get<double>(), bits, 3e-4);
}

// Estimates with many probes lie around the exact divergence as far as they say.
TEST(Likelihood, ProbesAgreeWithTheExactDivergence) {
  const Scratch scratch;
  write_small_data(scratch / "data.npz");
  const Model model = random_model();
  ASSERT_OK(save_model(scratch / "model", model));
  const auto measure = [&](const std::vector<std::string>& more) {
    const Outcome outcome =
        run_ito(with({"likelihood", "--model", (scratch / "model").string(), "--data",
                      (scratch / "data.npz").string(), "--num", "6", "--no-dequantize", "--rtol",
                      "1e-2", "--atol", "1e-2", "--json"},
                     more));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome.code == 0 ? Json::parse(outcome.out) : Json();
  };
  const Json exact = measure({"--probe", "exact"});
  EXPECT_TRUE(exact["probe_standard_error"].is_null());  // nothing to scatter
  for (const char* probe : {"rademacher", "gaussian"}) {
    const Json found = measure({"--probe", probe, "--probes", "4"});
    const double error = found["probe_standard_error"].get<double>();
    EXPECT_GT(error, 1e-4) << probe;
    EXPECT_LT(error, 0.05) << probe;
    // The integration's tolerances come on top.
    EXPECT_NEAR(found["bits_per_dim"].get<double>(), exact["bits_per_dim"].get<double>(),
                4 * error + 5e-3)
        << probe;
    EXPECT_GT(found["standard_error"].get<double>(), 0) << probe;
  }
}

TEST(Likelihood, SummaryIsThatOfTheImages) {
  const std::vector<ImageLikelihood> images = {{.log_density = -3,
                                                .bits_per_dim = 1,
                                                .probe_error = 0.3,
                                                .evaluations = 10,
                                                .rejections = 1},
                                               {.log_density = -6,
                                                .bits_per_dim = 2,
                                                .probe_error = 0.4,
                                                .evaluations = 20,
                                                .rejections = 0},
                                               {.log_density = -12,
                                                .bits_per_dim = 4,
                                                .probe_error = 0,
                                                .evaluations = 60,
                                                .rejections = 2}};
  const LikelihoodSummary summary = summarise(images);
  EXPECT_NEAR(summary.mean, 7.0 / 3, 1e-12);
  // Deviations -4/3, -1/3 and 5/3: variance (16 + 1 + 25)/9/2 = 7/3, of the mean 7/9.
  EXPECT_NEAR(summary.standard_error, std::sqrt(7.0) / 3, 1e-12);
  EXPECT_NEAR(summary.probe_standard_error, 0.5 / 3, 1e-12);
  EXPECT_NEAR(summary.log_density, -7, 1e-12);
  EXPECT_NEAR(summary.evaluations, 30, 1e-12);
  EXPECT_NEAR(summary.rejections, 1, 1e-12);
  EXPECT_EQ(summarise(std::span(images).first(1)).standard_error, 0);
  EXPECT_EQ(summarise(std::vector<ImageLikelihood>()).mean, 0);
}

class FlowOnDevice : public VulkanTest {};

// The first probe is the same with one probe as with two, and the standard error of two numbers is
// the distance of either from their mean.
TEST_F(FlowOnDevice, ProbeErrorIsTheStandardErrorOverProbes) {
  const Model model = random_model();
  ASSERT_OK_AND_ASSIGN(const ModelFlow flow, model_flow(model));
  ImageDataset data;
  data.count = 2;
  data.h = data.w = 2;
  data.c = 1;
  for (int i = 0; i < 8; ++i) data.pixels.push_back(static_cast<uint8_t>(i * 53 % 256));
  data.labels = std::vector<int32_t>{0, 2};
  const auto measure = [&](int probes) -> Result<std::vector<ImageLikelihood>> {
    LikelihoodSettings settings;
    settings.likelihood.probes = probes;
    settings.ode = {.rtol = 1e-4, .atol = 1e-4};
    settings.batch = 2;
    ITO_ASSIGN(auto session, LikelihoodMeter::create(device(), flow, settings));
    return session->measure(data, std::vector<int64_t>{0, 1});
  };
  ASSERT_OK_AND_ASSIGN(const auto one, measure(1));
  ASSERT_OK_AND_ASSIGN(const auto two, measure(2));
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(one[i].probe_error, 0);
    EXPECT_GT(two[i].probe_error, 1e-2);
    EXPECT_NEAR(two[i].probe_error, std::fabs(two[i].bits_per_dim - one[i].bits_per_dim), 1e-3);
  }
}

TEST_F(FlowOnDevice, EncodesByTheClosedFormAndDecodesBack) {
  const Model model = zero_model();
  ASSERT_OK_AND_ASSIGN(const ModelFlow flow, model_flow(model));
  ASSERT_OK_AND_ASSIGN(auto session, FlowCoder::create(device(), flow, {.ode = {}, .batch = 2}));
  std::vector<float> image;
  for (int i = 0; i < 64; ++i) image.push_back(static_cast<float>(std::sin(i)));
  const std::vector<uint32_t> label = {2};
  ASSERT_OK_AND_ASSIGN(const std::vector<float> z, session->encode(image, label));
  ASSERT_OK_AND_ASSIGN(const std::vector<float> back, session->decode(z, label));
  ASSERT_EQ(back.size(), 64u);
  for (size_t i = 0; i < 64; ++i) {
    // Steps of 1e-5 beside values of 6e-3, magnified again on the way back.
    EXPECT_NEAR(z[i], image[i] * contraction(model), 5e-5);
    EXPECT_NEAR(back[i], image[i], 5e-3);
  }
  EXPECT_FALSE(session->encode(image).ok());  // no label
  EXPECT_FALSE(session->encode(image, std::vector<uint32_t>{3}).ok());
  EXPECT_FALSE(session->encode(std::vector<float>(63), label).ok());
}

// Zero as v is ε = √(1-ᾱ) x: the score of a standard normal at every time.
TEST_F(FlowOnDevice, LogDensityDifferencesOfAGaussian) {
  Model model = zero_model();
  model.scheduler.prediction_type = "v_prediction";
  ASSERT_OK_AND_ASSIGN(const ModelFlow flow, model_flow(model));
  ImagePairs pairs{.from = {}, .to = {}, .labels = {0, 2}, .count = 2};
  std::vector<double> expected(2, 0);
  for (int i = 0; i < 128; ++i) {
    pairs.from.push_back(static_cast<float>(std::sin(i)));
    pairs.to.push_back(static_cast<float>(std::cos(1.7 * i) * (i < 64 ? 0.2 : 1.1)));
    const double a = pairs.from.back(), b = pairs.to.back();
    expected[static_cast<size_t>(i / 64)] += (a * a - b * b) / 2;
  }
  ASSERT_OK_AND_ASSIGN(const std::vector<LogDensityDifference> found,
                       log_density_differences(device(), flow, pairs, flow.flow.start));
  ASSERT_EQ(found.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_NEAR(found[i].value, expected[i], 1e-4);
    // A score that is linear along the line is integrated exactly: what is left is rounding.
    EXPECT_LT(found[i].integration_error, 1e-4);
    EXPECT_EQ((found[i].points - 4) % 6, 0u);
  }
  EXPECT_FALSE(log_density_differences(device(), flow, pairs, 1e9).ok());
  pairs.to.clear();
  EXPECT_FALSE(log_density_differences(device(), flow, pairs, flow.flow.start).ok());
}

TEST(Likelihood, WrongUsageIsNamed) {
  struct Case {
    std::vector<std::string> arguments;
    int code;
    std::string part;
  };
  const std::vector<std::string> base = {"likelihood", "--model", "nowhere", "--data", "d"};
  for (const Case& c : {Case{{"likelihood", "--data", "d"}, 2, "--model"},
                        Case{with(base, {"--probe", "sobol"}), 2, "sobol"},
                        Case{with(base, {"--probes", "0"}), 2, "--probes"},
                        Case{with(base, {"--rtol", "1e-9"}), 2, "rtol is 1e-09"},
                        Case{with(base, {"--num", "0"}), 2, "found 0"}, Case{base, 1, "nowhere"}}) {
    const Outcome outcome = run_ito(c.arguments);
    EXPECT_EQ(outcome.code, c.code) << outcome.err;
    EXPECT_NE(outcome.err.find(c.part), std::string::npos) << outcome.err;
  }
}

}  // namespace
}  // namespace ito::test
