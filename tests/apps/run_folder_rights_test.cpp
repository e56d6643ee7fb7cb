// Whose folder it is: a run does not write over what it did not write, `--fresh` takes away no more
// than that, and two processes do not train in one folder.
#include <thread>

#include "api/run_folder.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"

namespace ito::test {
namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(RunFolderRights, AForeignModelIsNotTrainedOver) {
  Scratch scratch;
  write_tiny_data(scratch / "data.npz");
  write_tiny_model(scratch / "model");
  const Path weights = scratch / "model/unet/diffusion_pytorch_model.safetensors";
  const std::string before = read_file(weights).value();
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"--fresh"}}) {
    const Outcome outcome =
        run_ito(with(least_training(scratch / "data.npz", scratch / "model", 1, 1), more));
    EXPECT_EQ(outcome.code, 1);
    EXPECT_TRUE(says(outcome.err, "which no run of ito train wrote")) << outcome.err;
    EXPECT_EQ(read_file(weights).value(), before);
  }
}

// Whatever a run would write over, and weights of other forms beside which it would write its own.
TEST(RunFolderRights, AFileOfARunThatIsNoneIsNotWrittenOver) {
  for (const char* name :
       {"metrics.jsonl", "report.html", "loss_curve.png", "samples-1.png", "classes.json",
        "events.out.tfevents.ito", "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.fp16.safetensors"}) {
    Scratch scratch;
    const Path run = scratch / "run";
    ASSERT_TRUE(make_folders((run / name).parent_path()).ok());
    ASSERT_TRUE(write_file_atomic(run / name, "mine").ok());
    const Status refused = check_run_folder(run);
    ASSERT_FALSE(refused.ok()) << name;
    EXPECT_TRUE(says(refused.error().message, "which no run of ito train wrote")) << name;
  }
}

// A folder of something else is not filled with a run, even where no name would clash.
TEST(RunFolderRights, AFolderThatIsNotEmptyAndNoRunIsRefused) {
  Scratch scratch;
  const Path run = scratch / "run";
  EXPECT_TRUE(check_run_folder(run).ok());  // there is none
  ASSERT_TRUE(make_folders(run).ok());
  EXPECT_TRUE(check_run_folder(run).ok());
  // What systems leave behind, and a run that was killed when it began.
  for (const char* name : {".lock", ".DS_Store", ".gitkeep", "run.json.77.tmp"})
    ASSERT_TRUE(write_file_atomic(run / name, "").ok());
  EXPECT_TRUE(check_run_folder(run).ok());
  ASSERT_TRUE(write_file_atomic(run / "thesis.txt", "mine").ok());
  write_tiny_data(scratch / "data.npz");
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"--fresh"}}) {
    const Outcome outcome = run_ito(with(least_training(scratch / "data.npz", run, 1, 1), more));
    EXPECT_EQ(outcome.code, 1);
    EXPECT_TRUE(says(outcome.err, "thesis.txt")) << outcome.err;
    EXPECT_TRUE(says(outcome.err, "choose another --out")) << outcome.err;
  }
  EXPECT_EQ(list_folder(run).value().size(), 5u);
}

TEST(RunFolderRights, FreshLeavesWhatSomebodyPutBesideTheWeights) {
  Scratch scratch;
  const Path run = scratch / "run";
  ASSERT_TRUE(make_folders(run / "unet").ok());
  const auto put = [&](const char* name, const char* text) {
    ASSERT_TRUE(write_file_atomic(run / name, std::string(text)).ok());
  };
  put("config.json", "mine");
  put("unet/notes.txt", "precious");
  put("unet/config.json", "{}");
  ASSERT_FALSE(check_run_folder(run).ok());  // there is no run.json
  ASSERT_TRUE(remove_run(run).ok());
  EXPECT_TRUE(file_exists(run / "unet/config.json"));
  put("run.json", R"({"options": {}})");
  ASSERT_TRUE(check_run_folder(run).ok());
  ASSERT_TRUE(remove_run(run).ok());
  EXPECT_FALSE(file_exists(run / "unet/config.json"));
  EXPECT_FALSE(file_exists(run / "run.json"));
  EXPECT_EQ(read_file(run / "config.json").value(), "mine");
  EXPECT_EQ(read_file(run / "unet/notes.txt").value(), "precious");
}

TEST(RunFolderRights, OneProcessAtATime) {
  Scratch scratch;
  write_tiny_data(scratch / "data.npz");
  const Path run = scratch / "run";
  ASSERT_TRUE(make_folders(run).ok());
  {
    const auto lock = lock_run_folder(run);
    ASSERT_TRUE(lock.ok());
    const Outcome outcome = run_ito(least_training(scratch / "data.npz", run, 1, 1));
    EXPECT_EQ(outcome.code, 1);
    EXPECT_TRUE(says(outcome.err, "is training in")) << outcome.err;
    EXPECT_TRUE(says(outcome.err, std::to_string(::getpid()))) << outcome.err;
    EXPECT_FALSE(file_exists(run / "run.json"));
  }
  // The lock went with its holder, though its file stays.
  const Outcome outcome = run_ito(least_training(scratch / "data.npz", run, 1, 1));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

}  // namespace
}  // namespace ito::test
