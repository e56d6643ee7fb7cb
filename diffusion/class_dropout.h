// Labels left out at random in training, so that one network learns p(x | class) and p(x) for
// classifier-free guidance (Ho & Salimans 2022, algorithm 1). Not guidance itself.
#pragma once

#include "graph/graph.h"

namespace ito {

// labels u32 [n], each replaced by `null_class` with the given probability in [0, 1]. The class
// table has a row for null_class, the last one. key, image and step as of draw_training
// (diffusion/loss.h).
Tensor drop_labels(Tensor labels, int null_class, double probability, Tensor key, Tensor image,
                   Tensor step);

}  // namespace ito
