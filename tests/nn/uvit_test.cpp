// U-ViT on the interpreter, beside tests/golden/uvit.py: PyTorch in double precision.
#include <gtest/gtest.h>

#include <cmath>

#include "base/config_values.h"
#include "finite_difference.h"
#include "nn/networks.h"
#include "sine_network.h"

namespace ito {
namespace {

ConfigValues tiny_uvit() {
  return {{{"in_channels", int64_t{2}},
           {"out_channels", int64_t{2}},
           {"height", int64_t{4}},
           {"width", int64_t{8}},
           {"patch_size", int64_t{2}},
           {"features", int64_t{12}},
           {"depth", int64_t{5}},
           {"heads", int64_t{2}},
           {"classes", int64_t{4}},
           {"qkv_bias", false},
           {"final_conv", true},
           {"dropout", 0.0}}};
}

ConfigValues with(ConfigValues values, std::map<std::string, ConfigValue> other) {
  for (auto& [key, value] : other) values.values[key] = value;
  return values;
}

Result<Network> uvit_of(const ConfigValues& values) { return make_network("uvit", values); }

// Images that are not square; two pairs of blocks, so that the order of the skips matters.
TEST(UViT, OutputAndGradientsAreThoseOfPyTorch) {
  SineNetwork told(uvit_of(tiny_uvit()).value(), {2, 4, 8, 2}, {7, 801}, {2, 3});
  expect_values(told, {.first = {0.3812627036042352, 0.18738000849048206, 0.11237600909621812,
                                 -0.08198690194297166},
                       .output = {2.7184555276093407, -1.395426265658629},
                       .gradient = {0.36838778944248296, -0.29362248702561256},
                       .weights = 10282});
  const ConfigValues other = with(tiny_uvit(), {{"out_channels", int64_t{4}},
                                                {"height", int64_t{6}},
                                                {"width", int64_t{6}},
                                                {"patch_size", int64_t{3}},
                                                {"depth", int64_t{3}},
                                                {"heads", int64_t{3}},
                                                {"classes", int64_t{0}},
                                                {"qkv_bias", true},
                                                {"final_conv", false}});
  SineNetwork variance(uvit_of(other).value(), {1, 6, 6, 2}, {250}, {});
  expect_values(variance, {.first = {0.174907243945062, 0.4190342475497555, -0.11375082436805067,
                                     0.4583726119889249},
                           .output = {4.262592462773971, -0.006504334021537828},
                           .gradient = {0.46140864990121594, 0.23411346842722555},
                           .weights = 6732});
}

TEST(UViT, GradientsAreThoseOfDifferences) {
  const SineNetwork told(uvit_of(tiny_uvit()).value(), {1, 4, 8, 2}, {30}, {1});
  const Tensor loss = mean_all(square(told.y));
  expect_gradient(loss, flat_gradient(told.network.set(), told.flat, loss), "params", told.inputs);
}

// Millions of weights of Bao et al. 2023, table 1, on the images that they were trained on:
// CIFAR-10, ImageNet of 64x64, and latents of 256x256.
TEST(UViT, CountsTheWeightsThatArePublished) {
  struct Published {
    const char* name;
    int64_t depth, features, heads, side, patch, channels, classes;
    double millions;
  };
  for (const Published& p : {Published{"S", 13, 512, 8, 32, 2, 3, 0, 44},
                             Published{"M", 17, 768, 12, 64, 4, 3, 1000, 131},
                             Published{"L", 21, 1024, 16, 64, 4, 3, 1000, 287},
                             Published{"H", 29, 1152, 16, 32, 2, 4, 1001, 501}}) {
    SCOPED_TRACE(p.name);
    const Network network = uvit_of(with(tiny_uvit(), {{"in_channels", p.channels},
                                                       {"out_channels", p.channels},
                                                       {"height", p.side},
                                                       {"width", p.side},
                                                       {"patch_size", p.patch},
                                                       {"features", p.features},
                                                       {"depth", p.depth},
                                                       {"heads", p.heads},
                                                       {"classes", p.classes}}))
                                .value();
    EXPECT_EQ(std::round(static_cast<double>(network.set().count()) / 1e6), p.millions);
    const Parameter* skip = network.set().find("out_blocks.0.skip_linear.weight");
    ASSERT_NE(skip, nullptr);
    EXPECT_EQ(skip->spec.foreign_shape, (Shape{p.features, 2 * p.features}));
  }
}

// In training, and twice in each of five blocks: of what its attention gives, and of the widened
// tokens.
TEST(UViT, LeavesOutInTrainingOnly) {
  const Network network = uvit_of(with(tiny_uvit(), {{"dropout", 0.3}})).value();
  const auto draws = [&](bool training) {
    Graph graph;
    const Randomness random{.key = constant(graph, {2}, {3, 5}, DType::kU32),
                            .image = iota(graph, {1}, 0),
                            .step = scalar(graph, 11, DType::kU32)};
    const Scope scope(network.set(), input(graph, "params", {network.set().size()}));
    network.build(training ? scope.drawing(random) : scope, input(graph, "x", {1, 4, 8, 2}),
                  input(graph, "t", {1}), conditioning_inputs(graph, network.signature(), 1));
    size_t found = 0;
    for (NodeId id = 0; id < graph.size(); ++id)
      found += graph.node(id).op == Op::kPhilox ? 1u : 0u;
    return found;
  };
  EXPECT_EQ(draws(true), 10u);
  EXPECT_EQ(draws(false), 0u);
}

TEST(UViT, RefusesWhatItIsNot) {
  const auto refused = [](std::map<std::string, ConfigValue> other, const char* part) {
    const auto network = uvit_of(with(tiny_uvit(), std::move(other)));
    ASSERT_FALSE(network.ok()) << part;
    EXPECT_NE(network.error().message.find(part), std::string::npos) << network.error().message;
  };
  refused({{"depth", int64_t{4}}}, "depth: expected an odd number of blocks, found 4");
  refused({{"features", int64_t{9}}}, "features: expected a multiple of 2 and of heads 2");
  refused({{"patch_size", int64_t{3}}}, "multiples of patch_size 3, found 4x8");
  refused({{"classes", int64_t{-1}}}, "classes");
  refused({{"heads", 2.5}}, "key 'heads': expected an integer");
  refused({{"layers", int64_t{2}}}, "key 'layers'");
  const Network network = uvit_of(tiny_uvit()).value();
  EXPECT_TRUE(network.check_size(4, 8).ok());
  EXPECT_FALSE(network.check_size(8, 4).ok());
}

// Images of another size, and a class where there was none, are no training from such a model;
// other classes are.
TEST(UViT, TrainingsGoOnWithWhatItLearned) {
  const Network network = uvit_of(tiny_uvit()).value();
  const NetworkTraining& training = training_of(network);
  NetworkOptions options;
  ImageNeeds needs;
  training.read(network.config(), options, needs);
  EXPECT_EQ(options.channels, std::vector<int>{12});
  EXPECT_EQ(options.depth, 5);
  EXPECT_EQ(needs.classes, 4);
  const auto adapted = [&](const ImageNeeds& wanted) -> Status {
    NetworkConfig config = network.config();
    ITO_TRY(training.adapt(config, options, wanted));
    const Network again = make_network("uvit", config).value();
    EXPECT_EQ(again.signature().classes.classes(), wanted.classes);
    return {};
  };
  EXPECT_TRUE(adapted(needs).ok());
  ImageNeeds other = needs;
  other.classes = 9;
  EXPECT_TRUE(adapted(other).ok());
  other.classes = 0;
  EXPECT_NE(adapted(other).error().message.find("the images have no classes"), std::string::npos);
  other = needs;
  other.size = {8, 8};
  EXPECT_NE(adapted(other).error().message.find("places of 8x4 images, found 8x8"),
            std::string::npos);
}

}  // namespace
}  // namespace ito
