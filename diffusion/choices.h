// Kinds of this room that are chosen by name and whose rows their own files keep to themselves: the
// names alone, for help texts, tables and checks. Each is defined beside its rows. Not the kinds
// whose rows others use (samplers.h, sampling.h, process.h, predictor_corrector.h,
// flow_matching.h).
#pragma once

#include <vector>

#include "base/registry.h"

namespace ito {

// Values of keys of a scheduler configuration (base/scheduler_config.h).
std::vector<Name> beta_schedule_choices();
std::vector<Name> prediction_choices();
std::vector<Name> variance_choices();
std::vector<Name> timestep_spacing_choices();
std::vector<Name> final_sigma_choices();
std::vector<Name> interpolation_type_choices();
std::vector<Name> timestep_type_choices();
std::vector<Name> sigma_schedule_choices();
std::vector<Name> time_shift_choices();
// algorithm_type and solver_type of DPM-Solver, DEIS and UniPC.
std::vector<Name> dpm_algorithm_choices();
std::vector<Name> deis_algorithm_choices();
std::vector<Name> dpm_step_choices();
std::vector<Name> deis_step_choices();
std::vector<Name> unipc_step_choices();

// Choices of a sampler's run, of a loss and of a likelihood.
std::vector<Name> sigma_spacing_choices();
std::vector<Name> annealed_form_choices();
std::vector<Name> loss_weight_choices();
std::vector<Name> huber_width_choices();
std::vector<Name> divergence_choices();
std::vector<Name> decoder_cdf_choices();

}  // namespace ito
