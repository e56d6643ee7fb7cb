// ito inspect: what is in a model folder, a file of tensors or a PNG; and compiled plans.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "api/forward.h"
#include "api/model.h"
#include "api/sampling.h"
#include "api/task.h"
#include "apps/command.h"
#include "apps/open_model.h"
#include "apps/plan_report.h"
#include "apps/plan_statistics.h"
#include "apps/rows.h"
#include "base/error.h"
#include "graph/compile.h"
#include "io/png.h"
#include "io/weights.h"

namespace ito::apps {
namespace {

constexpr int64_t kPlannedContext = 77;  // states of a context: the text encoders' usual number

struct InspectCommand {
  CLI::App* app = nullptr;
  DeviceChoice device;
  std::string path, plan, list, assembly;
  TrainingOptions training;
  SampleOptions sampling;
  int image_size = 28, image_channels = 1, classes = 10;
  bool gradients = false;
  bool statistics = false;
  bool json = false;
};

Status check(InspectCommand& c) {
  if (!c.list.empty()) return {};
  if (c.plan.empty() && c.path.empty())
    return invalid_argument(
        "give a model folder, a file of tensors or a .png file, --plan train or --list all");
  if ((c.plan == "sample" || c.plan == "forward") && c.path.empty())
    return invalid_argument("--plan {} needs a model folder", c.plan);
  if (c.plan.empty() && (c.statistics || !c.assembly.empty()))
    return invalid_argument(
        "--statistics and --assembly are of a plan: give --plan train, sample or forward");
  if (c.plan == "train" && !c.path.empty())
    return invalid_argument("--plan train is made from options, not from {}", c.path);
  c.sampling.batch = c.training.batch;
  return check_training_options(c.training);
}

void print_tensors(const TensorFile& file) {
  int64_t elements = 0;
  for (const auto& [name, tensor] : file.tensors) {
    fmt::print("{:<5} {:<20} {}\n", host_type_name(tensor.type), tensor.shape.to_string(), name);
    elements += tensor.shape.numel();
  }
  fmt::print("{} tensors, {} elements\n", file.tensors.size(), elements);
  for (const auto& [key, value] : file.metadata) fmt::print("{}: {}\n", key, value);
}

Json tensors_json(const TensorFile& file) {
  Json list = Json::array();
  for (const auto& [name, tensor] : file.tensors)
    list.push_back(
        {{"name", name}, {"dtype", host_type_name(tensor.type)}, {"shape", tensor.shape.dims()}});
  return {{"tensors", list}, {"metadata", file.metadata}};
}

// Layers: parameters up to the last dot of their name, in the order of the network.
struct Layer {
  std::string name, shapes;
  int64_t count = 0;
};
std::vector<Layer> layers_of(const ParameterSet& set) {
  std::vector<Layer> layers;
  for (const Parameter& p : set.parameters()) {
    const size_t dot = p.name.rfind('.');
    const std::string name = p.name.substr(0, dot);
    if (layers.empty() || layers.back().name != name) layers.push_back({name, "", 0});
    Layer& layer = layers.back();
    if (!layer.shapes.empty()) layer.shapes += ", ";
    layer.shapes += p.name.substr(dot + 1) + p.spec.foreign_shape.to_string();
    layer.count += p.numel();
  }
  return layers;
}

void print_set(const ParameterSet& set) {
  for (const Layer& layer : layers_of(set))
    fmt::print("{:>10}  {:<50} {}\n", layer.count, layer.name, layer.shapes);
  fmt::print("{:>10}  parameters in all\n", set.count());
}

Json set_json(const ParameterSet& set) {
  Json layers = Json::array();
  for (const Layer& layer : layers_of(set))
    layers.push_back({{"name", layer.name}, {"parameters", layer.count}});
  return layers;
}

Status inspect_folder(const InspectCommand& c) {
  ITO_ASSIGN(const Model model, open_model(c.path));
  const ParameterSet& set = model.network.set();
  const std::map<std::string, Json> configs = model_configs(model);
  if (c.json) {
    Json json(configs);
    json["network"] = model.network.row();
    json["parameters"] = set.count();
    json["layers"] = set_json(set);
    fmt::print("{}", dump_json(json));
    return {};
  }
  fmt::print("network {}\n", model.network.row());
  for (const auto& [name, config] : configs) fmt::print("{} {}\n", name, dump_json(config));
  print_set(set);
  return {};
}

Status inspect_file(const InspectCommand& c) {
  if (Path(c.path).extension() == ".png") {
    ITO_ASSIGN(const Json settings, read_png_settings(c.path));
    fmt::print("{}", dump_json(settings));
    return {};
  }
  ITO_ASSIGN(const TensorFile file, read_tensors(c.path));
  if (c.json) {
    fmt::print("{}", dump_json(tensors_json(file)));
  } else {
    print_tensors(file);
  }
  return {};
}

Result<Plan> make_plan(const InspectCommand& c, const DeviceCaps& caps) {
  if (c.plan == "train") {
    ImageDataset shape_only;  // a task needs no more of its data than this
    shape_only.h = shape_only.w = c.image_size;
    shape_only.c = c.image_channels;
    if (c.classes > 0) shape_only.labels = std::vector<int32_t>{c.classes - 1};
    ITO_ASSIGN(const TrainingTask task, make_task(c.training, shape_only));
    ITO_ASSIGN(const Network network, task.network.for_device(caps));
    if (c.training.accumulate > 1)
      return compile(accumulate_program(network.set(), task.loss, task.step), caps);
    return compile(train_step_program(network.set(), task.loss, task.step), caps);
  }
  ITO_ASSIGN(const Model model, open_model(c.path));
  if (c.plan == "sample") return sampling_plan(model.network, model.scheduler, c.sampling, caps);
  const Signature& signature = model.network.signature();
  const int size = c.app->count("--image-size") > 0 || !signature.sample_size
                       ? c.image_size
                       : (*signature.sample_size)[0];
  return forward_plan(model.network, {c.training.batch, size, size, signature.in_channels},
                      kPlannedContext, c.gradients, caps);
}

Status run(const InspectCommand& c) {
  if (!c.list.empty()) {
    if (c.json) {
      ITO_ASSIGN(const Json json, rows_json(c.list));
      fmt::print("{}", dump_json(json));
      return {};
    }
    ITO_ASSIGN(const std::string text, rows_text(c.list));
    fmt::print("{}", text);
    return {};
  }
  if (c.plan.empty()) return folder_exists(c.path) ? inspect_folder(c) : inspect_file(c);
  const bool of_driver = c.statistics || !c.assembly.empty();
  vk::DeviceOptions options;
  options.compile_only = true;
  options.allowed.pipeline_reports = of_driver;
  ITO_ASSIGN(auto device,
             open_and_announce(c.device, fmt::format("the plan of {}", c.plan), options));
  ITO_ASSIGN(const Plan plan, make_plan(c, device->caps()));
  if (!of_driver) {
    fmt::print("{}", c.json ? dump_json(plan_json(plan)) : plan_text(plan));
    return {};
  }
  ITO_ASSIGN(const std::vector<KernelStatistics> kernels, kernel_statistics(*device, plan));
  if (!c.assembly.empty()) {
    ITO_ASSIGN(const std::string code, kernel_assembly(kernels, c.assembly));
    fmt::print("{}", code);
  } else {
    fmt::print("{}", c.json ? dump_json(statistics_json(device->info(), plan, kernels))
                            : statistics_text(plan, kernels));
  }
  return {};
}

}  // namespace

Command add_inspect_command(CLI::App& root) {
  auto c = std::make_shared<InspectCommand>();
  CLI::App* app = root.add_subcommand(
      "inspect", "Show a model, a file of tensors, a PNG's settings, or a compiled plan");
  c->app = app;
  app->add_option(
      "path", c->path,
      "model folder (layers and configuration), .safetensors, PyTorch checkpoint, .npz or "
      ".npy (tensors), or .png (settings it was made with)");
  app->add_option("--plan", c->plan,
                  "print the plan compiled for the device: train (from the options below), sample "
                  "or forward (of the model): kernels, expressions, bytes, FLOPs, places in memory")
      ->check(CLI::IsMember({"train", "sample", "forward"}));
  app->add_flag(
      "--statistics", c->statistics,
      "of a plan: what the driver's compiler made of each kernel (registers, spills, the "
      "main loop), on any driver with VK_KHR_pipeline_executable_properties; nothing runs");
  app->add_option("--assembly", c->assembly,
                  "of a plan: the machine code of the kernel of this name or number");
  app->add_option("--batch", c->training.batch, "images per batch of the plan")
      ->check(at_least(1))
      ->capture_default_str();
  app->add_option("--channels", c->training.channels, "train: channels of each level")
      ->delimiter(',')
      ->capture_default_str();
  app->add_option("--layers-per-block", c->training.layers_per_block, "train")
      ->capture_default_str();
  app->add_option("--norm-groups", c->training.norm_groups, "train")->capture_default_str();
  app->add_option("--accumulate", c->training.accumulate, "train")->capture_default_str();
  app->add_option("--image-size", c->image_size, "train, forward: side of the data set's images")
      ->check(at_least(1))
      ->capture_default_str();
  app->add_option("--image-channels", c->image_channels, "train: their channels")
      ->check(at_least(1))
      ->capture_default_str();
  app->add_option("--num-classes", c->classes, "train: classes; 0: none")
      ->check(at_least(0))
      ->capture_default_str();
  app->add_option("--sampler", c->sampling.sampler, "sample: method")->capture_default_str();
  app->add_option("--steps", c->sampling.steps, "sample: steps")
      ->check(at_least(1))
      ->capture_default_str();
  app->add_option("--eta", c->sampling.eta, "sample: ddim's eta")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  std::vector<std::string> kinds = row_kinds();
  kinds.push_back("all");
  app->add_option("--list", c->list, "print what can be chosen by name: a table of a kind, or all")
      ->check(CLI::IsMember(kinds));
  app->add_flag("--grad", c->gradients, "forward: with the gradients");
  add_device_option(*app, c->device);
  app->add_flag("--json", c->json, "print JSON");
  return {app, [c] { return check(*c); }, [c] { return run(*c); }};
}

}  // namespace ito::apps
