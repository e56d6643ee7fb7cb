// Kinds that are chosen by name and whose rows the files of this room keep to themselves: the names
// alone, for help texts and tables. Not the kinds of api/training_rows.h.
#pragma once

#include <vector>

#include "base/registry.h"

namespace ito {

std::vector<Name> timestep_sampling_choices();  // --time-sampling of a chain's timesteps
std::vector<Name> projection_choices();         // --projection
std::vector<Name> inverse_choices();            // of `ito sample --inverse`

}  // namespace ito
