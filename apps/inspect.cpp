// ito inspect: what is in a model folder, a file of tensors or a PNG; and compiled plans.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "api/forward.h"
#include "api/model.h"
#include "api/sample_identity.h"
#include "api/sampling.h"
#include "api/task.h"
#include "apps/choices.h"
#include "apps/command.h"
#include "apps/open_model.h"
#include "apps/option_table.h"
#include "apps/plan_report.h"
#include "apps/plan_statistics.h"
#include "apps/rows.h"
#include "apps/sampler_options.h"
#include "base/error.h"
#include "base/precision.h"
#include "graph/compile.h"
#include "io/png.h"
#include "io/weights.h"

namespace ito::apps {
namespace {

constexpr int64_t kPlannedContext = 77;  // states of a context: the text encoders' usual number

struct InspectCommand {
  VariantChoice variant;
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

// Of --plan. A plan is made of a model folder, of options that say a network, or (null) not so.
struct PlanRow {
  Name name;
  Result<Plan> (*of_model)(const InspectCommand& c, const Model& model, const DeviceCaps& caps);
  Result<Plan> (*of_options)(const InspectCommand& c, const DeviceCaps& caps);
  std::string_view options;  // that not all plans look at
};
std::span<const PlanRow> plan_rows();

// Options that say a network; a model folder says its own.
constexpr std::string_view kNetworkOptions[] = {
    "--network", "--channels",   "--layers-per-block", "--norm-groups", "--dropout",
    "--energy",  "--accumulate", "--image-channels",   "--num-classes"};

Status check_source(const InspectCommand& c, const PlanRow& plan) {
  if (c.path.empty()) {
    if (plan.of_options != nullptr) return {};
    return invalid_argument("--plan {} needs a model folder", c.plan);
  }
  if (plan.of_model == nullptr)
    return invalid_argument("--plan {} is made from options, not from {}", c.plan, c.path);
  for (const std::string_view option : kNetworkOptions) {
    if (c.app->count(std::string(option)) > 0)
      return invalid_argument("{} is of a plan made from options; {} says its own network", option,
                              c.path);
  }
  return {};
}

Status check(InspectCommand& c) {
  if (!c.list.empty()) return {};
  if (c.plan.empty() && c.path.empty())
    return invalid_argument(
        "give a model folder, a file of tensors or a .png file, --plan train or --list all");
  if (c.plan.empty() && (c.statistics || !c.assembly.empty()))
    return invalid_argument(
        "--statistics and --assembly are of a plan: give --plan train, sample or forward");
  c.sampling.batch = c.training.batch;
  if (!c.plan.empty()) {
    ITO_ASSIGN(const PlanRow* plan, row_called(plan_rows(), c.plan, "--plan"));
    ITO_TRY(check_source(c, *plan));
    if (c.app->count("--precision") > 0 && plan->options.find("precision") == std::string::npos)
      return invalid_argument("--precision has no meaning for --plan {}", c.plan);
  }
  ITO_TRY(check_sampler_options(*c.app, c.sampling));
  return check_training_options(c.training);
}

void print_tensors(const TensorFile& file) {
  int64_t elements = 0;
  for (const auto& [name, tensor] : file.tensors) {
    fmt::print("{:<5} {:<20} {}\n", host_type_name(tensor.type), tensor.shape.to_string(), name);
    elements += tensor.shape.numel();
  }
  fmt::print("{} tensors, {} elements\n", file.tensors.size(), elements);
  for (const auto& [name, dtype] : file.unread)
    fmt::print("{} is of the type {}, which is not read\n", name, dtype);
  for (const auto& [key, value] : file.metadata) fmt::print("{}: {}\n", key, value);
}

Json tensors_json(const TensorFile& file) {
  Json list = Json::array();
  for (const auto& [name, tensor] : file.tensors)
    list.push_back(
        {{"name", name}, {"dtype", host_type_name(tensor.type)}, {"shape", tensor.shape.dims()}});
  return {{"tensors", list}, {"metadata", file.metadata}, {"unread", file.unread}};
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

constexpr const char* kSchedulerPart = "scheduler";

Status inspect_folder(const InspectCommand& c) {
  ITO_ASSIGN(const Model model, open_model(c.path, c.variant));
  const ParameterSet& set = model.network.set();
  std::map<std::string, Json> configs = model_configs(model);
  // What is not there has no configuration, and what cannot be sampled draws no pictures.
  const bool unscheduled = model.scheduler_missing && configs.erase(kSchedulerPart) > 0;
  if (unscheduled) print_note(fmt::format("{} has no scheduler; ito sample wants one", c.path));
  if (c.json) {
    Json json(configs);
    json["network"] = model.network.row();
    if (!unscheduled) json["key"] = model_key(model);
    json["parameters"] = set.count();
    json["layers"] = set_json(set);
    fmt::print("{}", dump_json(json));
    return {};
  }
  fmt::print("network {}\n", model.network.row());
  if (!unscheduled) fmt::print("key {}, which pictures that it draws name\n", model_key(model));
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
  for (const auto& [name, type] : file.unread)
    print_note(fmt::format("tensor {} is of type {}, which is not read", name, type));
  if (c.json) {
    fmt::print("{}", dump_json(tensors_json(file)));
  } else {
    print_tensors(file);
  }
  return {};
}

Result<TrainingTask> task_of_options(const InspectCommand& c) {
  ImageDataset shape_only;  // a task needs no more of its data than this
  shape_only.h = shape_only.w = c.image_size;
  shape_only.c = c.image_channels;
  if (c.classes > 0) shape_only.labels = std::vector<int32_t>{c.classes - 1};
  TrainingOptions training = c.training;
  training.precision = precision_name(c.sampling.multiply);
  return make_task(training, shape_only);
}

Result<Plan> train_plan(const InspectCommand& c, const DeviceCaps& caps) {
  ITO_ASSIGN(const TrainingTask task, task_of_options(c));
  ITO_ASSIGN(const Network network, task.network.for_device(caps));
  if (c.training.accumulate > 1)
    return compile(accumulate_program(network.set(), task.loss, task.step), caps);
  return compile(train_step_program(network.set(), task.loss, task.step), caps);
}

Result<Plan> sample_plan(const InspectCommand& c, const Model& model, const DeviceCaps& caps) {
  return sampling_plan(model.network, model.scheduler, c.sampling, caps);
}

// Of what a training by these options would write.
Result<Plan> sample_plan_of_options(const InspectCommand& c, const DeviceCaps& caps) {
  ITO_ASSIGN(const TrainingTask task, task_of_options(c));
  return sampling_plan(task.network, task.objective.scheduler, c.sampling, caps);
}

Result<Plan> network_plan(const InspectCommand& c, const Model& model, const DeviceCaps& caps) {
  const Signature& signature = model.network.signature();
  const int size = c.app->count("--image-size") > 0 || !signature.sample_size
                       ? c.image_size
                       : (*signature.sample_size)[0];
  return forward_plan(model.network, {c.training.batch, size, size, signature.in_channels},
                      kPlannedContext, c.gradients, caps, c.sampling.multiply);
}

constexpr PlanRow kPlans[] = {
    {{"train", "a training step, of the options", "", ""},
     nullptr,
     train_plan,
     "network channels layers-per-block norm-groups dropout energy accumulate image-size "
     "image-channels num-classes precision"},
    {{"sample", "a step of a sampler, on a model or on what the options would train", "", ""},
     sample_plan,
     sample_plan_of_options,
     "network channels layers-per-block norm-groups dropout energy image-size image-channels "
     "num-classes sampler precision"},
    {{"forward", "a model's network", "", ""}, network_plan, nullptr, "image-size grad precision"}};

std::span<const PlanRow> plan_rows() { return kPlans; }

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
  if (c.plan.empty()) {
    ITO_TRY(check_reachable(c.path));
    return folder_exists(c.path) ? inspect_folder(c) : inspect_file(c);
  }
  const bool of_driver = c.statistics || !c.assembly.empty();
  vk::DeviceOptions options;
  options.compile_only = true;
  options.allowed.pipeline_reports = of_driver;
  ITO_ASSIGN(const PlanRow* row, row_called(plan_rows(), c.plan, "--plan"));
  std::optional<Model> model;
  if (!c.path.empty()) {
    ITO_ASSIGN(model, open_model(c.path, c.variant));
  }
  ITO_ASSIGN(auto device,
             open_and_announce(c.device, fmt::format("the plan of {}", c.plan), options));
  ITO_ASSIGN(const Plan plan,
             model ? row->of_model(c, *model, device->caps()) : row->of_options(c, device->caps()));
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

std::vector<PlanChoice> plan_choices() {
  std::vector<PlanChoice> choices;
  for (const PlanRow& row : kPlans) choices.push_back({row.name, row.options});
  return choices;
}

Command add_inspect_command(CLI::App& root) {
  auto c = std::make_shared<InspectCommand>();
  CLI::App* app = root.add_subcommand(
      "inspect", "Show a model, a file of tensors, a PNG's settings, or a compiled plan");
  c->app = app;
  app->add_option(
      "path", c->path,
      "model folder (layers and configuration), .safetensors, PyTorch checkpoint, .npz or "
      ".npy (tensors), or .png (settings it was made with)");
  add_variant_option(*app, c->variant, "a folder");
  app->add_option("--plan", c->plan,
                  with_choices("inspect --plan",
                               "print the plan compiled for the device: kernels, expressions, "
                               "bytes, FLOPs, places in memory"));
  app->add_flag(
      "--statistics", c->statistics,
      "of a plan: what the driver's compiler made of each kernel (registers, spills, the "
      "main loop), on any driver with VK_KHR_pipeline_executable_properties; nothing runs");
  app->add_option("--assembly", c->assembly,
                  "of a plan: the machine code of the kernel of this name or number");
  app->add_option("--batch", c->training.batch, "images per batch of the plan")
      ->check(at_least(1))
      ->capture_default_str();
  const auto own = [](const char* key, const char* help) {
    return with_takers("inspect", key, help);
  };
  visit_network_options(c->training,
                        AddOption{.app = *app, .command = "inspect", .choices = "train"});
  app->add_option("--accumulate", c->training.accumulate,
                  own("accumulate", "batches whose mean gradient makes one step"))
      ->capture_default_str();
  app->add_option("--image-size", c->image_size, own("image-size", "side of the data set's images"))
      ->check(at_least(1))
      ->capture_default_str();
  app->add_option("--image-channels", c->image_channels, own("image-channels", "their channels"))
      ->check(at_least(1))
      ->capture_default_str();
  app->add_option("--num-classes", c->classes, own("num-classes", "classes; 0: none"))
      ->check(at_least(0))
      ->capture_default_str();
  add_sampler_options(*app, c->sampling);
  add_precision_option(*app, c->sampling.multiply);
  std::vector<std::string> kinds = row_kinds();
  kinds.push_back("all");
  app->add_option("--list", c->list, "print what can be chosen by name: a table of a kind, or all")
      ->check(CLI::IsMember(kinds));
  app->add_flag("--grad", c->gradients, own("grad", "with the gradients"));
  add_device_option(*app, c->device);
  app->add_flag("--json", c->json, "print JSON");
  return {app, [c] { return check(*c); }, [c] { return run(*c); }, {"train", "sample"}};
}

}  // namespace ito::apps
