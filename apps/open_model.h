// Models as the commands open them: their notes said on standard error.
#pragma once

#include <CLI/CLI.hpp>

#include "api/model.h"

namespace ito::apps {

// --variant: which of the weights, where a folder has several (io/weights.h).
struct VariantChoice {
  std::string name;
};
// `of`: the option that names the model.
void add_variant_option(CLI::App& app, VariantChoice& choice, const char* of = "--model");

// load_model and load_scheduled_model of api/model.h.
Result<Model> open_model(const Path& folder, const VariantChoice& variant);
Result<Model> open_scheduled_model(const Path& folder, const VariantChoice& variant);

// Which of the weights that a run keeps side by side: --ema, the decay of their average.
struct AverageChoice {
  double decay = 0;
  bool asked = false;
};
void add_average_option(CLI::App& app, AverageChoice& choice);
// The same with those weights; `speaks`: whether its notes are said. Errors: kNotFound naming the
// averages that are there; kInvalidArgument where a variant is named as well.
Result<Model> open_scheduled_model(const Path& folder, const VariantChoice& variant,
                                   const AverageChoice& choice, bool speaks = true);

}  // namespace ito::apps
