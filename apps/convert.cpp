// ito convert: a model or a file of tensors as safetensors, whatever it was written as.
#include <fmt/format.h>

#include "api/conversion.h"
#include "apps/choices.h"
#include "apps/command.h"
#include "apps/rows.h"
#include "base/registry.h"
#include "io/json.h"

namespace ito::apps {
namespace {

struct TypeRow {
  Name name;
  HostType type;
};
constexpr TypeRow kTypes[] = {
    {{"float32", "IEEE single", "", "fp32 f32"}, HostType::kF32},
    {{"float16", "IEEE half", "", "fp16 f16 half"}, HostType::kF16},
    {{"bfloat16", "the upper half of a single", "", "bf16"}, HostType::kBF16},
};

struct ConvertCommand {
  std::string source, out, type;
  ConversionOptions options;
  bool json = false;
};

Status check(ConvertCommand& c) {
  if (c.type.empty()) return {};
  ITO_ASSIGN(const TypeRow* row, row_called(std::span<const TypeRow>(kTypes), c.type, "--dtype"));
  c.options.type = row->type;
  return {};
}

Status run(const ConvertCommand& c) {
  fmt::print(stderr, "converting {} to {}\n", c.source, c.out);
  ITO_ASSIGN(const Conversion done, convert_model(c.source, c.out, c.options));
  for (const std::string& note : done.notes) fmt::print(stderr, "note: {}\n", note);
  if (c.json) {
    fmt::print("{}", dump_json(Json{{"out", c.out},
                                    {"written", done.written},
                                    {"tensors", done.tensors},
                                    {"bytes", done.bytes},
                                    {"notes", done.notes}}));
  } else {
    fmt::print("wrote {} tensors, {}, to {}\n", done.tensors,
               bytes_text(static_cast<uint64_t>(done.bytes)), c.out);
  }
  return {};
}

}  // namespace

std::vector<Name> number_type_choices() { return names_of(kTypes); }

Command add_convert_command(CLI::App& root) {
  auto c = std::make_shared<ConvertCommand>();
  CLI::App* app = root.add_subcommand(
      "convert", "Write a model, or a PyTorch checkpoint, as safetensors under today's names");
  app->add_option("source", c->source,
                  "model folder (one file, shards or a variant; safetensors or PyTorch's .bin), or "
                  "a file: .safetensors, .bin, .pt, .ckpt")
      ->required();
  app->add_option("out", c->out, "folder, or .safetensors of a file, to write; not there yet")
      ->required();
  app->add_option("--variant", c->options.variant,
                  "the variant of the weights to take, such as fp16 or non_ema");
  app->add_option(
      "--prefix", c->options.prefix,
      "take only tensors whose name begins so, without it: \"ema_model.\"; without this, "
      "a prefix before all of a network's names is found");
  app->add_option("--dtype", c->type,
                  with_choices("convert --dtype", "type of the numbers; without it as they are"));
  app->add_flag("--json", c->json, "print JSON");
  return {app, [c] { return check(*c); }, [c] { return run(*c); }};
}

}  // namespace ito::apps
