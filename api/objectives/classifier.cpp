// Cross-entropy of the class of a noise-free image.
#include "api/objectives/classifier.h"

#include <utility>

#include "api/validation.h"
#include "base/error.h"
#include "nn/classifier.h"

namespace ito {

Result<ClassifierConfig> classifier_config(const TrainingInput& input) {
  ClassifierConfig config;
  config.classes = input.data.num_classes();
  if (config.classes < 2)
    return invalid_argument("a classifier needs a data set with labels of at least two classes");
  config.in_channels = input.channels();
  config.channels.assign(input.options.channels.begin(), input.options.channels.end());
  config.norm_groups = input.options.norm_groups;
  ITO_ASSIGN(config.image_size, input.side());
  return config;
}

Result<Trainee> classifier_objective(const TrainingInput& input) {
  ITO_ASSIGN(const ClassifierConfig config, classifier_config(input));
  ITO_ASSIGN(Network network, classifier_network(config));
  Objective objective;
  objective.ports = {.labels = true};
  objective.loss = [network](const Scope& parameters, const Batch& batch,
                             const Randomness&) -> LossResult {
    return softmax_cross_entropy(network.build(parameters, batch.images, {}), batch.labels);
  };
  objective.validation = {.make = accuracy_validator, .at_the_end = true};
  return Trainee{.network = std::move(network), .objective = std::move(objective)};
}

}  // namespace ito
