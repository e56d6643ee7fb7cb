#include "apps/bench_models.h"

#include <fmt/format.h>

#include <utility>

#include "api/initial_model.h"
#include "api/task.h"
#include "base/precision.h"
#include "nn/unet2d.h"

namespace ito::apps {
namespace {

// google/ddpm-cifar10-32 (Ho et al. 2020, appendix B): 35.7 M parameters.
UNet2DConfig ddpm_cifar10() {
  UNet2DConfig config;
  config.sample_size = {32, 32};
  config.block_out_channels = {128, 256, 256, 256};
  config.down_block_types = {"DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"};
  config.up_block_types = {"UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"};
  config.downsample_padding = 0;
  config.flip_sin_to_cos = false;
  config.freq_shift = 1;
  config.attention_head_dim.reset();
  config.norm_eps = 1e-6;
  return config;
}

// Small pictures of ten classes.
UNet2DConfig fmnist_small() {
  UNet2DConfig config;
  config.sample_size = {32, 32};
  config.in_channels = config.out_channels = 1;
  config.block_out_channels = {32, 64, 64};
  config.down_block_types = {"DownBlock2D", "DownBlock2D", "AttnDownBlock2D"};
  config.up_block_types = {"AttnUpBlock2D", "UpBlock2D", "UpBlock2D"};
  config.layers_per_block = 1;
  config.attention_head_dim.reset();
  config.norm_num_groups = 8;
  config.num_class_embeds = 10;
  return config;
}

int64_t side_of(const UNet2DConfig& config) { return (*config.sample_size)[0]; }

}  // namespace

const std::vector<BenchModel>& bench_models() {
  static const std::vector<BenchModel> models = {
      {"fmnist_small", fmnist_small, {32}, {32}},
      {"ddpm_cifar10", ddpm_cifar10, {1, 16}, {4}},
  };
  return models;
}

Result<BenchCase> forward_case(const BenchModel& model, int64_t batch) {
  const UNet2DConfig config = model.config();
  ITO_ASSIGN(const Network network, unet2d_network(config));
  BenchCase c;
  c.name = fmt::format("{}_forward_b{}", model.name, batch);
  c.program.name = c.name;
  Graph& graph = *c.program.graph;
  const Tensor sample =
      input(graph, "sample", {batch, side_of(config), side_of(config), config.in_channels});
  const FlatTensors flat = flat_inputs(graph, state_name::kParameters, network.set());
  c.program.output(
      "out", network.build(Scope(network.set(), flat), sample, input(graph, "timestep", {batch}),
                           conditioning_inputs(graph, network.signature(), batch)));
  c.parameters = initial_parameters(network.set(), 0);
  return c;
}

std::vector<std::string_view> bench_precisions(const DeviceCaps& caps) {
  std::vector<std::string_view> names = {precision_name(DType::kF32)};
  if (caps.shader_float16) names.push_back(precision_name(DType::kF16));
  return names;
}

std::string with_precision(const std::string& name, std::string_view precision) {
  return precision == precision_name(DType::kF32) ? name : fmt::format("{}_{}", name, precision);
}

Result<BenchCase> train_case(const BenchModel& model, int64_t batch, std::string_view precision) {
  const UNet2DConfig config = model.config();
  InitialModel initial;
  initial.folder = model.name;
  ITO_ASSIGN(initial.model.network, unet2d_network(config));
  ImageDataset shape_only;
  shape_only.h = shape_only.w = static_cast<int>(side_of(config));
  shape_only.c = config.in_channels;
  if (config.num_class_embeds) shape_only.labels = {*config.num_class_embeds - 1};
  ITO_ASSIGN(TrainingOptions options, options_of_model(initial, {}, {}));
  options.batch = batch;
  options.precision = precision;
  ITO_ASSIGN(const TrainingTask task, make_task(options, shape_only, &initial));
  BenchCase c;
  c.name = with_precision(fmt::format("{}_train_b{}", model.name, batch), precision);
  c.program = train_step_program(task.network.set(), task.loss, task.step);
  c.parameters = initial_parameters(task.network.set(), 0);
  return c;
}

}  // namespace ito::apps
