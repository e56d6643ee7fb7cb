// What a user gets for wrong options, missing files and missing devices: the exit code, and one
// sentence that names the thing.
#include "tests/apps/run_ito.h"

namespace ito::test {
namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(CommandLine, EveryCommandExplainsItself) {
  for (const char* command : {"devices", "train", "sample", "forward", "likelihood", "inspect",
                              "bench", "toy", "verify", "interpolate", "evaluate", "merge"}) {
    const Outcome outcome = run_ito({command, "--help"});
    EXPECT_EQ(outcome.code, 0) << command;
    EXPECT_TRUE(says(outcome.out, "--json")) << command << "\n" << outcome.out;
  }
  EXPECT_EQ(run_ito({"--help"}).code, 0);
}

TEST(CommandLine, WrongUsageIsTwo) {
  struct Case {
    std::vector<std::string> arguments;
    std::string part;
  };
  const std::vector<std::string> train = {"train", "--data", "d", "--out", "o"};
  const std::vector<std::string> sample = {"sample", "--model", "m", "--out", "o"};
  const std::vector<Case> cases = {
      {{}, "is required"},
      {{"paint"}, "paint"},
      {{"train"}, "--data"},
      {with(train, {"--steps", "-3"}), "found -3"},
      {with(train, {"--batch", "0"}), "--batch"},
      {with(train, {"--lr", "-1"}), "--lr"},
      {with(train, {"--channels", "16,30"}), "30"},
      {with(train, {"--schedule", "straight"}), "straight"},
      {with(train, {"--optimizer", "magic"}), "magic"},
      {with(train, {"--wings", "2"}), "--wings"},
      {with(sample, {"--steps", "-1"}), "found -1"},
      {with(sample, {"--sampler", "guess"}), "guess"},
      {with(sample, {"--seeds", "9-3"}), "9-3"},
      {with(sample, {"--class", "9-3"}), "9-3"},
      {with(sample, {"--seeds", "1", "--num", "4"}), "--num"},
      {{"inspect"}, "--plan"},
      {{"bench", "everything"}, "everything"},
  };
  for (const Case& c : cases) {
    const Outcome outcome = run_ito(c.arguments);
    EXPECT_EQ(outcome.code, 2) << c.part << "\n" << outcome.err;
    EXPECT_EQ(outcome.err.rfind("ito: ", 0), 0u) << outcome.err;
    EXPECT_TRUE(says(outcome.err, c.part)) << outcome.err;
  }
}

TEST(CommandLine, MissingThingsAreNamed) {
  const Scratch scratch;
  const std::string missing = (scratch / "nowhere").string();
  struct Case {
    std::vector<std::string> arguments;
    std::string part;
  };
  write_tiny_data(scratch / "data.npz");
  const std::string data = (scratch / "data.npz").string();
  const std::vector<Case> cases = {
      {{"sample", "--model", missing, "--out", missing + ".png"}, missing},
      {{"forward", "--model", missing, "--in", "a", "--out", "b.safetensors"}, missing},
      {{"inspect", missing}, missing},
      {{"train", "--data", missing, "--out", (scratch / "run").string()}, missing},
      // No file system lets a folder be made there, not even for root.
      {tiny_training(data, "/proc/ito_run", 1), "/proc/ito_run"},
      {{"bench", "roof", "--device", "no such card"}, "no such card"},
      {{"bench", "roof", "--device", "77"}, "77"},
  };
  for (const Case& c : cases) {
    const Outcome outcome = run_ito(c.arguments);
    EXPECT_EQ(outcome.code, 1) << c.part << "\n" << outcome.err;
    EXPECT_TRUE(says(outcome.err, "ito: ")) << outcome.err;
    EXPECT_TRUE(says(outcome.err, c.part)) << outcome.err;
  }
}

TEST(CommandLine, WithoutAVulkanDeviceItSaysSo) {
  const Outcome outcome = run_ito(Start{.arguments = {"bench", "roof"},
                                        .launcher = false,
                                        .environment = {{"VK_DRIVER_FILES", "/nonexistent.json"},
                                                        {"VK_ICD_FILENAMES", "/nonexistent.json"}},
                                        .when = {},
                                        .signal = SIGKILL});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(says(outcome.err, "Vulkan")) << outcome.err;
}

}  // namespace
}  // namespace ito::test
