#include "apps/open_model.h"

#include <fmt/core.h>

#include <cstdio>

namespace ito::apps {
namespace {

Result<Model> say(Result<Model> model) {
  if (model.ok())
    for (const std::string& note : model->notes) fmt::print(stderr, "note: {}\n", note);
  return model;
}

}  // namespace

Result<Model> open_model(const Path& folder) { return say(load_model(folder)); }
Result<Model> open_scheduled_model(const Path& folder) { return say(load_scheduled_model(folder)); }

}  // namespace ito::apps
