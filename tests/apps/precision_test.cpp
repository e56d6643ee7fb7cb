// `ito train --precision`: what a run says of its loss scale, keeps, and goes on with.
#include "api/run_folder.h"
#include "io/jsonl.h"
#include "tests/apps/run_ito.h"

namespace ito::test {
namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class TrainingPrecision : public ::testing::Test {
 protected:
  void SetUp() override {
    std::vector<uint8_t> pixels;
    for (int i = 0; i < 32 * 64; ++i) pixels.push_back(static_cast<uint8_t>(i * 37 % 256));
    TensorFile file;
    file.tensors.emplace("images", tensor_from_bytes({32, 8, 8}, pixels));
    ASSERT_TRUE(write_npz(scratch_ / "data.npz", file).ok());
  }
  Outcome train(int steps, const std::vector<std::string>& more) {
    return run_ito(with(least_training(scratch_ / "data.npz", run(), steps, 2), more));
  }
  Path run() const { return scratch_ / "run"; }
  Json stored() const { return read_json(run() / kRunFile).value().at("options"); }
  std::vector<Json> metrics() const { return read_jsonl(run() / kMetricsFile).value(); }
  Scratch scratch_;
};

TEST_F(TrainingPrecision, IsKeptShownAndMayChange) {
  Outcome outcome = train(2, {"--precision", "fp16", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(stored().at("precision"), "fp16");
  const Json summary = parse_json(outcome.out, "train").value();
  EXPECT_EQ(summary.at("loss_scale"), 65536);
  EXPECT_EQ(summary.at("skipped_steps"), 0);
  ASSERT_EQ(metrics().size(), 2u);
  EXPECT_EQ(metrics().back().at("loss_scale"), 65536);
  EXPECT_EQ(metrics().back().at("skipped_steps"), 0);
  EXPECT_TRUE(says(read_file(run() / kReportFile).value(), "Loss scale"));

  outcome = train(3, {});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(stored().at("precision"), "fp16");
  EXPECT_TRUE(metrics().back().contains("loss_scale"));

  outcome = train(4, {"--precision", "bf16"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(says(outcome.err, "goes on with --precision bf16 in place of fp16")) << outcome.err;
  EXPECT_EQ(stored().at("precision"), "bf16");
  EXPECT_FALSE(metrics().back().contains("loss_scale"));

  outcome = train(5, {"--precision", "fp8"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(says(outcome.err, "--precision is \"fp8\", expected fp32, fp16 or bf16"))
      << outcome.err;
}

}  // namespace
}  // namespace ito::test
