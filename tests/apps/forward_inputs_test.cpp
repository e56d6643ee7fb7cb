// `ito forward` looks at its tensors before it opens a device: one error that names the tensor.
#include "io/safetensors.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"

namespace ito::test {
namespace {

class ForwardTensors : public ::testing::Test {
 protected:
  void SetUp() override {
    write_tiny_model(scratch_ / "model");  // 8x8x1, three classes
    good_.tensors = {{"sample", tensor_from_floats({2, 1, 8, 8}, std::vector<float>(128))},
                     {"timestep", tensor_from_int64({2}, {3, 500})},
                     {"class_labels", tensor_from_int64({2}, {0, 2})}};
  }
  std::vector<std::string> command(const TensorFile& file,
                                   const std::vector<std::string>& more = {}) const {
    const Path in = scratch_ / "in.safetensors";
    EXPECT_TRUE(write_safetensors(in, file).ok());
    return with({"forward", "--model", (scratch_ / "model").string(), "--in", in.string(), "--out",
                 (scratch_ / "out.safetensors").string()},
                more);
  }
  // On a machine without any device.
  Outcome without_device(const TensorFile& file, const std::vector<std::string>& more = {}) const {
    return run_ito(Start{
        .arguments = command(file, more),
        .launcher = false,
        .environment = {{"VK_DRIVER_FILES", "/nonexistent"}, {"VK_ICD_FILENAMES", "/nonexistent"}},
        .when = {}});
  }
  TensorFile with_tensor(const char* name, HostTensor tensor) const {
    TensorFile file = good_;
    file.tensors.insert_or_assign(name, std::move(tensor));
    return file;
  }
  TensorFile without(const char* name) const {
    TensorFile file = good_;
    file.tensors.erase(name);
    return file;
  }

  Scratch scratch_;
  TensorFile good_;
};

TEST_F(ForwardTensors, AreJudgedWithoutADevice) {
  const auto floats = [](Shape shape) {
    const std::vector<float> zeros(static_cast<size_t>(shape.numel()));
    return tensor_from_floats(std::move(shape), zeros);
  };
  struct Case {
    TensorFile file;
    std::string says;
    std::vector<std::string> more = {};
  };
  const std::vector<Case> cases = {
      {without("sample"), "'sample' is missing"},
      {without("timestep"), "'timestep' is missing"},
      {without("class_labels"), "'class_labels' is missing"},
      {with_tensor("sample", floats({2, 8, 8, 1})), "'sample' has shape [2,8,8,1], expected [n,1,"},
      {with_tensor("sample", floats({8, 8})), "'sample' has shape [8,8], expected [n,1,h,w]"},
      {with_tensor("sample", floats({0, 1, 8, 8})), "'sample' has shape [0,1,8,8]"},
      {with_tensor("sample", tensor_from_int64({2, 1, 8, 8}, std::vector<int64_t>(128))),
       "'sample' is of type I64, expected floating"},
      {with_tensor("timestep", floats({3})), "'timestep' has shape [3], expected [2] or []"},
      {with_tensor("timestep", floats({2, 1})), "'timestep' has shape [2,1]"},
      {with_tensor("class_labels", floats({2})),
       "'class_labels' is of type F32, expected integers"},
      {with_tensor("class_labels", tensor_from_int64({2}, {0, 3})),
       "'class_labels' has class 3, expected 0 to 2"},
      {with_tensor("class_labels", tensor_from_int64({1}, {0})), "'class_labels' has shape [1]"},
      {with_tensor("encoder_hidden_states", floats({2, 4, 8})),
       "'encoder_hidden_states' was given, but the model has no use for it"},
      {with_tensor("timestep_cond", floats({2, 4})), "'timestep_cond' was given"},
      {good_, "'target' is missing", {"--grad"}},
      {with_tensor("target", floats({2, 8, 8, 1})), "'target' has shape", {"--grad"}},
      {good_, "fp32 alone", {"--grad", "--precision", "fp16"}},
  };
  for (const Case& c : cases) {
    const Outcome outcome = without_device(c.file, c.more);
    EXPECT_EQ(outcome.code, 1) << c.says << ": " << outcome.err;
    EXPECT_NE(outcome.err.find(c.says), std::string::npos) << c.says << ": " << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
}

TEST_F(ForwardTensors, OfOtherNamesAreNamedAndLeftOut) {
  const TensorFile extra = with_tensor("mask", tensor_from_floats({1}, {1}));
  const Outcome outcome = run_ito(command(extra));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("tensors that are not used: mask"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace ito::test
