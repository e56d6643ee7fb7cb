// DDIM inversion from the command line: a picture becomes latents, and these the picture again.
#include <algorithm>
#include <cmath>

#include "io/image.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"

namespace ito::test {
namespace {

constexpr int kSide = 8;

Image picture() {
  Image image{kSide, kSide, 1, {}};
  for (int i = 0; i < kSide * kSide; ++i)
    image.pixels.push_back(static_cast<uint8_t>((i * 37 + 5) % 256));
  return image;
}

class Inversion : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    // As in interpolation_test.cpp: an untrained network fits no data, so the chain ends at about
    // as much noise as image, and nothing is clipped.
    SchedulerConfig chain;
    chain.num_train_timesteps = 100;
    chain.clip_sample = false;
    write_tiny_model(*scratch_ / "model", chain);
    ASSERT_TRUE(write_png(*scratch_ / "a.png", picture()).ok());
  }
  static void TearDownTestSuite() { delete scratch_; }

  static Outcome sample(const std::vector<std::string>& more) {
    return run_ito(
        with({"sample", "--model", (*scratch_ / "model").string(), "--class", "1"}, more));
  }
  static std::string path(const std::string& name) { return (*scratch_ / name).string(); }

  inline static Scratch* scratch_ = nullptr;
};

// DDIM's inversion takes ε at the level that it leaves for that at which it arrives, so that each
// of the 100 steps is off by a little: 2 of 256 levels in all, as for interpolation.
TEST_F(Inversion, LatentsLeadBackToThePicture) {
  Outcome outcome = sample({"--sampler", "ddim-inverse", "--steps", "100", "--init-image",
                            path("a.png"), "--out", path("a.safetensors")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto latents = read_safetensors(path("a.safetensors"));
  ASSERT_TRUE(latents.ok()) << latents.error().message;
  const HostTensor& tensor = latents->tensors.at("latents");
  EXPECT_EQ(tensor.shape, (Shape{1, 1, kSide, kSide}));
  // The latents are not the picture: noise has been made of it.
  const std::vector<float> values = to_floats(tensor);
  double difference = 0;
  for (size_t i = 0; i < values.size(); ++i)
    difference += std::abs(double{values[i]} - (picture().pixels[i] / 127.5 - 1));
  EXPECT_GT(difference / static_cast<double>(values.size()), 0.1);

  outcome = sample({"--sampler", "ddim", "--steps", "100", "--num", "1", "--latents",
                    path("a.safetensors"), "--out", path("back")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto back = read_image(path("back") + "/000000.png");
  ASSERT_TRUE(back.ok()) << back.error().message;
  ASSERT_EQ(back->pixels.size(), picture().pixels.size());
  int largest = 0;
  for (size_t i = 0; i < back->pixels.size(); ++i)
    largest = std::max(largest, std::abs(int{back->pixels[i]} - int{picture().pixels[i]}));
  EXPECT_LE(largest, 2);
}

// A finished image is known by what it was made of, not by what the file is called.
TEST_F(Inversion, APicturesContentDecidesAndNotItsPath) {
  Image other = picture();
  ASSERT_TRUE(write_png(*scratch_ / "first.png", other).ok());
  ASSERT_TRUE(write_png(*scratch_ / "copy.png", other).ok());
  other.pixels[3] = static_cast<uint8_t>(other.pixels[3] ^ 64);
  const auto begun_at = [&](const std::string& name) {
    return sample({"--sampler", "ddim", "--steps", "10", "--num", "1", "--json", "--init-image",
                   path(name), "--out", path("begun")});
  };
  Outcome outcome = begun_at("first.png");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  outcome = begun_at("copy.png");
  EXPECT_NE(outcome.out.find("\"skipped\": 1"), std::string::npos) << outcome.out;
  ASSERT_TRUE(write_png(*scratch_ / "copy.png", other).ok());
  outcome = begun_at("copy.png");
  EXPECT_NE(outcome.out.find("\"skipped\": 0"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.err.find("made anew"), std::string::npos) << outcome.err;
}

TEST_F(Inversion, ImpossibleWishesAreRefusedWithOneSentence) {
  struct Case {
    std::vector<std::string> options;
    std::string part;
  };
  const std::string a = path("a.png"), out = path("refused.safetensors");
  for (const Case& c : std::vector<Case>{
           {{"--sampler", "ddim-inverse", "--out", out}, "give --init-image"},
           {{"--sampler", "ddim-inverse", "--init-image", a, "--strength", "0.5", "--out", out},
            "--strength"},
           {{"--sampler", "ddim-inverse", "--init-image", a, "--out", path("refused.png")},
            "FILE.safetensors"},
           {{"--sampler", "ddim", "--latents", path("none.safetensors"), "--out", out}, "none"},
           {{"--sampler", "ddim", "--latents", out, "--init-image", a, "--out", out},
            "exclude each other"}}) {
    const Outcome outcome = sample(c.options);
    EXPECT_NE(outcome.code, 0) << c.part;
    EXPECT_NE(outcome.err.find(c.part), std::string::npos) << outcome.err;
    EXPECT_FALSE(file_exists(out)) << c.part;
  }
}

}  // namespace
}  // namespace ito::test
