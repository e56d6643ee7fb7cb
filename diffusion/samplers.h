// Samplers by name, as a command line or a scheduler folder gives them.
#pragma once

#include <string>
#include <vector>

#include "base/config.h"
#include "base/result.h"
#include "diffusion/ddim.h"
#include "diffusion/sampler.h"

namespace ito {

// "ddpm", "ddim", "ddim_inverse".
std::vector<std::string> sampler_names();

// The sampler of that name for a model trained with `config`. DDIM options are those of ddim only.
// Errors: an unknown name, and what the sampler's own maker refuses.
Result<Sampler> make_sampler(const std::string& name, const SchedulerConfig& config,
                             const TimestepChoice& choice, const DdimOptions& ddim = {});

// The name of the sampler that a config's class_name asks for; "DDPMScheduler" → "ddpm".
Result<std::string> sampler_name_of(const SchedulerConfig& config);

}  // namespace ito
