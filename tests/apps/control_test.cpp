// Steering from the command line: guidance, inpainting, colourisation and inverse problems, on tiny
// models; and what a user gets for impossible ones.
#include <cmath>
#include <cstdlib>

#include "io/image.h"
#include "io/json.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "tests/apps/run_ito.h"
#include "tests/support/folders.h"

namespace ito::test {
namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Image picture(int h, int w, int c, int phase) {
  Image image{h, w, c, {}};
  for (int i = 0; i < h * w * c; ++i)
    image.pixels.push_back(static_cast<uint8_t>((i * 37 + phase) % 256));
  return image;
}

Image mask_of(int h, int w) {
  Image mask{h, w, 1, {}};
  for (int i = 0; i < h * w; ++i) mask.pixels.push_back(i % 3 == 0 ? 255 : 0);
  return mask;
}

// The periodic convolution of an 8x8 image with the kernel along both axes.
std::vector<double> convolved(const std::vector<double>& x, const std::vector<double>& kernel) {
  const int half = static_cast<int>(kernel.size()) / 2;
  std::vector<double> y(64, 0);
  for (int i = 0; i < 64; ++i)
    for (int down = -half; down <= half; ++down)
      for (int across = -half; across <= half; ++across)
        y[static_cast<size_t>(i)] +=
            kernel[static_cast<size_t>(down + half)] * kernel[static_cast<size_t>(across + half)] *
            x[static_cast<size_t>((i / 8 + down + 8) % 8 * 8 + (i % 8 + across + 8) % 8)];
  return y;
}

class Control : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    write_tiny_data(*scratch_ / "grey.npz");
    std::vector<uint8_t> pixels;
    for (int i = 0; i < 16 * 8 * 8 * 3; ++i) pixels.push_back(static_cast<uint8_t>(i * 31 % 256));
    TensorFile file;
    file.tensors.emplace("images", tensor_from_bytes({16, 8, 8, 3}, pixels));
    ASSERT_TRUE(write_npz(*scratch_ / "rgb.npz", file).ok());
    train(tiny_training(*scratch_ / "grey.npz", grey(), 4));
    train(tiny_training(*scratch_ / "rgb.npz", rgb(), 2));
    train(with(tiny_training(*scratch_ / "grey.npz", *scratch_ / "plain", 2), {"--no-classes"}));
    train(with(tiny_training(*scratch_ / "grey.npz", noisy(), 4), {"--classifier", "--noisy"}));
    train(with(tiny_training(*scratch_ / "grey.npz", *scratch_ / "clean", 2), {"--classifier"}));
    ASSERT_TRUE(write_png(file_of("image"), picture(8, 8, 1, 5)).ok());
    ASSERT_TRUE(write_png(file_of("small"), picture(6, 6, 1, 5)).ok());
    ASSERT_TRUE(write_png(file_of("half"), picture(4, 4, 1, 5)).ok());
    ASSERT_TRUE(write_png(file_of("large"), picture(9, 9, 1, 5)).ok());
    ASSERT_TRUE(write_png(file_of("colour"), picture(8, 8, 3, 5)).ok());
    ASSERT_TRUE(write_png(file_of("mask"), mask_of(8, 8)).ok());
    ASSERT_TRUE(write_png(file_of("small_mask"), mask_of(6, 6)).ok());
    ASSERT_TRUE(write_png(file_of("grey_mask"), picture(8, 8, 1, 7)).ok());
  }
  static void TearDownTestSuite() { delete scratch_; }

  static void train(const std::vector<std::string>& arguments) {
    const Outcome outcome = run_ito(arguments);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  static Path grey() { return *scratch_ / "grey"; }
  static Path rgb() { return *scratch_ / "rgb"; }
  static Path noisy() { return *scratch_ / "noisy"; }
  static std::string file_of(const std::string& name) {
    return (*scratch_ / (name + ".png")).string();
  }

  static std::vector<std::string> sampling(const Path& model, const Path& out,
                                           const std::vector<std::string>& more,
                                           const char* steps = "4") {
    return with({"sample", "--model", model.string(), "--out", out.string(), "--num", "3",
                 "--steps", steps},
                more);
  }
  // Images [n,c,h,w] in [-1, 1].
  static std::vector<float> sample(const Path& model, const std::vector<std::string>& more,
                                   const char* steps = "4") {
    const Path out = *scratch_ / "out.safetensors";
    const Outcome outcome = run_ito(sampling(model, out, more, steps));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    if (outcome.code != 0) return {};
    return to_floats(read_safetensors(out).value().tensors.at("images"));
  }

  inline static Scratch* scratch_ = nullptr;
};

TEST_F(Control, NoisyClassifierRecordsItsScheduleAndItsAccuracies) {
  const Json config = read_json(noisy() / "config.json").value();
  EXPECT_EQ(config["_class_name"], "ItoNoisyClassifier");
  EXPECT_EQ(config["noise_schedule"]["beta_schedule"], "squaredcos_cap_v2");
  EXPECT_EQ(config["noise_schedule"]["num_train_timesteps"], 1000);
  const std::string metrics = read_file(noisy() / "metrics.jsonl").value();
  EXPECT_TRUE(says(metrics, "accuracy_at_timestep")) << metrics;
  for (const char* timestep : {"\"0\":", "\"499\":", "\"999\":"})
    EXPECT_TRUE(says(metrics, timestep)) << metrics;
}

TEST_F(Control, GuidanceChangesImagesAndScaleZeroDoesNot) {
  const std::vector<float> plain = sample(grey(), {});
  const auto guided = [&](const char* scale) {
    return sample(grey(), {"--guidance-classifier", noisy().string(), "--guidance-scale", scale});
  };
  EXPECT_EQ(guided("0"), plain);
  EXPECT_NE(guided("50"), plain);
  // A model without classes gets them from the classifier; so do the SDE samplers.
  for (const char* sampler : {"ddpm", "pc"}) {
    const auto of_class = [&](const char* label) {
      return sample(*scratch_ / "plain",
                    {"--sampler", sampler, "--class", label, "--guidance-classifier",
                     noisy().string(), "--guidance-scale", "20"},
                    "25");
    };
    EXPECT_NE(of_class("0"), of_class("1")) << sampler;
  }
}

TEST_F(Control, GuidanceWithoutAClassForNoneIsRefusedUnlessOneIsNamed) {
  const Path out = *scratch_ / "guided.png";
  const Outcome refused = run_ito(sampling(grey(), out, {"--guidance-scale", "3"}));
  EXPECT_EQ(refused.code, 1);
  EXPECT_TRUE(says(refused.err, "--null-class")) << refused.err;
  EXPECT_TRUE(says(refused.err, "--class-dropout")) << refused.err;
  EXPECT_FALSE(file_exists(out));
  EXPECT_NE(sample(grey(), {"--class", "0", "--guidance-scale", "3", "--null-class", "1"}),
            sample(grey(), {"--class", "0"}));
}

TEST_F(Control, StrengthCountsStepsOfSamplersWithTwoEvaluations) {
  const auto from = [&](const char* sampler) {
    return sample(grey(),
                  {"--sampler", sampler, "--init-image", file_of("image"), "--strength", "0.2"},
                  "10");
  };
  const std::vector<float> euler = from("euler"), heun = from("heun");
  ASSERT_EQ(euler.size(), heun.size());
  double apart = 0, size = 0;
  for (size_t i = 0; i < euler.size(); ++i) {
    apart += (euler[i] - heun[i]) * (euler[i] - heun[i]);
    size += euler[i] * euler[i];
  }
  // The same flow from the same level, in two steps.
  EXPECT_LT(std::sqrt(apart / size), 0.1);
}

TEST_F(Control, AGeneratorIsNeitherGuidedNorGivenALikelihood) {
  const std::string gan = Path(source_folder()) / "models/fashion-mnist-gan";
  const Path out = *scratch_ / "gan.png";
  const Outcome guided = run_ito(
      {"sample", "--model", gan, "--num", "1", "--out", out.string(), "--guidance-scale", "3"});
  EXPECT_EQ(guided.code, 1);
  EXPECT_TRUE(says(guided.err, "generator")) << guided.err;
  EXPECT_FALSE(file_exists(out));
  write_tiny_data(*scratch_ / "one.npz");
  for (const std::vector<std::string>& more :
       std::vector<std::vector<std::string>>{{}, {"--bound"}}) {
    const Outcome outcome =
        run_ito(with({"likelihood", "--model", gan, "--data", (*scratch_ / "one.npz").string(),
                      "--num", "1", "--resize", "32"},
                     more));
    EXPECT_EQ(outcome.code, 1);
    EXPECT_TRUE(says(outcome.err, "generator")) << outcome.err;
  }
}

TEST_F(Control, ExplodingGuidanceIsNamedWithItsStep) {
  const Path out = *scratch_ / "exploded.png";
  const Outcome outcome = run_ito(sampling(grey(), out,
                                           {"--sampler", "ddim", "--guidance-classifier",
                                            noisy().string(), "--guidance-scale", "1e30"}));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(says(outcome.err, "ddim: the sample diverged at step 1:")) << outcome.err;
  EXPECT_FALSE(file_exists(out));
}

TEST_F(Control, InpaintingKeepsObservedPixelsByteByByte) {
  const Image image = read_image(file_of("image")).value();
  for (const char* sampler : {"ddim", "ddpm", "pc", "ald"}) {
    const Path out = *scratch_ / (std::string("inpainted-") + sampler);
    const Outcome outcome = run_ito(sampling(
        grey(), out,
        {"--sampler", sampler, "--inpaint", file_of("image"), "--mask", file_of("mask")}, "25"));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    int changed = 0;
    for (const char* name : {"000000.png", "000001.png", "000002.png"}) {
      const Image found = read_image(out / name).value();
      ASSERT_EQ(found.pixels.size(), image.pixels.size());
      for (size_t i = 0; i < image.pixels.size(); ++i) {
        if (i % 3 == 0) {
          EXPECT_EQ(found.pixels[i], image.pixels[i]) << sampler << i;
        } else {
          changed += found.pixels[i] != image.pixels[i];
        }
      }
    }
    EXPECT_GT(changed, 60) << sampler;
    const Json settings = read_png_settings(out / "000000.png").value();
    EXPECT_TRUE(settings.contains("observed") && settings.contains("operator"));
    EXPECT_FALSE(says(settings.dump(), "/")) << settings;  // no paths
  }
}

// What is transparent lies on --background, and a picture stands as its EXIF says.
TEST_F(Control, TransparentPicturesLieOnTheBackground) {
  Image half{8, 8, 4, {}};  // opaque above, transparent below; the colour that hides there is 7
  for (int i = 0; i < 64; ++i)
    half.pixels.insert(half.pixels.end(), {7, 7, 7, static_cast<uint8_t>(i < 32 ? 255 : 0)});
  ASSERT_TRUE(write_png(file_of("half_clear"), half).ok());
  Image all{8, 8, 1, std::vector<uint8_t>(64, 255)};
  ASSERT_TRUE(write_png(file_of("keep_all"), all).ok());
  const std::vector<std::string> inpaint = {"--sampler",           "ddim",   "--inpaint",
                                            file_of("half_clear"), "--mask", file_of("keep_all")};
  for (const auto& [background, value] :
       {std::pair<std::string, float>{"", 1.0f}, {"black", -1.0f}, {"51", 51 / 127.5f - 1}}) {
    const Path out = *scratch_ / "clear.safetensors";
    const Outcome outcome = run_ito(sampling(
        grey(), out,
        with(inpaint, background.empty() ? std::vector<std::string>{}
                                         : std::vector<std::string>{"--background", background})));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(says(outcome.err, "--background says on what else")) << outcome.err;
    const auto x = to_floats(read_safetensors(out).value().tensors.at("images"));
    EXPECT_NEAR(x[0], 7 / 127.5f - 1, 1e-6);
    EXPECT_NEAR(x[63], value, 1e-6) << background;
  }
  // Where images begin at a picture, and what an observation is made of.
  for (const std::vector<std::string>& use :
       {std::vector<std::string>{"--sampler", "ddim", "--init-image", file_of("half_clear"),
                                 "--strength", "0.5"},
        std::vector<std::string>{"--sampler", "ddim", "--inverse", "blur:3", "--observation",
                                 file_of("half_clear")}}) {
    const auto white = sample(grey(), use);
    EXPECT_EQ(white, sample(grey(), with(use, {"--background", "white"})));
    EXPECT_NE(white, sample(grey(), with(use, {"--background", "black"})));
  }
  const Outcome wrong =
      run_ito(sampling(grey(), *scratch_ / "o.png", with(inpaint, {"--background", "mauve"})));
  EXPECT_EQ(wrong.code, 2);
  EXPECT_TRUE(says(wrong.err, "--background is \"mauve\"")) << wrong.err;
  const Outcome idle = run_ito(sampling(grey(), *scratch_ / "o.png", {"--background", "black"}));
  EXPECT_EQ(idle.code, 2);
  EXPECT_TRUE(says(idle.err, "--background needs --init-image")) << idle.err;
}

TEST_F(Control, SmallerPicturesArePaddedAndTheBorderIsKept) {
  const std::vector<float> x =
      sample(grey(), {"--inpaint", file_of("small"), "--mask", file_of("small_mask")});
  ASSERT_EQ(x.size(), 3u * 64);
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t row = i % 64 / 8, column = i % 8;
    if (row == 0 || row == 7 || column == 0 || column == 7) {
      EXPECT_EQ(x[i], -1) << i;
    }
  }
}

TEST_F(Control, ColourisationKeepsLuminance) {
  const Image grey_picture = read_image(file_of("image")).value();
  const std::vector<float> x = sample(rgb(), {"--colorize", file_of("image")});
  ASSERT_EQ(x.size(), 3u * 3 * 64);
  for (size_t n = 0; n < 3; ++n)
    for (size_t p = 0; p < 64; ++p) {
      const float* pixel = x.data() + n * 192 + p;
      EXPECT_NEAR((pixel[0] + pixel[64] + pixel[128]) / 3, grey_picture.pixels[p] / 127.5 - 1,
                  2e-6);
    }
}

// What rounding to bytes does, and not what clamping colours would.
TEST_F(Control, ColouredPngsKeepLuminance) {
  const Image grey_picture = read_image(file_of("image")).value();
  const Path out = *scratch_ / "coloured";
  const Outcome outcome = run_ito(sampling(rgb(), out, {"--colorize", file_of("image")}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  int coloured = 0;
  for (const char* name : {"000000.png", "000001.png", "000002.png"}) {
    const Image found = read_image(out / name).value();
    ASSERT_EQ(found.pixels.size(), 3u * 64);
    for (size_t p = 0; p < 64; ++p) {
      const uint8_t* pixel = found.pixels.data() + 3 * p;
      EXPECT_NEAR((pixel[0] + pixel[1] + pixel[2]) / 3.0, grey_picture.pixels[p], 0.5 + 1e-3) << p;
      coloured += pixel[0] != pixel[1];
    }
  }
  EXPECT_GT(coloured, 100);
}

TEST_F(Control, BlockMeansAreKept) {
  const Image half = read_image(file_of("half")).value();
  const std::vector<float> x =
      sample(grey(), {"--inverse", "downsample:2", "--observation", file_of("half")});
  ASSERT_EQ(x.size(), 3u * 64);
  for (size_t i = 0; i < 4; ++i)
    for (size_t j = 0; j < 4; ++j) {
      const float* block = x.data() + 16 * i + 2 * j;
      EXPECT_NEAR((block[0] + block[1] + block[8] + block[9]) / 4,
                  half.pixels[i * 4 + j] / 127.5 - 1, 2e-6);
    }
}

// Within the noise that a blur is given unless told otherwise: that of rounding to 8 bits. The
// model is untrained, so only agreement counts.
TEST_F(Control, BlurredImagesAgreeWithThePicture) {
  std::vector<double> sharp;  // of middle brightness, so that no sampler clips what it draws
  for (int i = 0; i < 64; ++i) sharp.push_back((i * 37 % 121 - 60) / 127.5);
  // exp(-d²/2D²) for D = 0.6, normalised, cut at the 3 pixels that an 8x8 image has room for.
  const double a = std::exp(-0.5 / 0.36), b = std::exp(-2 / 0.36), c = std::exp(-4.5 / 0.36);
  const double all = 1 + 2 * (a + b + c);
  const std::vector<double> box(3, 1 / 3.0),
      gaussian = {c / all, b / all, a / all, 1 / all, a / all, b / all, c / all};
  for (const auto& [name, kernel] : {std::pair{"blur:3", box}, {"gaussian:0.6", gaussian}}) {
    Image y{8, 8, 1, {}};
    for (const double value : convolved(sharp, kernel))
      y.pixels.push_back(static_cast<uint8_t>(std::lround((value + 1) * 127.5)));
    ASSERT_TRUE(write_png(file_of("blurred"), y).ok());
    const std::vector<float> x =
        sample(grey(), {"--inverse", name, "--observation", file_of("blurred")}, "200");
    ASSERT_EQ(x.size(), 3u * 64);
    const std::vector<double> found = convolved({x.begin(), x.begin() + 64}, kernel);
    double squares = 0;
    for (size_t i = 0; i < 64; ++i) squares += std::pow(found[i] - (y.pixels[i] / 127.5 - 1), 2);
    EXPECT_LT(std::sqrt(squares / 64), 3 * 0.0023) << name;
  }
}

// The more noise the picture is said to have, the less the images need to agree with it.
TEST_F(Control, ImagesAgreeWithNoisyPicturesWithinTheirNoise) {
  const Image y = read_image(file_of("image")).value();
  const auto error = [&](const char* noise_std) {
    const std::vector<float> x = sample(
        grey(),
        {"--inpaint", file_of("image"), "--mask", file_of("mask"), "--noise-std", noise_std}, "50");
    EXPECT_EQ(x.size(), 3u * 64);
    double squares = 0;
    for (size_t i = 0; i < 64; i += 3) squares += std::pow(x.at(i) - (y.pixels[i] / 127.5 - 1), 2);
    return std::sqrt(squares / 22);
  };
  const double none = error("0"), small = error("0.1"), large = error("0.5");
  EXPECT_LT(none, 1e-6);
  EXPECT_GT(small, 0.01);
  EXPECT_LT(small, 2 * 0.1);
  EXPECT_GT(large, 2 * small);
  EXPECT_LT(large, 2 * 0.5);
}

TEST_F(Control, ImpossibleWishesAreRefusedWithOneSentence) {
  struct Case {
    int code;
    Path model;
    std::vector<std::string> more;
    std::string part;
  };
  const std::string image = file_of("image"), mask = file_of("mask");
  const std::vector<Case> cases = {
      {2, grey(), {"--inpaint", image}, "--mask"},
      {2, grey(), {"--mask", mask}, "--inpaint"},
      {2, grey(), {"--inverse", "blur:3"}, "--observation"},
      {2, grey(), {"--inverse", "blur", "--observation", image}, "blur"},
      {2, grey(), {"--inverse", "fold:3", "--observation", image}, "fold:3"},
      {2, grey(), {"--inverse", "blur:2.5", "--observation", image}, "2.5"},
      {2, grey(), {"--colorize", image, "--inpaint", image, "--mask", mask}, "exclude"},
      {2, grey(), {"--noise-std", "0.1"}, "--noise-std"},
      {2, grey(), {"--inpaint", image, "--mask", mask, "--noise-std", "-1"}, "-1"},
      {2, grey(), {"--guidance-rescale", "0.5"}, "--guidance-scale"},
      {2, grey(), {"--sampler", "ode", "--inpaint", image, "--mask", mask}, "ode"},
      {1, grey(), {"--inpaint", image, "--mask", file_of("small_mask")}, "small_mask"},
      {1, grey(), {"--inpaint", image, "--mask", file_of("grey_mask")}, "expected 0"},
      {1, grey(), {"--inpaint", file_of("large"), "--mask", mask}, "at most 8x8"},
      {1, grey(), {"--inpaint", "nowhere.png", "--mask", mask}, "nowhere.png"},
      {1, grey(), {"--colorize", image}, "3 channels"},
      {1, grey(), {"--inverse", "blur:4", "--observation", image}, "odd"},
      {1, grey(), {"--inverse", "downsample:3", "--observation", image}, "does not divide"},
      {1, grey(), {"--inverse", "downsample:2", "--observation", image}, "expected 4x4"},
      {1, grey(), {"--guidance-classifier", (*scratch_ / "clean").string()}, "noise-free"},
      {1, grey(), {"--guidance-classifier", "nowhere"}, "nowhere"},
      {1, rgb(), {"--guidance-classifier", noisy().string()}, "8x8x1"},
  };
  for (const Case& c : cases) {
    const Outcome outcome = run_ito(sampling(c.model, *scratch_ / "x.png", c.more));
    EXPECT_EQ(outcome.code, c.code) << c.part << "\n" << outcome.err;
    EXPECT_TRUE(says(outcome.err, "ito: ")) << outcome.err;
    EXPECT_TRUE(says(outcome.err, c.part)) << c.part << "\n" << outcome.err;
  }
  const Outcome no_classifier =
      run_ito(with(tiny_training(*scratch_ / "grey.npz", *scratch_ / "refused", 2), {"--noisy"}));
  EXPECT_EQ(no_classifier.code, 2);
  EXPECT_TRUE(says(no_classifier.err, "--classifier")) << no_classifier.err;
}

}  // namespace
}  // namespace ito::test
