// The configuration of the classifiers that the options describe. Internal to this folder.
#pragma once

#include "api/objectives.h"
#include "base/network_config.h"

namespace ito {

// Error: a data set without labels of at least two classes.
Result<ClassifierConfig> classifier_config(const TrainingInput& input);

}  // namespace ito
