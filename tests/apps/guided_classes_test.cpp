// A classifier guides to, and counts, the class of the model's name, wherever it has that class.
#include <algorithm>
#include <cmath>

#include "io/class_names.h"
#include "io/safetensors.h"
#include "nn/noisy_classifier.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"

namespace ito::test {
namespace {

// Row k of the head becomes what row order[k] was.
void reorder_head(const Path& folder, const std::vector<size_t>& order) {
  const Path path = folder / "model.safetensors";
  TensorFile file = read_safetensors(path).value();
  for (const char* name : {"head.weight", "head.bias"}) {
    HostTensor& tensor = file.tensors.at(name);
    const std::vector<float> old = to_floats(tensor);
    const size_t width = old.size() / order.size();
    std::vector<float> values;
    for (const size_t from : order)
      values.insert(values.end(), old.begin() + static_cast<ptrdiff_t>(from * width),
                    old.begin() + static_cast<ptrdiff_t>((from + 1) * width));
    tensor = tensor_from_floats(tensor.shape, values);
  }
  const Status status = write_safetensors(path, file);
  ASSERT_TRUE(status.ok()) << status.error().message;
}

class GuidedClasses : public ::testing::Test {
 protected:
  void SetUp() override {
    write_tiny_model(scratch_ / "model");  // three classes
    name(scratch_ / "model", {"boot", "sneaker", "bag"});
    NoisyClassifierConfig config;
    config.image.image_size = 8;
    config.image.in_channels = 1;
    config.image.channels = {8};
    config.image.norm_groups = 4;
    config.image.classes = 4;
    const auto network = noisy_classifier_network(config);
    ASSERT_TRUE(network.ok()) << network.error().message;
    std::vector<float> weights = initial_parameters(network->set(), 3);
    for (size_t i = 0; i < weights.size(); ++i)
      weights[i] += 0.3f * std::sin(static_cast<float>(i));  // a head that sees differences
    const Status status = save_model(scratch_ / "judge", *network, {}, weights);
    ASSERT_TRUE(status.ok()) << status.error().message;
    std::filesystem::copy(scratch_ / "judge", scratch_ / "moved");
    // The judge is called {hat, bag, boot, sneaker}; moved is the same with the model's order
    // first.
    name(scratch_ / "judge", {"hat", "bag", "boot", "sneaker"});
    reorder_head(scratch_ / "moved", {2, 3, 1, 0});
    name(scratch_ / "moved", {"boot", "sneaker", "bag", "hat"});
  }
  static void name(const Path& folder, const std::vector<std::string>& names) {
    const ClassNames classes{.names = names, .images = std::vector<int64_t>(names.size(), 1)};
    ASSERT_TRUE(write_class_names(folder, classes).ok());
  }
  std::vector<float> guided(const char* judge) {
    const Path out = scratch_ / "out.safetensors";
    const Outcome outcome =
        run_ito({"sample", "--model", (scratch_ / "model").string(), "--seeds", "0-2", "--steps",
                 "3", "--sampler", "ddim", "--guidance-classifier", (scratch_ / judge).string(),
                 "--guidance-scale", "20", "--out", out.string()});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    err_ = outcome.err;
    return outcome.code == 0 ? to_floats(read_safetensors(out).value().tensors.at("images"))
                             : std::vector<float>();
  }

  Scratch scratch_;
  std::string err_;
};

TEST_F(GuidedClasses, AreThoseOfTheModelsNames) {
  const std::vector<float> by_name = guided("judge"), in_order = guided("moved");
  ASSERT_EQ(by_name.size(), in_order.size());
  float apart = 0;
  for (size_t i = 0; i < by_name.size(); ++i)
    apart = std::max(apart, std::abs(by_name[i] - in_order[i]));
  EXPECT_LT(apart, 1e-4f);  // the order of sums over the classes
  // Without names numbers are taken, which is said: other pictures.
  std::filesystem::remove(scratch_ / "judge/classes.json");
  const Outcome refused =
      run_ito({"sample", "--model", (scratch_ / "model").string(), "--seeds", "0-2", "--steps", "3",
               "--guidance-classifier", (scratch_ / "judge").string(), "--guidance-scale", "20",
               "--out", (scratch_ / "x").string()});
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("taken by number"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("has 4 classes, the model 3"), std::string::npos) << refused.err;
}

TEST_F(GuidedClasses, ThatTheClassifierDoesNotKnowAreNamed) {
  name(scratch_ / "judge", {"hat", "bag", "boot", "coat"});
  const Outcome outcome = run_ito(
      {"sample", "--model", (scratch_ / "model").string(), "--seeds", "0-2", "--steps", "3",
       "--guidance-classifier", (scratch_ / "judge").string(), "--out", (scratch_ / "x").string()});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("does not know the model's class sneaker"), std::string::npos)
      << outcome.err;
}

}  // namespace
}  // namespace ito::test
