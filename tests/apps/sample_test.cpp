// Plain `ito sample`: which class a seed gets, and what a picture says of itself.
#include "api/model.h"
#include "api/sample_identity.h"
#include "io/image.h"
#include "io/json.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"

namespace ito::test {
namespace {

class Sample : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    write_tiny_model(model());
  }
  static void TearDownTestSuite() { delete scratch_; }

  // Draws seeds 4 and 5 of the model with three classes into a folder; false if that failed.
  static void sample(const std::string& name, const std::vector<std::string>& more = {}) {
    const Outcome outcome =
        run_ito(with({"sample", "--model", model().string(), "--sampler", "ddim", "--steps", "3",
                      "--seeds", "4-5", "--out", (*scratch_ / name).string()},
                     more));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  static Path path(const std::string& name, int seed) {
    return *scratch_ / name / ("00000" + std::to_string(seed) + ".png");
  }
  static Image image(const std::string& name, int seed) {
    auto image = read_image(path(name, seed));
    EXPECT_TRUE(image.ok()) << image.error().message;
    return image.ok() ? *image : Image{};
  }
  static Path model() { return *scratch_ / "model"; }

  inline static Scratch* scratch_ = nullptr;
};

TEST_F(Sample, TheClassIsTheSeedModuloTheirNumberUnlessAskedFor) {
  ASSERT_NO_FATAL_FAILURE(sample("one", {"--class", "1"}));
  ASSERT_NO_FATAL_FAILURE(sample("two", {"--class", "2"}));
  ASSERT_NO_FATAL_FAILURE(sample("default"));
  ASSERT_NO_FATAL_FAILURE(sample("list", {"--class", "2,1"}));  // in the order of the seeds
  EXPECT_NE(image("one", 4), image("two", 4));
  EXPECT_NE(image("one", 5), image("two", 5));
  EXPECT_EQ(image("default", 4), image("one", 4));  // 4 mod 3
  EXPECT_EQ(image("default", 5), image("two", 5));  // 5 mod 3
  EXPECT_EQ(image("list", 4), image("two", 4));
  EXPECT_EQ(image("list", 5), image("one", 5));

  // The files say how each image was made.
  const auto settings = read_png_settings(path("default", 5));
  ASSERT_TRUE(settings.ok()) << settings.error().message;
  EXPECT_EQ(settings->at("sampler"), "ddim");
  EXPECT_EQ(settings->at("steps"), 3);
  EXPECT_EQ(settings->at("eta"), 0);
  EXPECT_EQ(settings->at("seed"), 5);
  EXPECT_EQ(settings->at("class"), 2);
  EXPECT_EQ(settings->at("model"), model_key(load_model(model()).value()));
  EXPECT_EQ(settings->at("prediction_type"), "epsilon");
  EXPECT_EQ(read_png_settings(path("one", 5)).value().at("class"), 1);
  const Outcome shown = run_ito({"inspect", path("default", 5).string()});
  ASSERT_EQ(shown.code, 0) << shown.err;
  EXPECT_EQ(parse_json(shown.out, "inspect").value(), *settings);
}

// A grid and an array hold the same seeds and classes.
TEST_F(Sample, GridsAndArraysKnowTheirSeedsAndClasses) {
  for (const char* name : {"grid.png", "array.safetensors"}) ASSERT_NO_FATAL_FAILURE(sample(name));
  const Json settings = read_png_settings(*scratch_ / "grid.png").value();
  EXPECT_EQ(settings.at("seeds"), Json({4, 5}));
  EXPECT_EQ(settings.at("classes"), Json({1, 2}));
  EXPECT_EQ(settings.at("sampler"), "ddim");
  EXPECT_EQ(settings.at("steps"), 3);
  const TensorFile file = read_safetensors(*scratch_ / "array.safetensors").value();
  EXPECT_EQ(file.tensors.at("images").shape, (Shape{2, 1, 8, 8}));
  EXPECT_EQ(to_floats(file.tensors.at("seeds")), (std::vector<float>{4, 5}));
  EXPECT_EQ(to_floats(file.tensors.at("classes")), (std::vector<float>{1, 2}));
}

TEST_F(Sample, AClassThatTheModelDoesNotHaveIsRefused) {
  const Path out = *scratch_ / "refused.png";
  const Outcome outcome = run_ito({"sample", "--model", model().string(), "--steps", "2", "--num",
                                   "1", "--class", "3", "--out", out.string()});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("class 3 does not exist"), std::string::npos) << outcome.err;
  EXPECT_FALSE(file_exists(out));
}

}  // namespace
}  // namespace ito::test
