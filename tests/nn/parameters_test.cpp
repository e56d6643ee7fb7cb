#include "nn/parameters.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/nn/pack_parameters.h"

namespace ito {
namespace {

ParameterSet small_set() {
  ParameterSet set;
  set.declare("table", {.foreign_shape = Shape{5}, .init = Init::kNormal, .trainable = false});
  set.declare("conv.weight", {.foreign_shape = Shape{3, 2, 1, 2},
                              .layout = Layout::kConv,
                              .init = Init::kUniform,
                              .fan_in = 4});
  set.declare("conv.bias", {.foreign_shape = Shape{3}, .init = Init::kUniform, .fan_in = 4});
  set.declare("norm.weight", {.foreign_shape = Shape{3}, .init = Init::kOnes});
  set.declare("fc.weight", {.foreign_shape = Shape{2, 3},
                            .layout = Layout::kLinear,
                            .init = Init::kUniform,
                            .fan_in = 3});
  set.finish();
  return set;
}

ForeignTensors counted_tensors(const ParameterSet& set) {
  ForeignTensors tensors;
  float next = 1;
  for (const Parameter& parameter : set.parameters()) {
    ForeignTensor tensor{parameter.spec.foreign_shape, {}};
    for (int64_t i = 0; i < parameter.numel(); ++i) tensor.data.push_back(next++);
    tensors[parameter.name] = std::move(tensor);
  }
  return tensors;
}

TEST(ParameterSet, AlignsOffsetsAndPutsFrozenParametersLast) {
  const ParameterSet set = small_set();
  EXPECT_EQ(set.count(), 5 + 12 + 3 + 3 + 6);
  EXPECT_EQ(set.find("conv.weight")->offset, 0);
  EXPECT_EQ(set.find("conv.bias")->offset, 16);
  EXPECT_EQ(set.find("norm.weight")->offset, 32);
  EXPECT_EQ(set.find("fc.weight")->offset, 48);
  EXPECT_EQ(set.find("table")->offset, 64);
  EXPECT_EQ(set.trainable_size(), 64);
  EXPECT_EQ(set.size(), 80);
  EXPECT_EQ(set.find("nothing"), nullptr);
}

TEST(ParameterSet, PacksPyTorchLayoutsIntoOurs) {
  const ParameterSet set = small_set();
  EXPECT_EQ(set.find("conv.weight")->shape, (Shape{1, 2, 2, 3}));
  EXPECT_EQ(set.find("fc.weight")->shape, (Shape{3, 2}));
  ForeignTensors tensors = counted_tensors(set);
  tensors["conv.weight"].data = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};  // [o][i][1][kw]
  tensors["fc.weight"].data = {0, 1, 2, 3, 4, 5};                        // [o][i]
  const std::vector<float> flat = pack_parameters(set, tensors).value();
  const std::vector<float> conv(flat.begin(), flat.begin() + 12);  // [1][kw][i][o]
  EXPECT_EQ(conv, (std::vector<float>{0, 4, 8, 2, 6, 10, 1, 5, 9, 3, 7, 11}));
  const std::vector<float> fc(flat.begin() + 48, flat.begin() + 54);  // [i][o]
  EXPECT_EQ(fc, (std::vector<float>{0, 3, 1, 4, 2, 5}));
  for (int gap : {12, 15, 19, 31, 54, 63, 69, 79}) EXPECT_EQ(flat[static_cast<size_t>(gap)], 0);
}

TEST(ParameterSet, UnpackUndoesPack) {
  const ParameterSet set = small_set();
  const ForeignTensors tensors = counted_tensors(set);
  const ForeignTensors again = unpack_parameters(set, pack_parameters(set, tensors).value());
  ASSERT_EQ(again.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(again.at(name).shape, tensor.shape) << name;
    EXPECT_EQ(again.at(name).data, tensor.data) << name;
  }
}

TEST(ParameterSet, NamesAMissingTensor) {
  const ParameterSet set = small_set();
  ForeignTensors tensors = counted_tensors(set);
  tensors.erase("conv.bias");
  const auto result = pack_parameters(set, tensors);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind, ErrorKind::kNotFound);
  EXPECT_NE(result.error().message.find("conv.bias"), std::string::npos);
  EXPECT_NE(result.error().message.find("[3]"), std::string::npos);
}

TEST(ParameterSet, NamesAnExtraTensor) {
  const ParameterSet set = small_set();
  ForeignTensors tensors = counted_tensors(set);
  tensors["conv.scale"] = {Shape{1}, {1.0f}};
  const auto result = pack_parameters(set, tensors);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message.find("conv.scale"), std::string::npos);
}

TEST(ParameterSet, NamesAWronglyShapedTensorWithBothShapes) {
  const ParameterSet set = small_set();
  ForeignTensors tensors = counted_tensors(set);
  tensors["fc.weight"].shape = Shape{3, 2};
  const auto result = pack_parameters(set, tensors);
  ASSERT_FALSE(result.ok());
  for (const char* part : {"fc.weight", "[2,3]", "[3,2]"}) {
    EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
  }
}

TEST(InitialParameters, DependOnSeedAndNameOnly) {
  const ParameterSet set = small_set();
  const std::vector<float> a = initial_parameters(set, 1);
  EXPECT_EQ(a, initial_parameters(set, 1));
  EXPECT_NE(a, initial_parameters(set, 2));
  ParameterSet other;
  other.declare("something.before", {.foreign_shape = Shape{7}, .init = Init::kNormal});
  other.declare("conv.bias", {.foreign_shape = Shape{3}, .init = Init::kUniform, .fan_in = 4});
  other.finish();
  const std::vector<float> b = initial_parameters(other, 1);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(b[static_cast<size_t>(other.find("conv.bias")->offset) + i],
              a[static_cast<size_t>(set.find("conv.bias")->offset) + i]);
  }
}

TEST(InitialParameters, HaveTheDistributionsOfPyTorch) {
  constexpr int64_t n = 40000;
  ParameterSet set;
  set.declare("uniform", {.foreign_shape = Shape{n}, .init = Init::kUniform, .fan_in = 25});
  set.declare("normal", {.foreign_shape = Shape{n}, .init = Init::kNormal, .init_scale = 16});
  set.declare("ones", {.foreign_shape = Shape{n}, .init = Init::kOnes});
  set.finish();
  const ForeignTensors tensors = unpack_parameters(set, initial_parameters(set, 3));
  const auto moments = [](const std::vector<float>& x) {
    double mean = 0, square = 0;
    for (float value : x) mean += value, square += double{value} * value;
    mean /= static_cast<double>(x.size());
    return std::pair{mean, square / static_cast<double>(x.size()) - mean * mean};
  };
  // Four standard errors of mean and variance over n draws.
  const auto [um, uv] = moments(tensors.at("uniform").data);
  EXPECT_NEAR(um, 0, 4 * 0.2 / std::sqrt(3.0 * n));
  EXPECT_NEAR(uv, 0.04 / 3, 4 * 0.04 / 3 * std::sqrt(0.8 / n));
  for (float value : tensors.at("uniform").data) ASSERT_LT(std::abs(value), 0.2f);
  const auto [nm, nv] = moments(tensors.at("normal").data);
  EXPECT_NEAR(nm, 0, 4 * 16 / std::sqrt(1.0 * n));
  EXPECT_NEAR(nv, 256, 4 * 256 * std::sqrt(2.0 / n));
  for (float value : tensors.at("ones").data) ASSERT_EQ(value, 1.0f);
}

}  // namespace
}  // namespace ito
