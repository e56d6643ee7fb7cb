// Models as the commands open them: their notes said on standard error.
#pragma once

#include "api/model.h"

namespace ito::apps {

// load_model, load_scheduled_model and load_classifier of api/model.h.
Result<Model> open_model(const Path& folder);
Result<Model> open_scheduled_model(const Path& folder);

}  // namespace ito::apps
