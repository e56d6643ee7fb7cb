// Golden family sde: continuous-time processes.
#include "tests/golden_runner/families.h"

namespace ito::golden {

Result<Outcome> run_sde(vk::Device& device, const Case& golden) {
  if (golden.name.find("_pfode_") != std::string::npos) return run_pfode(device, golden);
  return skipped("later: this kind of case");
}

}  // namespace ito::golden
