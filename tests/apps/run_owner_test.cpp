// What a run did not write stays: checkpoints of other programs, notes in its own, pictures and
// pages that are only called like its files.
#include <algorithm>

#include "api/run_folder.h"
#include "io/image.h"
#include "io/png.h"
#include "tests/apps/run_ito.h"

namespace ito::test {
namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class RunOwner : public ::testing::Test {
 protected:
  void SetUp() override { write_tiny_data(scratch_ / "data.npz"); }

  std::vector<std::string> training(int steps, const std::vector<std::string>& more = {}) const {
    return with(least_training(scratch_ / "data.npz", run(), steps, 1), more);
  }
  Path run() const { return scratch_ / "run"; }
  void put(const std::string& name, const std::string& text = "mine") const {
    ASSERT_TRUE(make_folders((run() / name).parent_path()).ok());
    ASSERT_TRUE(write_file_atomic(run() / name, text).ok());
  }
  std::string text_of(const std::string& name) const {
    const auto text = read_file(run() / name);
    return text.ok() ? *text : "(gone)";
  }

  Scratch scratch_;
};

TEST_F(RunOwner, LeavesForeignCheckpointsAndPicturesWhenItGoesOnAndWhenItStartsOver) {
  ASSERT_EQ(run_ito(training(1)).code, 0);
  const std::vector<std::string> foreign = {"checkpoint-777/mine.txt",
                                            "checkpoint-778/state.safetensors",
                                            "checkpoint-9.tmp/mine.txt",
                                            "samples-20231104.png",
                                            "draft.2023.tmp",
                                            "checkpoint-1/notes.txt",
                                            "unet/model.ema-best.safetensors"};
  for (const std::string& name : foreign) put(name);
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{}, {"--fresh"}, {"--keep", "1"}}) {
    // A note in checkpoint-1 is in the way of a run that would write that checkpoint again.
    if (!more.empty() && more[0] == "--fresh") {
      const Outcome refused = run_ito(training(2, more));
      EXPECT_EQ(refused.code, 1);
      EXPECT_TRUE(says(refused.err, "checkpoint-1/notes.txt")) << refused.err;
      std::filesystem::rename(run() / "checkpoint-1/notes.txt", run() / "notes.txt");
      put("checkpoint-777/notes.txt");
    }
    const Outcome outcome = run_ito(training(2, more));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    for (const std::string& name : foreign) {
      if (name == "checkpoint-1/notes.txt") continue;
      EXPECT_EQ(text_of(name), "mine") << name;
    }
  }
  EXPECT_EQ(text_of("notes.txt"), "mine");
}

TEST_F(RunOwner, RefusesWhatItWouldReplace) {
  ASSERT_EQ(run_ito(training(1)).code, 0);
  put("checkpoint-2/mine.txt");
  const Outcome checkpoint = run_ito(training(3));
  EXPECT_EQ(checkpoint.code, 1);
  EXPECT_TRUE(says(checkpoint.err, "checkpoint-2")) << checkpoint.err;
  EXPECT_EQ(text_of("checkpoint-2/mine.txt"), "mine");
  std::filesystem::remove_all(run() / "checkpoint-2");
  // A picture of the same name, and one that only later steps would draw.
  Image image{.h = 1, .w = 1, .c = 1, .pixels = {7}};
  for (const char* name : {"samples-2.png", "samples-9.png"})
    ASSERT_TRUE(write_png(run() / name, image).ok());
  const std::string before = text_of("samples-2.png");
  const Outcome picture = run_ito(training(2, {"--sample-every", "1"}));
  EXPECT_EQ(picture.code, 1);
  EXPECT_TRUE(says(picture.err, "samples-2.png")) << picture.err;
  EXPECT_EQ(text_of("samples-2.png"), before);
  EXPECT_EQ(run_ito(training(2)).code, 0);  // draws none
  EXPECT_EQ(text_of("samples-2.png"), before);
  EXPECT_EQ(text_of("samples-9.png"), before);
}

TEST_F(RunOwner, RefusesAFolderWithFilesOfItsNamesThatNoRunWrote) {
  for (const char* name :
       {"metrics.jsonl", "report.html", "loss_curve.png", "samples-1.png", "classes.json",
        "events.out.tfevents.ito", "checkpoint-500/optimizer.bin", "config.json", "run.json",
        "unet/config.json", "model.safetensors"}) {
    put(name, "{\"mine\": 1}");
    for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"--fresh"}}) {
      const Outcome outcome = run_ito(training(1, with({"--sample-every", "1"}, more)));
      EXPECT_EQ(outcome.code, 1) << name;
      EXPECT_TRUE(says(outcome.err, "no run of ito train wrote")) << name << ": " << outcome.err;
      EXPECT_EQ(text_of(name), "{\"mine\": 1}");
    }
    std::filesystem::remove_all(run());
  }
  // Notes in a run are the run's owner's and stay; in another folder there is no run to begin.
  EXPECT_EQ(run_ito(training(1)).code, 0);
  put("notes.txt");
  EXPECT_EQ(run_ito(training(2)).code, 0);
  EXPECT_EQ(text_of("notes.txt"), "mine");
}

TEST_F(RunOwner, OfARunIsAllThatItWroteAndFreshTakesItAway) {
  ASSERT_EQ(run_ito(training(2, {"--sample-every", "1", "--ema", "0.5,0.9"})).code, 0);
  put("checkpoint-1.tmp/state.safetensors.5.tmp");  // a write that was killed
  put("run.json.77.tmp");
  ASSERT_TRUE(remove_run(run()).ok());
  EXPECT_EQ(list_folder(run()).value(), (std::vector<std::string>{".lock", "run.json.77.tmp"}));
  ASSERT_TRUE(remove_half_written(run()).ok());
  EXPECT_EQ(list_folder(run()).value(), std::vector<std::string>{".lock"});
}

}  // namespace
}  // namespace ito::test
