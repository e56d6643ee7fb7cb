// Training that is killed again and again, at any moment: what it leaves, and where it ends.
#include <algorithm>
#include <optional>
#include <random>

#include "io/checkpoint.h"
#include "io/image.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "tests/apps/run_ito.h"

namespace ito::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kKills = 20, kSteps = 200, kInterval = 3;

std::vector<std::string> training(const Path& data, const Path& out) {
  return least_training(data, out, kSteps, kInterval);
}

// The value, or a failure of the test that says why there is none.
template <typename T>
T value_of(Result<T> result) {
  if (result.ok()) return std::move(result).value();
  ADD_FAILURE() << result.error().message;
  return {};
}

int64_t newest_step(const Path& run) {
  int64_t newest = 0;
  const auto steps = value_of(checkpoint_steps(run));
  for (const int64_t step : steps) newest = std::max(newest, step);
  return newest;
}

// Whether a checkpoint is being written, or was when the last writer was killed.
bool half_written(const Path& run) {
  if (!folder_exists(run)) return false;
  const auto names = value_of(list_folder(run));
  return std::any_of(names.begin(), names.end(), [](const std::string& name) {
    return name.starts_with("checkpoint-") && name.ends_with(".tmp");
  });
}

bool temporary(const Path& path) {
  const std::string text = path.string();
  return text.find(".tmp") != std::string::npos || text.find(".old") != std::string::npos;
}

// Every file under its final name loads, and every checkpoint is whole.
void expect_all_loads(const Path& run) {
  if (!folder_exists(run)) return;
  const auto steps = value_of(checkpoint_steps(run));
  for (const int64_t step : steps) {
    const auto checkpoint = read_checkpoint(checkpoint_folder(run, step));
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(run)) {
    const Path& path = entry.path();
    if (!entry.is_regular_file() || temporary(path)) continue;
    const std::string type = path.extension().string();
    if (type == ".safetensors") {
      EXPECT_TRUE(read_safetensors(path).ok()) << path;
    } else if (type == ".json") {
      EXPECT_TRUE(read_json(path).ok()) << path;
    } else if (type == ".png") {
      EXPECT_TRUE(read_image(path).ok()) << path;
    }
  }
}

// The rows of metrics.jsonl without what a clock says; a line that a kill cut short is left out.
std::vector<Json> metrics(const Path& run) {
  std::vector<Json> rows;
  if (!file_exists(run / "metrics.jsonl")) return rows;
  std::istringstream text(value_of(read_file(run / "metrics.jsonl")));
  for (std::string line; std::getline(text, line) && !text.eof();) {
    rows.push_back(value_of(parse_json(line, "metrics.jsonl")));
    rows.back().erase("seconds");
  }
  return rows;
}

TEST(Kill, TwentyRandomKillsLoseLittleAndEndBitIdentical) {
  const Scratch scratch;
  const Path data = scratch / "data.npz", whole = scratch / "whole", run = scratch / "run";
  write_tiny_data(data);
  const Outcome undisturbed = run_ito(training(data, whole));
  ASSERT_EQ(undisturbed.code, 0) << undisturbed.err;

  std::mt19937 random(20);
  int kills = 0, in_writes = 0;
  for (int attempt = 0; attempt < kKills; ++attempt) {
    // The moment: any time up to a second after the start (before the network is ready, too) or
    // after the first new checkpoint, whatever comes first; or soon after a checkpoint's writing
    // began; or soon after it ended, when the model is exported and old checkpoints are removed.
    const int64_t before = newest_step(run);
    const uint32_t kind = random() % 4;
    const std::chrono::microseconds delay(random() % (kind == 0 ? 1'000'000 : 6'000));
    const bool stale = half_written(run);
    std::optional<Clock::time_point> deadline;
    if (kind == 0) deadline = Clock::now() + delay;
    Start start{.arguments = training(data, run), .launcher = true, .environment = {}, .when = {}};
    start.poll = std::chrono::microseconds(200);
    start.when = [&] {
      const bool advanced = newest_step(run) > before;
      if (kind == 0) return advanced || Clock::now() >= *deadline;
      const bool writing = kind < 3 && !stale && half_written(run);
      if (!deadline && (advanced || writing)) deadline = Clock::now() + delay;
      return deadline && Clock::now() >= *deadline;
    };
    const Outcome outcome = run_ito(start);
    EXPECT_EQ(outcome.code, -SIGKILL) << outcome.err;
    kills += outcome.code == -SIGKILL;
    in_writes += half_written(run);

    SCOPED_TRACE("kill " + std::to_string(attempt));
    expect_all_loads(run);
    const int64_t after = newest_step(run);
    EXPECT_GE(after, before);
    const std::vector<Json> rows = metrics(run);
    const int64_t reached = rows.empty() ? 0 : rows.back().at("step").get<int64_t>();
    EXPECT_LE(reached - after, kInterval);
  }
  EXPECT_EQ(kills, kKills);
  EXPECT_GT(in_writes, 0) << "no kill hit the writing of a checkpoint";

  const Outcome last = run_ito(training(data, run));
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_EQ(metrics(run), metrics(whole));
  const Path state = checkpoint_folder("", kSteps) / "state.safetensors";
  for (const Path& file : {state, Path("unet/diffusion_pytorch_model.safetensors"),
                           Path("unet/config.json"), Path("run.json")})
    EXPECT_EQ(read_file(run / file).value(), read_file(whole / file).value()) << file;
  // Nothing of the killed runs is left lying about.
  for (const auto& entry : std::filesystem::recursive_directory_iterator(run))
    EXPECT_FALSE(temporary(entry.path().lexically_relative(run))) << entry.path();
}

}  // namespace
}  // namespace ito::test
