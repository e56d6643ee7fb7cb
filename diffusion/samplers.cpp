#include "diffusion/samplers.h"

#include <fmt/ranges.h>

#include "base/error.h"
#include "diffusion/ddpm.h"

namespace ito {

std::vector<std::string> sampler_names() { return {"ddpm", "ddim", "ddim_inverse"}; }

Result<Sampler> make_sampler(const std::string& name, const SchedulerConfig& config,
                             const TimestepChoice& choice, const DdimOptions& ddim) {
  if (name == "ddpm") return ddpm_sampler(config, choice);
  if (name == "ddim") return ddim_sampler(config, choice, ddim);
  if (name == "ddim_inverse") return ddim_inverse_sampler(config, choice);
  return invalid_argument("sampler \"{}\" is unknown, expected one of {}", name,
                          fmt::join(sampler_names(), ", "));
}

Result<std::string> sampler_name_of(const SchedulerConfig& config) {
  if (config.class_name == "DDPMScheduler") return std::string("ddpm");
  if (config.class_name == "DDIMScheduler") return std::string("ddim");
  if (config.class_name == "DDIMInverseScheduler") return std::string("ddim_inverse");
  return unsupported("scheduler config: _class_name \"{}\" has no sampler here", config.class_name);
}

}  // namespace ito
