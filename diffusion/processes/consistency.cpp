// EDM's process, of which the network maps straight to the image (Song et al. 2023): no score, and
// no other model is one.
#include "base/error.h"
#include "diffusion/diffusion_model.h"
#include "diffusion/processes/rows.h"

namespace ito {

ProcessRow consistency_process() {
  return {.name = {"consistency", "EDM's process, the network maps straight to the image",
                   "Song et al. 2023", ""},
          .kind = ProcessKind::kConsistency,
          .score = [](const DiffusionModel&, bool) -> Result<ScoreModel> {
            return unsupported("a consistency model has no score; expected --sampler consistency");
          }};
}

}  // namespace ito
