#include "diffusion/reverse_sde.h"

#include "graph/builder.h"

namespace ito {
namespace {

Tensor drift_with(const Sde& sde, const ScoreFunction& score, Tensor x, Tensor t, double share) {
  const Tensor pull = per_image(square(sde.diffusion(t)) * share, x.rank()) * score(x, t);
  return per_image(sde.drift(t), x.rank()) * x - pull;
}

}  // namespace

Tensor reverse_drift(const Sde& sde, const ScoreFunction& score, Tensor x, Tensor t) {
  return drift_with(sde, score, x, t, 1);
}

Tensor probability_flow_drift(const Sde& sde, const ScoreFunction& score, Tensor x, Tensor t) {
  return drift_with(sde, score, x, t, 0.5);
}

}  // namespace ito
