// ito forward: one evaluation of a model on tensors from a file, with gradients if wanted.
#include "api/forward.h"

#include <fmt/core.h>

#include "api/forward_inputs.h"
#include "api/output_file.h"
#include "apps/command.h"
#include "apps/open_model.h"
#include "base/name_list.h"
#include "io/json.h"
#include "io/safetensors.h"

namespace ito::apps {
namespace {

struct ForwardCommand {
  DeviceChoice device;
  std::string model, in, out;
  VariantChoice variant;
  DType multiply = DType::kF32;
  bool gradients = false;
  bool json = false;
};

constexpr OutputFile kForwardFile = {".safetensors", "ito forward", is_forward_output};

Status check(const ForwardCommand& c) { return check_ending(kForwardFile, "--out", c.out); }

Status run(const ForwardCommand& c) {
  ITO_TRY(check_replaceable(kForwardFile, "--out", c.out, std::vector<std::string>{c.in}));
  ITO_ASSIGN(const Model model, open_model(c.model, c.variant));
  ITO_ASSIGN(const TensorFile inputs, read_safetensors(c.in));
  ITO_TRY(check_forward(model, inputs, c.gradients, c.in, c.multiply));
  const std::vector<std::string> unused = unused_forward_inputs(inputs, c.gradients);
  if (!unused.empty())
    print_note(fmt::format("{}: tensors that are not used: {}", c.in, joined(unused)));
  ITO_ASSIGN(auto device,
             open_and_announce(c.device, fmt::format("evaluating {} on {}", c.model, c.in)));
  ITO_ASSIGN(const TensorFile outputs,
             forward(*device, model, inputs, c.gradients, c.in, c.multiply));
  ITO_TRY(write_safetensors(c.out, outputs));
  if (c.json) {
    Json json = {{"out", c.out}, {"tensors", outputs.tensors.size()}};
    if (c.gradients) json["loss"] = to_floats(outputs.tensors.at("loss"))[0];
    fmt::print("{}", dump_json(json));
  } else {
    fmt::print("wrote {} tensors to {}\n", outputs.tensors.size(), c.out);
  }
  return {};
}

}  // namespace

Command add_forward_command(CLI::App& root) {
  auto c = std::make_shared<ForwardCommand>();
  CLI::App* app = root.add_subcommand("forward", "Evaluate a model once on the tensors of a file");
  app->add_option("--model", c->model, "model folder in diffusers' layout")->required();
  add_variant_option(*app, c->variant);
  app->add_option("--in", c->in,
                  ".safetensors with sample [n,c,h,w], timestep [n], where the model has them "
                  "class_labels [n], encoder_hidden_states [n,l,d] and timestep_cond [n,d], and "
                  "target for --grad; for an autoencoder sample, latent or both")
      ->required();
  app->add_option(
         "--out", c->out,
         ".safetensors to write: out; with --grad also loss, d_sample, grad.<parameter>; of "
         "an autoencoder moments, mean, std and decoded")
      ->required();
  app->add_flag("--grad", c->gradients,
                "also the mean squared error against target, and its gradients");
  add_precision_option(*app, c->multiply);
  add_device_option(*app, c->device);
  app->add_flag("--json", c->json, "print JSON");
  return {app, [c] { return check(*c); }, [c] { return run(*c); }};
}

}  // namespace ito::apps
