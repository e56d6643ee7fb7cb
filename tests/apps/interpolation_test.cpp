// Interpolation between two images: the great circle between latents, and rows of tiny untrained
// models by every method, from the command line and in this process.
#include "api/interpolation.h"

#include <algorithm>
#include <cmath>

#include "io/image.h"
#include "io/json.h"
#include "io/png.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void expect_near(const std::vector<float>& found, const std::vector<float>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-6) << i;
}

TEST(Slerp, WalksTheGreatCircle) {
  const std::vector<float> a = {1, 0, 0}, b = {0, 1, 0};
  expect_near(slerp(a, b, 0), a);
  expect_near(slerp(a, b, 1), b);
  expect_near(slerp(a, b, 1.0 / 3), {0.8660254f, 0.5f, 0});  // 30 of 90 degrees
}

TEST(Slerp, MixesParallelVectorsLinearly) {
  expect_near(slerp({1, 2}, {3, 6}, 0.5), {2, 4});
  expect_near(slerp({1, 2}, {1, 2}, 0.3), {1, 2});
}

constexpr int kSide = 8, kPoints = 3, kGap = 2;  // of grid_from_floats

using Pixels = std::vector<uint8_t>;

// The largest difference of two pictures, in levels of 256.
int distance(const Pixels& a, const Pixels& b) {
  EXPECT_EQ(a.size(), b.size());
  int largest = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    largest = std::max(largest, std::abs(int{a[i]} - int{b[i]}));
  return largest;
}

Image picture(int phase) {
  Image image{kSide, kSide, 1, {}};
  for (int i = 0; i < kSide * kSide; ++i)
    image.pixels.push_back(static_cast<uint8_t>((i * 37 + phase) % 256));
  return image;
}

class Interpolate : public VulkanTest {
 protected:
  static void SetUpTestSuite() {
    VulkanTest::SetUpTestSuite();
    scratch_ = new Scratch;
    // Untrained networks fit no data, so that what is encoded through much noise is lost: both
    // processes end at about as much noise as image. And a clipped x_0 could not be decoded again.
    SchedulerConfig chain;
    chain.num_train_timesteps = 100;
    chain.clip_sample = false;
    write_tiny_model(*scratch_ / "chain", chain);
    SchedulerConfig ve;
    ve.process = ProcessKind::kVe;
    ve.sampler = "pc";
    ve.sigma_max = 1;
    write_tiny_model(*scratch_ / "ve", ve);
    SchedulerConfig vp;
    vp.process = ProcessKind::kVp;
    vp.sampler = "em";
    vp.beta_max = 2;
    vp.sampling_eps = 1e-3;
    write_tiny_model(*scratch_ / "vp", vp);
    SchedulerConfig subvp = vp;
    subvp.process = ProcessKind::kSubVp;
    write_tiny_model(*scratch_ / "subvp", subvp);
    SchedulerConfig edm;
    edm.process = ProcessKind::kEdm;
    edm.sampler = "edm-euler";
    edm.sigma_min = 0.01;
    edm.sigma_max = 1;
    write_tiny_model(*scratch_ / "edm", edm);
    SchedulerConfig flow;
    flow.process = ProcessKind::kFlow;
    flow.sampler = "flow-euler";
    flow.prediction_type = "flow_prediction";
    write_tiny_model(*scratch_ / "flow", flow);
    ASSERT_TRUE(write_png(*scratch_ / "a.png", picture(5)).ok());
    ASSERT_TRUE(write_png(*scratch_ / "b.png", picture(99)).ok());
  }
  static void TearDownTestSuite() {
    delete scratch_;
    VulkanTest::TearDownTestSuite();
  }

  static std::vector<std::string> command(const std::string& model, const std::string& method,
                                          const std::string& b, const Path& out) {
    return {"interpolate",
            "--model",
            (*scratch_ / model).string(),
            "--a",
            (*scratch_ / "a.png").string(),
            "--b",
            (*scratch_ / b).string(),
            "--method",
            method,
            "--points",
            std::to_string(kPoints),
            "--out",
            out.string()};
  }
  // The row's pictures.
  static std::vector<Pixels> row(const std::string& model, const std::string& method,
                                 const std::string& b, const std::vector<std::string>& more) {
    const Path out = *scratch_ / "row.png";
    const Outcome outcome =
        run_ito(with(with(command(model, method, b, out), {"--class", "1"}), more));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    if (outcome.code != 0) return std::vector<Pixels>(kPoints);
    EXPECT_EQ(read_png_settings(out).value()["method"], method);
    const Image grid = read_image(out).value();
    EXPECT_EQ(grid.w, kPoints * kSide + (kPoints + 1) * kGap);
    EXPECT_EQ(grid.h, kSide + 2 * kGap);
    std::vector<Pixels> pictures(kPoints);
    for (int i = 0; i < kPoints; ++i)
      for (int y = 0; y < kSide; ++y)
        for (int x = 0; x < kSide; ++x)
          pictures[static_cast<size_t>(i)].push_back(grid.pixels[static_cast<size_t>(
              (kGap + y) * grid.w + kGap + i * (kSide + kGap) + x)]);
    return pictures;
  }

  inline static Scratch* scratch_ = nullptr;
};

// The flow's ends are off by its tolerance in each of some hundred steps, by 0.005 or half a level;
// DDIM's by the length of its own, to first order: of a like model of VP 100 steps of the 1000
// timesteps that it is seen on lost 12 levels and 500 lost 3; twice that is allowed.
TEST_F(Interpolate, EndsAreThePicturesAndTheMiddleIsNeither) {
  const Pixels a = picture(5).pixels, b = picture(99).pixels;
  struct Case {
    const char *model, *method;
    std::vector<std::string> options;
    int levels;
  };
  for (const Case& c :
       {Case{"chain", "latent", {"--steps", "100"}, 2},
        Case{"chain", "flow", {"--rtol", "1e-5", "--atol", "1e-5"}, 1},
        Case{"ve", "latent", {"--steps", "500"}, 6}, Case{"vp", "latent", {"--steps", "500"}, 6},
        Case{"edm", "latent", {"--steps", "500"}, 6},
        Case{"subvp", "latent", {"--steps", "500"}, 6},
        Case{"subvp", "flow", {"--rtol", "1e-5", "--atol", "1e-5"}, 1},
        Case{"ve", "flow", {"--rtol", "1e-5", "--atol", "1e-5"}, 1},
        Case{"flow", "flow", {"--rtol", "1e-5", "--atol", "1e-5"}, 1}}) {
    SCOPED_TRACE(std::string(c.model) + " by " + c.method);
    const std::vector<Pixels> pictures = row(c.model, c.method, "b.png", c.options);
    EXPECT_LE(distance(pictures.front(), a), c.levels);
    EXPECT_LE(distance(pictures.back(), b), c.levels);
    EXPECT_GT(distance(pictures[1], a), 20);
    EXPECT_GT(distance(pictures[1], b), 20);
  }
}

TEST_F(Interpolate, EqualPicturesGiveARowOfEqualPictures) {
  struct Case {
    const char *model, *method;
    std::vector<std::string> options;
  };
  for (const Case& c :
       {Case{"chain", "latent", {"--steps", "8"}}, Case{"chain", "noise", {"--steps", "8"}},
        Case{"chain", "flow", {"--rtol", "1e-3", "--atol", "1e-3"}},
        Case{"ve", "flow", {"--rtol", "1e-3", "--atol", "1e-3"}},
        Case{"ve", "noise", {"--steps", "8"}}, Case{"vp", "noise", {"--steps", "8"}},
        Case{"subvp", "latent", {"--steps", "8"}}, Case{"subvp", "noise", {"--steps", "8"}},
        Case{"edm", "latent", {"--steps", "8"}}, Case{"flow", "latent", {"--steps", "8"}},
        Case{"flow", "noise", {"--steps", "8"}}}) {
    SCOPED_TRACE(std::string(c.model) + " by " + c.method);
    const std::vector<Pixels> pictures = row(c.model, c.method, "a.png", c.options);
    EXPECT_EQ(pictures[0], pictures[1]);
    EXPECT_EQ(pictures[0], pictures[2]);
  }
}

// Noise of 0.017, two levels, leaves the pictures nearly what they were, and the middle their mean.
TEST_F(Interpolate, WeakNoiseMixesThePicturesThemselves) {
  const Pixels a = picture(5).pixels, b = picture(99).pixels;
  Pixels mean;
  for (size_t i = 0; i < a.size(); ++i)
    mean.push_back(static_cast<uint8_t>((int{a[i]} + int{b[i]}) / 2));
  const std::vector<Pixels> pictures =
      row("chain", "noise", "b.png", {"--steps", "100", "--strength", "0.02"});
  EXPECT_LE(distance(pictures.front(), a), 12);
  EXPECT_LE(distance(pictures.back(), b), 12);
  EXPECT_LE(distance(pictures[1], mean), 12);
}

TEST_F(Interpolate, AProgressThatSaysNoStopsIt) {
  const Shape image{kSide, kSide, 1};
  const std::vector<float> a(64, 0.25f), b(64, -0.5f);
  ASSERT_OK_AND_ASSIGN(const Model model, load_model(*scratch_ / "chain"));
  for (const char* method : {"latent", "flow"}) {
    InterpolationOptions options{.method = method};
    options.points = 2;
    int last = 0;
    const auto row = interpolate(device(), model, image, a, b, options, [&](int done, int in_all) {
      EXPECT_EQ(in_all, std::string(method) == "flow" ? 0 : 100);
      last = done;
      return done < 3;
    });
    ASSERT_FALSE(row.ok()) << method;
    EXPECT_EQ(row.error().kind, ErrorKind::kInterrupted) << method;
    EXPECT_EQ(last, 3) << method;
  }
}

TEST_F(Interpolate, ImpossibleWishesAreRefusedWithOneSentence) {
  struct Case {
    int code;
    const char *model, *method;
    std::vector<std::string> more;
    std::string part;
  };
  const std::vector<Case> cases = {
      {2, "chain", "latent", {"--seed", "3"}, "--seed"},
      {2, "chain", "latent", {"--rtol", "1e-3"}, "--rtol"},
      {2, "chain", "flow", {"--steps", "3"}, "--steps"},
      {2, "chain", "flow", {"--rtol", "1e-9"}, "1e-09"},
      {2, "chain", "walk", {}, "walk"},
      {1, "ve", "flow", {"--class", "3"}, "class 3"},
  };
  const Path out = *scratch_ / "refused.png";
  for (const Case& c : cases) {
    const Outcome outcome = run_ito(with(command(c.model, c.method, "b.png", out), c.more));
    EXPECT_EQ(outcome.code, c.code) << c.part;
    EXPECT_TRUE(says(outcome.err, "ito: ") && says(outcome.err, c.part)) << outcome.err;
    EXPECT_FALSE(file_exists(out)) << c.part;
  }
}

}  // namespace
}  // namespace ito::test
