// Models as the commands open them: their notes said on standard error.
#pragma once

#include <CLI/CLI.hpp>

#include "api/model.h"

namespace ito::apps {

// load_model, load_scheduled_model and load_classifier of api/model.h.
Result<Model> open_model(const Path& folder);
Result<Model> open_scheduled_model(const Path& folder);

// Which of the weights that a run keeps side by side: --ema, the decay of their average.
struct AverageChoice {
  double decay = 0;
  bool asked = false;
};
void add_average_option(CLI::App& app, AverageChoice& choice);
// The same with those weights. Error kNotFound naming the averages that are there.
Result<Model> open_scheduled_model(const Path& folder, const AverageChoice& choice);

}  // namespace ito::apps
