// Golden family sde, *_pfode_*: the probability-flow ODE.
#include "tests/golden_runner/families.h"

namespace ito::golden {

Result<Outcome> run_pfode(vk::Device&, const Case&) {
  return skipped("later: the probability-flow ODE and its likelihood");
}

}  // namespace ito::golden
