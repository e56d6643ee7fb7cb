// Training options by their keys, as run.json has them: for tests that set a few.
#pragma once

#include "api/training_options.h"
#include "io/json.h"

namespace ito::test {

inline TrainingOptions training_options(const Json& keys) {
  return training_options_from_json(keys.is_null() ? Json::object() : keys, "test").value();
}

}  // namespace ito::test
