#include "apps/open_model.h"

#include <fmt/format.h>

#include <cstdio>

#include "apps/command.h"

namespace ito::apps {
namespace {

Result<Model> say(Result<Model> model) {
  if (model.ok())
    for (const std::string& note : model->notes) print_note(note);
  return model;
}

}  // namespace

Result<Model> open_model(const Path& folder) { return say(load_model(folder)); }
Result<Model> open_scheduled_model(const Path& folder) { return say(load_scheduled_model(folder)); }

void add_average_option(CLI::App& app, AverageChoice& choice) {
  app.add_option_function<double>(
      "--ema", [&choice](double decay) { choice = {.decay = decay, .asked = true}; },
      "the average of this decay, of those that a run kept side by side");
}

Result<Model> open_scheduled_model(const Path& folder, const AverageChoice& choice) {
  if (!choice.asked) return open_scheduled_model(folder);
  ITO_ASSIGN(const std::string variant,
             variant_of_average(folder, fmt::format("{}", choice.decay)));
  return say(load_scheduled_model(folder, variant));
}

}  // namespace ito::apps
