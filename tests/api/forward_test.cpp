// forward() on models whose class labels are no indices: times, or embeddings.
#include "api/forward.h"

#include <cmath>

#include "graph/builder.h"
#include "graph/interpret.h"
#include "nn/unet2d.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

Model tiny_model(const std::string& class_embed_type) {
  UNet2DConfig config;
  config.in_channels = config.out_channels = 1;
  config.block_out_channels = {8};
  config.down_block_types = {"DownBlock2D"};
  config.up_block_types = {"UpBlock2D"};
  config.layers_per_block = 1;
  config.norm_num_groups = 4;
  config.add_attention = false;
  config.class_embed_type = class_embed_type;
  Model model;
  model.network = unet2d_network(config).value();
  model.weights = initial_parameters(model.network.set(), 2);
  return model;
}

std::vector<float> waves(int64_t count, float step) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(std::sin(step * static_cast<float>(i + 1)));
  return values;
}

class ForwardLabels : public VulkanTest {
 protected:
  // Output of the device and of the interpreter.
  void expect_agreement(const std::string& type, const Shape& label_shape) {
    const Model model = tiny_model(type);
    const Shape shape{2, 4, 4, 1};  // one channel: NCHW and NHWC hold the same numbers
    const std::vector<float> sample = waves(32, 0.7f), labels = waves(label_shape.numel(), 1.3f),
                             timestep = {3, 500};
    TensorFile inputs;
    inputs.tensors.emplace("sample", tensor_from_floats({2, 1, 4, 4}, sample));
    inputs.tensors.emplace("timestep", tensor_from_floats({2}, timestep));
    inputs.tensors.emplace("class_labels", tensor_from_floats(label_shape, labels));
    ASSERT_OK_AND_ASSIGN(const TensorFile outputs, forward(device(), model, inputs, false, "test"));
    const std::vector<float> found = to_floats(outputs.tensors.at("out"));

    const ParameterSet& set = model.network.set();
    Graph graph;
    const Tensor out =
        unet2d(Scope(set, input(graph, "params", {set.size()})),
               *model.network.config_as<UNet2DConfig>(), input(graph, "sample", shape),
               input(graph, "timestep", {2}), input(graph, "class_labels", label_shape));
    const auto value = [](const Shape& of, const std::vector<float>& data) {
      return HostValue{of, {data.begin(), data.end()}};
    };
    const auto expected = interpret({out}, {{"params", value({set.size()}, model.weights)},
                                            {"sample", value(shape, sample)},
                                            {"timestep", value({2}, timestep)},
                                            {"class_labels", value(label_shape, labels)}});
    ASSERT_TRUE(expected.ok()) << expected.error().message;
    ASSERT_EQ(found.size(), 32u);
    for (size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(found[i], (*expected)[0].data[i], 2e-5) << i;

    inputs.tensors.erase("class_labels");
    const auto missing = forward(device(), model, inputs, false, "test");
    ASSERT_FALSE(missing.ok());
    EXPECT_NE(missing.error().message.find("class_labels"), std::string::npos);
    inputs.tensors.emplace("class_labels", tensor_from_floats({3}, {1, 2, 3}));
    EXPECT_FALSE(forward(device(), model, inputs, false, "test").ok());
  }
};

TEST_F(ForwardLabels, TimesAreEmbeddedLikeTimesteps) { expect_agreement("timestep", {2}); }

TEST_F(ForwardLabels, EmbeddingsAreAddedAsTheyAre) { expect_agreement("identity", {2, 32}); }

}  // namespace
}  // namespace ito::test
