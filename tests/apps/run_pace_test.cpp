// What a run is besides its options: how long it is, how often something is done in it, what is
// held out. It keeps them, and a call that goes on has them from there.
#include "api/run_folder.h"
#include "io/checkpoint.h"
#include "io/jsonl.h"
#include "tests/apps/run_ito.h"

namespace ito::test {
namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// 600 grey images of 8x8 in three classes.
void write_many(const Path& path) {
  std::vector<uint8_t> pixels, labels;
  for (int i = 0; i < 600; ++i) {
    labels.push_back(static_cast<uint8_t>(i % 3));
    for (int p = 0; p < 64; ++p) pixels.push_back(static_cast<uint8_t>((p * 7 + i * 5) % 256));
  }
  TensorFile file;
  file.tensors.emplace("images", tensor_from_bytes({600, 8, 8}, pixels));
  file.tensors.emplace("labels", tensor_from_bytes({600}, labels));
  ASSERT_TRUE(write_npz(path, file).ok());
}

class RunPace : public ::testing::Test {
 protected:
  void SetUp() override { write_many(scratch_ / "data.npz"); }
  // Nothing but what has to be said.
  Outcome train(const std::vector<std::string>& more) {
    return run_ito(
        with({"train", "--data", (scratch_ / "data.npz").string(), "--out", run().string()}, more));
  }
  Outcome begin(const std::vector<std::string>& more) {
    return train(with({"--steps", "4", "--batch", "2", "--channels", "8", "--norm-groups", "4",
                       "--checkpoint-every", "2", "--log-every", "1", "--warmup", "0"},
                      more));
  }
  Path run() const { return scratch_ / "run"; }
  // Steps of metrics.jsonl that have such a column.
  std::vector<int64_t> steps_with(const char* column) const {
    std::vector<int64_t> steps;
    const std::vector<Json> rows = read_jsonl(run() / kMetricsFile).value();
    for (const Json& row : rows)
      if (row.contains(column)) steps.push_back(row["step"].get<int64_t>());
    return steps;
  }
  Scratch scratch_;
};

TEST_F(RunPace, IsKeptAndUsedWhereItIsLeftOut) {
  Outcome outcome = begin({"--validate", "2", "--sample-every", "3", "--keep", "5"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  // Without a word more it is at its end, and does not become longer.
  outcome = train({});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(says(outcome.out, "already done")) << outcome.out;
  outcome = train({"--steps", "8"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(steps_with("validation"), (std::vector<int64_t>{2, 4, 6, 8}));
  EXPECT_EQ(steps_with("loss"), (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_TRUE(file_exists(run() / "samples-6.png"));
  EXPECT_EQ(checkpoint_steps(run()).value(), (std::vector<int64_t>{2, 4, 6, 8}));
  // What is said anew holds from there on.
  outcome = train({"--steps", "10", "--validate", "5", "--sample-every", "0"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  outcome = train({"--steps", "12"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(steps_with("validation"), (std::vector<int64_t>{2, 4, 6, 8, 10, 12}));
  EXPECT_FALSE(file_exists(run() / "samples-12.png"));
  const std::string html = read_file(run() / kReportFile).value();
  for (const char* row : {"<th>validate</th><td>5</td>", "<th>sample-every</th><td>0</td>",
                          "<th>steps</th><td>12</td>", "<th>holdout</th><td>0.02</td>"})
    EXPECT_TRUE(says(html, row)) << row;
}

TEST_F(RunPace, WhatIsHeldOutIsSaidAndStays) {
  Outcome outcome = begin({"--holdout", "0.3"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(says(outcome.err,
                   "256 of 600 images are held out (--holdout 0.3, at least 256), and "
                   "nothing validates on them: --validate N"))
      << outcome.err;
  for (const char* share : {"0.2", "0.5"}) {
    outcome = train({"--holdout", share});
    EXPECT_EQ(outcome.code, 1);
    EXPECT_TRUE(says(outcome.err, "--holdout")) << outcome.err;
    EXPECT_TRUE(says(outcome.err, "which has 0.3; leave it out")) << outcome.err;
  }
  outcome = train({"--holdout", "0.3", "--steps", "5", "--validate", "1"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(says(outcome.err, "256 held-out images")) << outcome.err;
}

TEST_F(RunPace, ARunOfAllImagesHoldsNoneOutLater) {
  ASSERT_EQ(begin({}).code, 0);
  const Outcome outcome = train({"--steps", "5", "--holdout", "0.5"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(says(outcome.err, "was begun with all images")) << outcome.err;
  EXPECT_EQ(train({"--steps", "5"}).code, 0);
}

}  // namespace
}  // namespace ito::test
