// Values and gradients of whole U-Nets on the interpreter.
#include "nn/unet2d.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "finite_difference.h"
#include "nn/layers.h"
#include "program_runner.h"
#include "torch_random.h"

namespace ito {
namespace {

UNet2DConfig tiny() {
  UNet2DConfig config;
  config.in_channels = config.out_channels = 2;
  config.block_out_channels = {4, 8};
  config.down_block_types = {"DownBlock2D", "AttnDownBlock2D"};
  config.up_block_types = {"AttnUpBlock2D", "UpBlock2D"};
  config.layers_per_block = 1;
  config.norm_num_groups = 2;
  config.attention_head_dim = 4;
  return config;
}

UNet2DConfig ncsnpp() {
  UNet2DConfig config = tiny();
  config.in_channels = config.out_channels = 3;
  config.block_out_channels = {32, 32};
  config.down_block_types = {"SkipDownBlock2D", "AttnSkipDownBlock2D"};
  config.up_block_types = {"AttnSkipUpBlock2D", "SkipUpBlock2D"};
  config.norm_num_groups.reset();
  config.attention_head_dim.reset();
  config.time_embedding_type = "fourier";
  return config;
}

// A network with its inputs drawn from seed 0.
struct Built {
  ParameterSet set;
  Graph graph;
  Tensor flat, x, t, labels, y;
  HostValues inputs;

  Built(const UNet2DConfig& config, Shape shape, std::vector<double> timesteps) {
    const auto parameters = unet2d_parameters(config);
    EXPECT_TRUE(parameters.ok()) << parameters.error().message;
    set = *parameters;
    const int64_t n = shape[0];
    TorchRandom random(0);
    inputs["params"] = host_value(Shape{set.size()}, initial_parameters(set, 0));
    inputs["x"] = host_value(shape, random.normal(static_cast<size_t>(shape.numel())));
    inputs["t"] = host_value(Shape{n}, std::move(timesteps));
    flat = input(graph, "params", Shape{set.size()});
    x = input(graph, "x", shape);
    t = input(graph, "t", Shape{n});
    if (config.class_embed_type == "identity") {
      const Shape label_shape{n, 4 * config.block_out_channels[0]};
      labels = input(graph, "labels", label_shape);
      inputs["labels"] =
          host_value(label_shape, random.normal(static_cast<size_t>(label_shape.numel())));
    } else if (config.num_class_embeds || config.class_embed_type) {
      labels = input(graph, "labels", Shape{n}, DType::kU32);
      std::vector<double> classes;
      for (int64_t i = 0; i < n; ++i) classes.push_back(static_cast<double>(2 * i + 1));
      inputs["labels"] = host_value(Shape{n}, std::move(classes));
    }
    y = unet2d(Scope(set, flat), config, x, t, labels);
  }
};

struct Variant {
  const char* name;
  void (*change)(UNet2DConfig&);
  Shape shape = Shape{2, 6, 4, 2};
};

class UNet2DVariant : public testing::TestWithParam<Variant> {};

TEST_P(UNet2DVariant, GradientsMatchFiniteDifferences) {
  UNet2DConfig config = tiny();
  GetParam().change(config);
  Built net(config, GetParam().shape, {3, 40});
  EXPECT_EQ(net.y.shape(), GetParam().shape);
  const Tensor loss = mean_all(square(net.y - 0.5));
  expect_gradient(loss, flat_gradient(net.set, net.flat, loss), "params", net.inputs);
  expect_gradient(loss, grad(loss, {net.x})[0], "x", net.inputs);
}

INSTANTIATE_TEST_SUITE_P(
    UNet2D, UNet2DVariant,
    testing::Values(
        Variant{"Plain", [](UNet2DConfig&) {}},
        Variant{"OddSizes", [](UNet2DConfig&) {}, Shape{2, 5, 7, 2}},
        Variant{"OddSizesOfResnetSamplers",
                [](UNet2DConfig& c) {
                  c.down_block_types[0] = "ResnetDownsampleBlock2D";
                  c.up_block_types[0] = "ResnetUpsampleBlock2D";
                },
                Shape{2, 5, 7, 2}},
        Variant{"ScaleShift",
                [](UNet2DConfig& c) {
                  c.resnet_time_scale_shift = "scale_shift";
                  c.down_block_types = {"AttnDownBlock2D", "DownBlock2D"};
                  c.downsample_type = c.upsample_type = "resnet";
                  c.act_fn = "gelu";
                }},
        Variant{"PaddingZero",
                [](UNet2DConfig& c) {
                  c.downsample_padding = 0;
                  c.act_fn = "mish";
                }},
        Variant{"Classes",
                [](UNet2DConfig& c) {
                  c.num_class_embeds = 5;
                  c.mid_block_scale_factor = 1.5;
                }},
        Variant{"TimestepClasses", [](UNet2DConfig& c) { c.class_embed_type = "timestep"; }},
        Variant{"IdentityClasses", [](UNet2DConfig& c) { c.class_embed_type = "identity"; }},
        Variant{"LearnedTime",
                [](UNet2DConfig& c) {
                  c.time_embedding_type = "learned";
                  c.num_train_timesteps = 50;
                }},
        Variant{"NoMiddle", [](UNet2DConfig& c) { c.mid_block_type.reset(); }},
        Variant{"NarrowHeads", [](UNet2DConfig& c) { c.attention_head_dim = 3; }}),
    [](const auto& info) { return info.param.name; });

TEST(UNet2D, NcsnppGradientsMatchFiniteDifferences) {
  Built net(ncsnpp(), Shape{2, 4, 4, 3}, {0.5, 7});
  const Tensor loss = mean_all(square(net.y * reshape(net.t, Shape{2, 1, 1, 1}) - 0.5));
  expect_gradient(loss, grad(loss, {net.x})[0], "x", net.inputs);
  const HostValue gradient = evaluate(flat_gradient(net.set, net.flat, loss), net.inputs);
  // The Fourier frequencies are frozen: their gradient is not computed.
  const Parameter& frozen = *net.set.find("time_proj.weight");
  for (int64_t i = 0; i < frozen.numel(); ++i) {
    EXPECT_EQ(gradient.data[static_cast<size_t>(frozen.offset + i)], 0);
  }
}

TEST(UNet2D, CentersItsInputOnRequest) {
  UNet2DConfig config = tiny();
  Built plain(config, Shape{1, 4, 4, 2}, {5});
  config.center_input_sample = true;
  Built centered(config, Shape{1, 4, 4, 2}, {5});
  for (double& value : plain.inputs["x"].data) value = 2 * value - 1;
  EXPECT_EQ(evaluate(plain.y, plain.inputs).data, evaluate(centered.y, centered.inputs).data);
}

TEST(UNet2D, ImagesOfABatchDoNotMeet) {
  Built pair(tiny(), Shape{2, 4, 4, 2}, {5, 9});
  Built single(tiny(), Shape{1, 4, 4, 2}, {9});
  auto& x = pair.inputs["x"].data;
  single.inputs["x"].data.assign(x.begin() + 32, x.end());
  const HostValue both = evaluate(pair.y, pair.inputs);
  const HostValue one = evaluate(single.y, single.inputs);
  for (size_t i = 0; i < 32; ++i) EXPECT_NEAR(both.data[32 + i], one.data[i], 1e-12);
}

// diffusers fixes three image channels in these blocks; ours have the model's, with its names.
TEST(UNet2D, NcsnppBlocksCarryImagesOfAnyChannelCount) {
  UNet2DConfig config = ncsnpp();
  config.in_channels = config.out_channels = 1;
  Built net(config, Shape{2, 8, 8, 1}, {0.1, 20});
  EXPECT_EQ(net.set.find("down_blocks.0.skip_conv.weight")->spec.foreign_shape,
            (Shape{32, 1, 1, 1}));
  EXPECT_EQ(net.set.find("up_blocks.0.skip_conv.weight")->spec.foreign_shape, (Shape{1, 32, 3, 3}));
  const HostValue y = evaluate(net.y, net.inputs);
  EXPECT_EQ(y.shape, (Shape{2, 8, 8, 1}));
  EXPECT_TRUE(std::all_of(y.data.begin(), y.data.end(), [](double v) { return std::isfinite(v); }));
}

TEST(UNet2D, WithoutNoiseConditioningSigmaOnlyDivides) {
  UNet2DConfig config = tiny();
  config.time_embedding_type = "none";
  Built net(config, Shape{1, 4, 4, 2}, {1});
  for (const Parameter& p : net.set.parameters())
    EXPECT_EQ(p.name.find("time"), std::string::npos) << p.name;
  const HostValue at_one = evaluate(net.y, net.inputs);
  net.inputs["t"].data = {8};
  const HostValue at_eight = evaluate(net.y, net.inputs);
  for (size_t i = 0; i < at_one.data.size(); ++i)
    EXPECT_NEAR(at_eight.data[i], at_one.data[i] / 8, 1e-12);
}

TEST(UNet2D, WithoutNoiseConditioningClassesStillCount) {
  UNet2DConfig config = tiny();
  config.time_embedding_type = "none";
  config.num_class_embeds = 5;
  Built net(config, Shape{1, 4, 4, 2}, {1});
  const HostValue one = evaluate(net.y, net.inputs);
  net.inputs["labels"].data = {3};
  EXPECT_NE(evaluate(net.y, net.inputs).data, one.data);
}

// Karras et al. 2022, table 1: c_in in front, c_skip and c_out behind the same network.
TEST(UNet2D, SigmaDataIsTheirPreconditioning) {
  UNet2DConfig config = ncsnpp();
  Built plain(config, Shape{1, 8, 8, 3}, {3});
  config.sigma_data = 0.5;
  Built scaled(config, Shape{1, 8, 8, 3}, {3});
  for (double& value : plain.inputs["x"].data) value /= std::sqrt(9 + 0.25);
  const HostValue a = evaluate(plain.y, plain.inputs), b = evaluate(scaled.y, scaled.inputs);
  const std::vector<double>& x = scaled.inputs["x"].data;
  for (size_t i = 0; i < x.size(); ++i) {
    const double f = 3 * a.data[i];  // the plain network divides by sigma
    const double denoised = 0.25 / 9.25 * x[i] + 3 * 0.5 / std::sqrt(9.25) * f;
    EXPECT_NEAR(b.data[i], (denoised - x[i]) / 9, 1e-10);
  }
}

// diffusers' own test of its DDPM pipeline: weights and noise from seed 0, two steps; it states the
// blue channel's lower right corner. This checks a whole network's values without any weights file.
TEST(UNet2D, DdpmPipelineOfDiffusersTestSuite) {
  UNet2DConfig config = tiny();
  config.in_channels = config.out_channels = 3;
  config.norm_num_groups = 4;
  config.attention_head_dim = 8;
  const ParameterSet set = unet2d_parameters(config).value();
  EXPECT_EQ(set.count(), 11767);
  TorchRandom weights(0), noise(0);
  const auto draw = [&] { return channels_last(noise.normal(192), 1, 3, 8, 8); };
  HostValues inputs;
  inputs["params"] = host_value(Shape{set.size()}, torch_parameters(set, weights));
  HostValue& x = inputs["x"];
  x = host_value(Shape{1, 8, 8, 3}, draw());
  Graph graph;
  const Tensor y = unet2d(Scope(set, input(graph, "params", Shape{set.size()})), config,
                          input(graph, "x", Shape{1, 8, 8, 3}), input(graph, "t", Shape{1}));

  std::vector<double> alpha_bar;
  double product = 1;
  for (int t = 0; t < 1000; ++t) {
    product *= 1 - (1e-4 + (0.02 - 1e-4) * t / 999);
    alpha_bar.push_back(product);
  }
  // Ho et al. 2020, equation 7, with x0 clipped.
  for (int t : {500, 0}) {
    inputs["t"] = host_value(Shape{1}, std::vector<double>{1.0 * t});
    const HostValue epsilon = evaluate(y, inputs);
    const double now = alpha_bar[static_cast<size_t>(t)];
    const double next = t == 0 ? 1.0 : alpha_bar[0];
    const double alpha = now / next;
    const std::vector<double> z = t == 0 ? std::vector<double>(192) : draw();
    for (size_t i = 0; i < x.data.size(); ++i) {
      const double x0 =
          std::clamp((x.data[i] - std::sqrt(1 - now) * epsilon.data[i]) / std::sqrt(now), -1., 1.);
      x.data[i] = std::sqrt(next) * (1 - alpha) / (1 - now) * x0 +
                  std::sqrt(alpha) * (1 - next) / (1 - now) * x.data[i] +
                  std::sqrt((1 - next) / (1 - now) * (1 - alpha)) * z[i];
    }
  }
  const double expected[3][3] = {
      {0, .9996672, .00329116}, {1, .9995991, 1}, {.0060907, .00115037, 0}};
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = 0; j < 3; ++j) {
      const double value = std::clamp(x.data[((5 + i) * 8 + 5 + j) * 3 + 2] / 2 + 0.5, 0., 1.);
      EXPECT_NEAR(value, expected[i][j], 1e-6) << i << ", " << j;  // computed in float32 there
    }
  }
}

TEST(Activation, ValuesOfEachName) {
  const auto at = [](const char* name, double x) {
    Graph graph;
    return evaluate(activation(name, scalar(graph, x))).data[0];
  };
  EXPECT_NEAR(at("silu", 1.5), 1.5 / (1 + std::exp(-1.5)), 1e-12);
  EXPECT_EQ(at("swish", -0.5), at("silu", -0.5));
  EXPECT_NEAR(at("mish", -0.7), -0.7 * std::tanh(std::log1p(std::exp(-0.7))), 1e-12);
  EXPECT_NEAR(at("gelu", 0.8), 0.4 * (1 + std::erf(0.8 / std::sqrt(2.0))), 1e-12);
  EXPECT_EQ(at("relu", -3), 0);
  EXPECT_FALSE(check_activation("tanhh").ok());
}

TEST(AveragePool, DropsAnOddLastRow) {
  Graph graph;
  const Tensor x = constant(graph, Shape{1, 3, 2, 1}, {1, 2, 3, 4, 50, 60});
  const HostValue y = evaluate(average_pool(x));
  EXPECT_EQ(y.shape, (Shape{1, 1, 1, 1}));
  EXPECT_NEAR(y.data[0], 2.5, 1e-12);
}

}  // namespace
}  // namespace ito
