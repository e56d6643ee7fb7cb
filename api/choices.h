// Kinds of training options that are chosen by name and whose rows the objectives' files keep to
// themselves: the names alone, for help texts and tables. Not the kinds of api/training_rows.h.
#pragma once

#include <vector>

#include "base/registry.h"

namespace ito {

std::vector<Name> timestep_sampling_choices();  // --time-sampling of a chain's timesteps
std::vector<Name> projection_choices();         // --projection

}  // namespace ito
