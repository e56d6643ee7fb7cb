// ito pack: the kernels of a model's jobs, compiled ahead of time for contexts of the C API.
#include <fmt/format.h>

#include <mutex>

#include "api/kernel_packing.h"
#include "api/output_file.h"
#include "apps/command.h"
#include "apps/open_model.h"
#include "apps/rows.h"
#include "base/device_forms.h"
#include "base/error.h"
#include "embed/packing.h"
#include "io/json.h"
#include "io/pack_file.h"
#include "runtime/vk/shader_compiler.h"

namespace ito::apps {
namespace {

struct PackCommand {
  DeviceChoice device;
  std::string model, out;
  std::vector<std::string> jobs = {"sample"};
  std::vector<std::string> forms = {std::string(kOwnForm)};
  VariantChoice variant;
  bool json = false;
};

constexpr OutputFile kPackFile = {kPackEnding, "ito pack",
                                  [](const Path& path) { return begins_with(path, kPackMagic); }};

Result<DeviceCaps> form_called(const std::string& name, const DeviceChoice& device) {
  ITO_ASSIGN(const DeviceFormRow* row, row_called(device_form_rows(), name, "--form"));
  if (row->make != nullptr) return row->make();
  vk::DeviceOptions options;
  options.compile_only = true;
  ITO_ASSIGN(const auto opened,
             open_and_announce(device, "the form of the device is taken", options));
  DeviceCaps form = opened->caps();
  form.name = name;
  return form;
}

Status check(const PackCommand& c) {
  for (const std::string& job : c.jobs) ITO_TRY(embed::check_job(job));
  return check_ending(kPackFile, "--out", c.out);
}

Status run(const PackCommand& c) {
  if (!vk::can_compile())
    return unsupported("this program has no compiler (it was built with -DITO_COMPILER=OFF)");
  ITO_TRY(check_replaceable(kPackFile, "--out", c.out));
  ITO_ASSIGN(embed::LoadedModel model, embed::read_model(c.model, c.variant.name));
  model.model.weights = {};
  for (const std::string& note : model.model.notes) print_note(note);
  KernelPack pack;
  pack.model = c.model;
  pack.jobs = c.jobs;
  Json by_form = Json::array();
  ProgressLine progress;
  const std::atomic<bool>& stop = stop_requested();
  for (const std::string& name : c.forms) {
    ITO_ASSIGN(const DeviceCaps form, form_called(name, c.device));
    size_t calls = 0, added = 0;
    for (const std::string& job : c.jobs) {
      ITO_ASSIGN(const std::vector<Plan> plans, embed::job_plans(model, job, form));
      for (const Plan& plan : plans) calls += plan.calls.size();
      std::mutex one_at_a_time;
      const auto tell = [&](size_t done, size_t total) {
        const std::lock_guard lock(one_at_a_time);
        progress.update(fmt::format("{}: {}: {} of {} kernels", name, job, done, total));
        return !stop;
      };
      ITO_ASSIGN(const size_t made, add_kernels(pack, plans, form, tell));
      added += made;
    }
    pack.forms.push_back(form);
    by_form.push_back({{"form", name}, {"dispatches", calls}, {"kernels", added}});
    progress.finish();
    if (!c.json) fmt::print("form {}: {} kernels for {} dispatches\n", name, added, calls);
  }
  const std::string bytes = pack_bytes(pack);
  ITO_TRY(write_file_atomic(c.out, bytes));
  if (c.json)
    fmt::print("{}", dump_json({{"out", c.out},
                                {"model", c.model},
                                {"jobs", c.jobs},
                                {"forms", by_form},
                                {"kernels", pack.kernels.size()},
                                {"bytes", bytes.size()},
                                {"toolchain", vk::toolchain_version()}}));
  else
    fmt::print("wrote {} kernels, {}, to {}\n", pack.kernels.size(), bytes_text(bytes.size()),
               c.out);
  return {};
}

}  // namespace

Command add_pack_command(CLI::App& root) {
  auto c = std::make_shared<PackCommand>();
  CLI::App* app = root.add_subcommand(
      "pack", "Compile a model's kernels ahead of time, for engines that embed Ito");
  app->add_option("model", c->model, "model folder")->required();
  add_variant_option(*app, c->variant, "the folder");
  app->add_option(
         "--job", c->jobs,
         fmt::format("a job as the C API is given it: {}, as in \"sample sampler=ddim "
                     "steps=20 batch=4 pixel_format=rgba8\"; several times for several jobs",
                     embed::packable_jobs()))
      ->allow_extra_args(false)
      ->capture_default_str();
  app->add_option("--form", c->forms,
                  with_choices("pack --form",
                               "a form of device that it is for; several times for several, the "
                               "preferred one first"))
      ->allow_extra_args(false)
      ->capture_default_str();
  app->add_option("--out", c->out, "the pack to write, .itopack")->required();
  add_device_option(*app, c->device);
  app->add_flag("--json", c->json, "print JSON");
  return {app, [c] { return check(*c); }, [c] { return run(*c); }};
}

}  // namespace ito::apps
