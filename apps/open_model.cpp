#include "apps/open_model.h"

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

}  // namespace ito::apps
