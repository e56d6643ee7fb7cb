#include "diffusion/reverse_sde.h"

#include "graph/builder.h"

namespace ito {
namespace {

template <typename T>
ReverseDrift<T> drift_with(const Sde& sde, T t, double share_of_score) {
  const T g = sde.diffusion(t);
  return {.on_x = sde.drift(t), .on_score = g * g * -share_of_score};
}

}  // namespace

ReverseDrift<double> reverse_drift(const Sde& sde, double t) { return drift_with(sde, t, 1); }

ReverseDrift<double> probability_flow_drift(const Sde& sde, double t) {
  return drift_with(sde, t, 0.5);
}

ReverseDrift<Tensor> probability_flow_drift(const Sde& sde, Tensor t) {
  return drift_with(sde, t, 0.5);
}

}  // namespace ito
