// `ito train --fresh`: what it removes, what it leaves, and where it starts. And a run's pictures.
#include <algorithm>

#include "io/checkpoint.h"
#include "io/image.h"
#include "io/jsonl.h"
#include "io/png.h"
#include "tests/apps/run_ito.h"

namespace ito::test {
namespace {

// Pictures after the third step and the last.
std::vector<std::string> training(const Path& data, const Path& out, int steps = 4) {
  return with(least_training(data, out, steps, 2), {"--sample-every", "3"});
}

// The rows of metrics.jsonl without what a clock says.
std::vector<Json> metrics(const Path& run) {
  std::vector<Json> rows = read_jsonl(run / "metrics.jsonl").value();
  for (Json& row : rows) row.erase("seconds");
  return rows;
}

std::vector<std::string> sorted_names(const Path& folder) {
  std::vector<std::string> names = list_folder(folder).value();
  std::sort(names.begin(), names.end());
  return names;
}

class Fresh : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    write_tiny_data(data());
    outcome_ = run_ito(training(data(), whole()));
  }
  static void TearDownTestSuite() { delete scratch_; }
  void SetUp() override { ASSERT_EQ(outcome_.code, 0) << outcome_.err; }

  static Path data() { return *scratch_ / "data.npz"; }
  static Path whole() { return *scratch_ / "whole"; }

  inline static Scratch* scratch_ = nullptr;
  inline static Outcome outcome_;
};

TEST_F(Fresh, PicturesOfSamplesAppearWhenAskedForAndAtTheEnd) {
  for (const int step : {3, 4}) {
    const Path png = whole() / ("samples-" + std::to_string(step) + ".png");
    const auto image = read_image(png);
    ASSERT_TRUE(image.ok()) << image.error().message;
    // Three classes across, two seeds of each, 8x8 each with gaps of 2.
    EXPECT_EQ(image->w, 3 * 10 + 2);
    EXPECT_EQ(image->h, 2 * 10 + 2);
    const Json settings = read_png_settings(png).value();
    EXPECT_EQ(settings.at("training_step"), step);
    EXPECT_EQ(settings.at("sampler"), "ddim");
  }
  EXPECT_FALSE(file_exists(whole() / "samples-1.png"));
  EXPECT_FALSE(file_exists(whole() / "samples-2.png"));
}

TEST_F(Fresh, StartsOverBitForBitAndLeavesWhatIsNotTheRuns) {
  const Path run = *scratch_ / "again";
  const Outcome earlier = run_ito(with(training(data(), run, 6), {"--seed", "5", "--lr", "0.01"}));
  ASSERT_EQ(earlier.code, 0) << earlier.err;
  // Other options are a contradiction, unless the run is to be started over.
  EXPECT_EQ(run_ito(with(training(data(), run), {"--seed", "0"})).code, 2);
  const std::vector<std::string> foreign = {"notes.txt", "samples-of-mine.png", "samples-3.txt",
                                            "checkpoint-notes", "config.json.orig"};
  for (const std::string& name : foreign)
    ASSERT_TRUE(write_file_atomic(run / name, "mine").ok()) << name;

  const Outcome fresh = run_ito(with(training(data(), run), {"--fresh", "--seed", "0"}));
  ASSERT_EQ(fresh.code, 0) << fresh.err;
  for (const std::string& name : foreign) {
    ASSERT_TRUE(file_exists(run / name)) << name;
    EXPECT_EQ(read_file(run / name).value(), "mine");
  }
  EXPECT_EQ(checkpoint_steps(run).value(), checkpoint_steps(whole()).value());
  const Path state = checkpoint_folder("", 4) / "state.safetensors";
  for (const Path& file : {state, Path("unet/diffusion_pytorch_model.safetensors"),
                           Path("run.json"), Path("samples-3.png"), Path("samples-4.png")})
    EXPECT_EQ(read_file(run / file).value(), read_file(whole() / file).value()) << file;
  EXPECT_EQ(metrics(run), metrics(whole()));
  EXPECT_FALSE(file_exists(run / "samples-6.png"));
}

TEST_F(Fresh, ARunThatCannotStartRemovesNothing) {
  const Path run = *scratch_ / "kept";
  std::filesystem::copy(whole(), run, std::filesystem::copy_options::recursive);
  const std::vector<std::string> before = sorted_names(run);
  const Path missing = *scratch_ / "nowhere";
  const Outcome outcome = run_ito(with(training(missing, run), {"--fresh"}));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find(missing.string()), std::string::npos) << outcome.err;
  EXPECT_EQ(sorted_names(run), before);
}

}  // namespace
}  // namespace ito::test
