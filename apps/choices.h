// Kinds that commands of this room choose by name and whose rows their files keep to themselves:
// the names alone, for the tables of apps/rows.h. Not the kinds of other rooms (api/choices.h,
// diffusion/choices.h).
#pragma once

#include <vector>

#include "base/registry.h"

namespace ito::apps {

std::vector<Name> random_source_choices();  // of `ito sample --rng`
std::vector<Name> toy_network_choices();    // of `ito toy --network`
std::vector<Name> number_type_choices();    // of `ito convert --dtype`

// Of `ito inspect --plan`, with the options that not all plans look at.
struct PlanChoice {
  Name name;
  std::string_view options;
};
std::vector<PlanChoice> plan_choices();

}  // namespace ito::apps
