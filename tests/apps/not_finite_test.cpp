// Values that are no numbers: the program names the step, ends with 1 and writes no file.
#include "io/image.h"
#include "io/png.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"

namespace ito::test {
namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class SpoiltModel : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    write_tiny_model(model());
    spoil_model(model());
    const Image picture{8, 8, 1, std::vector<uint8_t>(64, 100)};
    ASSERT_TRUE(write_png(*scratch_ / "picture.png", picture).ok());
  }
  static void TearDownTestSuite() { delete scratch_; }

  static Path model() { return *scratch_ / "model"; }
  static void expect_refusal(std::vector<std::string> arguments, const std::string& part) {
    const Path out = *scratch_ / "out.png";
    const Outcome outcome =
        run_ito(with(std::move(arguments), {"--model", model().string(), "--out", out.string()}));
    EXPECT_EQ(outcome.code, 1) << part;
    EXPECT_TRUE(says(outcome.err, part)) << outcome.err;
    EXPECT_FALSE(file_exists(out)) << part;
  }

  inline static Scratch* scratch_ = nullptr;
};

// One step: nothing but the look after the last one can see it.
TEST_F(SpoiltModel, SamplersNameTheStep) {
  const std::string first = "the model's output is not finite at step 1";
  const auto sample = [](const std::string& sampler, const std::string& steps) {
    return std::vector<std::string>{"sample", "--num", "2", "--sampler", sampler, "--steps", steps};
  };
  expect_refusal(sample("ddpm", "1"), "ddpm: " + first);
  expect_refusal(sample("ddim", "3"), "ddim: " + first);
  expect_refusal(sample("pc", "25"), first);
  expect_refusal({"sample", "--num", "2", "--sampler", "ode"}, "is not finite, at time");
}

TEST_F(SpoiltModel, InterpolationNamesTheStep) {
  const auto interpolate = [](const std::string& method) {
    const std::string picture = (*scratch_ / "picture.png").string();
    return std::vector<std::string>{"interpolate", "--method", method,     "--a", picture,
                                    "--b",         picture,    "--points", "2"};
  };
  const std::string first = "the model's output is not finite at step 1";
  expect_refusal(with(interpolate("latent"), {"--steps", "3"}), "ddim-inverse: " + first);
  expect_refusal(with(interpolate("noise"), {"--steps", "2"}), "ddpm: " + first);
  expect_refusal(interpolate("flow"), "is not finite, at time");
}

}  // namespace
}  // namespace ito::test
