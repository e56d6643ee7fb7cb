// Results into a folder that cannot be written to: one sentence that names the place, exit code 1,
// and nothing left lying about. Full disks are in disk_test.cpp.
#include <sys/stat.h>

#include "io/safetensors.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"

namespace ito::test {
namespace {

class Unwritable : public ::testing::Test {
 protected:
  void SetUp() override {
    write_tiny_model(scratch_ / "model");
    // Nothing keeps root from writing to a folder of mode 0500, but no one can make a file in
    // /proc.
    if (geteuid() == 0) return;
    folder_ = scratch_ / "read-only";
    ASSERT_TRUE(make_folders(folder_).ok());
    ASSERT_EQ(chmod(folder_.c_str(), 0500), 0);
  }

  void expect_refused(const std::vector<std::string>& arguments, const std::string& name) {
    const Path out = folder_ / name;
    SCOPED_TRACE(arguments[0] + " into " + out.string());
    const Outcome outcome = run_ito(with(arguments, {"--out", out.string()}));
    EXPECT_EQ(outcome.code, 1) << outcome.err;
    const size_t error = outcome.err.find("ito: ");
    ASSERT_NE(error, std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find(out.string(), error), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n', error), outcome.err.size() - 1) << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(out));
  }

  Scratch scratch_;
  Path folder_ = "/proc";
};

TEST_F(Unwritable, SamplesAreRefusedAsFolderGridAndArray) {
  const std::vector<std::string> sample = {
      "sample", "--model", (scratch_ / "model").string(), "--steps", "2", "--num", "1"};
  for (const char* name : {"ito_samples", "ito_grid.png", "ito_array.npz", "ito_array.safetensors"})
    expect_refused(sample, name);
}

TEST_F(Unwritable, EvaluationIsRefused) {
  TensorFile in;
  in.tensors.emplace("sample", tensor_from_floats({1, 1, 8, 8}, std::vector<float>(64, 0.5f)));
  in.tensors.emplace("timestep", tensor_from_int64({1}, {10}));
  in.tensors.emplace("class_labels", tensor_from_int64({1}, {0}));
  const Path input = scratch_ / "in.safetensors";
  ASSERT_TRUE(write_safetensors(input, in).ok());
  expect_refused({"forward", "--model", (scratch_ / "model").string(), "--in", input.string()},
                 "ito_out.safetensors");
}

}  // namespace
}  // namespace ito::test
