#include "io/checkpoint.h"

#include <sys/wait.h>

#include <csignal>

#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::bytes_of;
using test::fails;
using test::put;
using test::succeeds;
using test::TempFolder;

Checkpoint checkpoint_at(int64_t step) {
  Checkpoint checkpoint;
  checkpoint.step = step;
  checkpoint.state.tensors["param.w"] =
      tensor_from_floats({3}, {0.1f, 2, static_cast<float>(step)});
  checkpoint.state.tensors["rng"] = tensor_from_uint32({2}, {0xdeadbeefu, 7});
  checkpoint.metadata = {{"lr", 0.002}, {"scale", 65536.0}, {"note", "größe"}, {"seed", -3}};
  return checkpoint;
}

std::string flip(std::string bytes, size_t at) {
  bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
  return bytes;
}

struct Warnings {
  std::vector<std::string> lines;
  LogFunction log() {
    return [this](LogLevel, std::string_view text) { lines.emplace_back(text); };
  }
};

TEST(Checkpoint, RoundTrips) {
  TempFolder run;
  Checkpoint written = checkpoint_at(120);
  ASSERT_TRUE(succeeds(write_checkpoint(run.path(), written, [](const Path& folder) -> Status {
    ITO_TRY(make_folders(folder / "unet"));
    return write_file_atomic(folder / "unet" / "config.json", "{}");
  })));
  Warnings warnings;
  auto read = *load_latest_checkpoint(run.path(), warnings.log());
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->step, 120);
  EXPECT_EQ(read->state, written.state);
  EXPECT_EQ(read->metadata, written.metadata);
  EXPECT_EQ(read->folder, run / "checkpoint-120");
  EXPECT_EQ(bytes_of(run / "checkpoint-120" / "unet" / "config.json"), "{}");
  EXPECT_TRUE(warnings.lines.empty());
}

TEST(Checkpoint, LatestIsByNumberAndIgnoresLeftovers) {
  TempFolder run;
  for (int64_t step : {900, 1000, 50})
    ASSERT_TRUE(succeeds(write_checkpoint(run.path(), checkpoint_at(step))));
  put(run / "checkpoint-2000.tmp" / "state.safetensors", "half");
  put(run / "checkpoint-x" / "a", "");
  put(run / "checkpoint-0070" / "a", "");
  put(run / "checkpoint-+7" / "a", "");
  put(run / "checkpoint-3000", "a file");
  EXPECT_EQ(*checkpoint_steps(run.path()), (std::vector<int64_t>{50, 900, 1000}));
  EXPECT_EQ((*load_latest_checkpoint(run.path(), nullptr))->step, 1000);
}

TEST(Checkpoint, NoneYetIsNoError) {
  TempFolder run;
  EXPECT_FALSE(load_latest_checkpoint(run.path(), nullptr)->has_value());
  EXPECT_FALSE(load_latest_checkpoint(run / "not there", nullptr)->has_value());
}

TEST(Checkpoint, DamageFallsBackWithOneWarning) {
  for (const char* name : {"state.safetensors", "trainer.json"}) {
    TempFolder run;
    ASSERT_TRUE(succeeds(write_checkpoint(run.path(), checkpoint_at(1))));
    ASSERT_TRUE(succeeds(write_checkpoint(run.path(), checkpoint_at(2))));
    Path path = run / "checkpoint-2" / name;
    const std::string good = bytes_of(path);
    auto expect_fallback = [&](const std::string& what) {
      Warnings warnings;
      auto read = load_latest_checkpoint(run.path(), warnings.log());
      ASSERT_TRUE(succeeds(read));
      EXPECT_EQ((*read)->step, 1) << what;
      ASSERT_EQ(warnings.lines.size(), 1u);
      EXPECT_NE(warnings.lines[0].find("checkpoint-2"), std::string::npos);
      EXPECT_NE(warnings.lines[0].find(name), std::string::npos) << warnings.lines[0];
    };
    put(path, flip(good, good.size() - 20));
    expect_fallback("flipped");
    put(path, good.substr(0, good.size() - 9));
    expect_fallback("truncated");
    put(path, "");
    expect_fallback("empty");
    std::filesystem::remove(path);
    expect_fallback("missing");
  }
}

TEST(Checkpoint, OtherFilesAreCheckedToo) {
  TempFolder run;
  ASSERT_TRUE(
      succeeds(write_checkpoint(run.path(), checkpoint_at(1), [](const Path& folder) -> Status {
        ITO_TRY(make_folders(folder / "unet"));
        return write_file_atomic(folder / "unet" / "weights", "abc");
      })));
  put(run / "checkpoint-1" / "unet" / "weights", "abd");
  EXPECT_TRUE(fails(read_checkpoint(run / "checkpoint-1"), ErrorKind::kCorrupt, "unet/weights",
                    "is damaged"));
  EXPECT_TRUE(
      fails(load_latest_checkpoint(run.path(), nullptr), ErrorKind::kCorrupt, "unet/weights"));
}

TEST(Checkpoint, PruningKeepsTheNewest) {
  TempFolder run;
  for (int64_t step : {5, 10, 100, 20})
    ASSERT_TRUE(succeeds(write_checkpoint(run.path(), checkpoint_at(step))));
  put(run / "checkpoint-2000.tmp" / "state.safetensors", "half");
  put(run / "metrics.jsonl", "");
  ASSERT_TRUE(succeeds(prune_checkpoints(run.path(), 2)));
  EXPECT_EQ(*list_folder(run.path()),
            (std::vector<std::string>{"checkpoint-100", "checkpoint-20", "metrics.jsonl"}));
  ASSERT_TRUE(succeeds(remove_checkpoints_after(run.path(), 20)));
  EXPECT_EQ(*checkpoint_steps(run.path()), std::vector<int64_t>{20});
}

TEST(Checkpoint, KilledWriterNeverLeavesOneThatDoesNotLoad) {
  TempFolder run;
  ASSERT_TRUE(succeeds(write_checkpoint(run.path(), checkpoint_at(0))));
  for (int round = 0; round < 10; ++round) {
    pid_t child = ::fork();
    if (child == 0) {
      for (int64_t step = 1 + 1000 * round;; ++step)
        if (!write_checkpoint(run.path(), checkpoint_at(step)).ok() ||
            !prune_checkpoints(run.path(), 2).ok())
          ::_exit(1);
    }
    ::usleep(static_cast<useconds_t>(4000 + 2111 * round));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
    Warnings warnings;
    auto read = load_latest_checkpoint(run.path(), warnings.log());
    ASSERT_TRUE(succeeds(read));
    ASSERT_TRUE(read->has_value());
    EXPECT_EQ((*read)->state, checkpoint_at((*read)->step).state);
    EXPECT_TRUE(warnings.lines.empty());
    // Pruning, too, leaves every checkpoint whole or gone.
    const auto steps = checkpoint_steps(run.path());
    for (const int64_t step : *steps)
      EXPECT_TRUE(succeeds(read_checkpoint(checkpoint_folder(run.path(), step))));
  }
}

}  // namespace
}  // namespace ito
