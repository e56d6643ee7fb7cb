#include "apps/open_model.h"

#include <fmt/format.h>

#include <cstdio>

#include "apps/command.h"
#include "base/error.h"

namespace ito::apps {
namespace {

Result<Model> say(Result<Model> model, bool speaks = true) {
  if (model.ok() && speaks)
    for (const std::string& note : model->notes) print_note(note);
  return model;
}

}  // namespace

void add_variant_option(CLI::App& app, VariantChoice& choice, const char* of) {
  app.add_option("--variant", choice.name,
                 fmt::format("the variant of {}'s weights to take, such as fp16 or non_ema", of));
}

Result<Model> open_model(const Path& folder, const VariantChoice& variant) {
  return say(load_model(folder, variant.name));
}
Result<Model> open_scheduled_model(const Path& folder, const VariantChoice& variant) {
  return say(load_scheduled_model(folder, variant.name));
}

void add_average_option(CLI::App& app, AverageChoice& choice) {
  app.add_option_function<double>(
      "--ema", [&choice](double decay) { choice = {.decay = decay, .asked = true}; },
      "the average of this decay, of those that a run kept side by side");
}

Result<Model> open_scheduled_model(const Path& folder, const VariantChoice& named,
                                   const AverageChoice& choice, bool speaks) {
  if (!choice.asked) return say(load_scheduled_model(folder, named.name), speaks);
  if (!named.name.empty())
    return invalid_argument("give --ema or --variant, not both: an average is a variant");
  ITO_ASSIGN(const std::string variant,
             variant_of_average(folder, fmt::format("{}", choice.decay)));
  return say(load_scheduled_model(folder, variant), speaks);
}

}  // namespace ito::apps
