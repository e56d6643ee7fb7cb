// The model that a training starts from (`ito train --init`): its networks' and scheduler's
// configurations as files have them, unknown keys included, and its weights. Gives the options of a
// training what they say of a model where nobody said otherwise, and a network of the same
// configuration its weights. Not for reading models (api/model.h).
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/model.h"
#include "api/training_options.h"
#include "io/class_names.h"

namespace ito {

struct InitialModel {
  std::string folder;                      // as it was named
  Model model;                             // without weights where a run goes on, which has its own
  std::optional<ClassNames> classes = {};  // of the model; where a run goes on not looked at
};

// Errors: as of load_whole_model; a model that no training of images can start from.
// `variant`: of the weights, where several are there (io/weights.h).
Result<InitialModel> open_initial_model(const std::string& folder, std::string_view variant = {});

InitialModel without_weights(const InitialModel& initial);

// As run.json keeps it: all but the weights.
Json initial_model_json(const InitialModel& initial);
Result<InitialModel> initial_model_from_json(const Json& json, const std::string& where);

// `asked` with what the model says of network, process and prediction in place of options whose
// keys are not in `given`. Errors kInvalidArgument: an option of the network that contradicts the
// model, or a model without a scheduler of which the options do not say what it was trained for.
Result<TrainingOptions> options_of_model(const InitialModel& initial, const TrainingOptions& asked,
                                         const std::set<std::string>& given);

// The model's network for images of this size and a class table of so many rows, with those options
// that need not be the model's. Errors: another number of channels than the model's; what else its
// family does not train so.
Result<Network> initial_network(const InitialModel& initial, const NetworkOptions& options,
                                const ImageNeeds& needs);

// The model's scheduler with what the options say, where it is of the process of `made`; else
// `made`.
SchedulerConfig kept_scheduler(const InitialModel* initial, const SchedulerConfig& made);

// What training begins with, [network.set().size()]: the model's tensors by name, and of those that
// have a row per class the rows of the same classes (io/class_names.h). What the model lacks of
// these is drawn by `seed` and told in `notes`; any other tensor of another shape is an error.
// `classes`: of the images.
Result<std::vector<float>> initial_weights(const InitialModel& initial, const Network& network,
                                           const ClassNames& classes, uint64_t seed,
                                           std::vector<std::string>& notes);

}  // namespace ito
