#include "tests/golden_runner/sde_case.h"

#include "base/error.h"

namespace ito::golden {
namespace {

Result<Sde::Kind> sde_kind(const std::string& name) {
  for (const Sde::Kind kind : {Sde::Kind::kVe, Sde::Kind::kVp, Sde::Kind::kSubVp})
    if (name == sde_name(kind)) return kind;
  return corrupt("kind is \"{}\", expected ve, vp or subvp", name);
}

}  // namespace

Result<Sde> sde_of(const Case& golden) {
  Sde sde;
  ITO_ASSIGN(const std::string kind, text(golden.json, "kind"));
  ITO_ASSIGN(sde.kind, sde_kind(kind));
  if (sde.kind == Sde::Kind::kVe) {
    ITO_ASSIGN(sde.sigma_min, number(golden.json, "s0"));
    ITO_ASSIGN(sde.sigma_max, number(golden.json, "s1"));
  } else {
    ITO_ASSIGN(sde.beta_min, number(golden.json, "b0"));
    ITO_ASSIGN(sde.beta_max, number(golden.json, "b1"));
  }
  ITO_TRY(check_sde(sde));
  return sde;
}

Result<GaussianMixture> mixture_of(const Case& golden) {
  ITO_ASSIGN(const Array means, golden.array("gmm.means"));
  ITO_ASSIGN(const Array variances, golden.array("gmm.vars"));
  ITO_ASSIGN(const Array weights, golden.array("gmm.weights"));
  if (means.shape.rank() != 2 || variances.shape != means.shape ||
      weights.shape != Shape{means.shape[0]})
    return corrupt("gmm.means, gmm.vars and gmm.weights do not fit together");
  GaussianMixture mixture{.weights = weights.data, .means = {}, .variances = {}};
  for (int64_t k = 0; k < means.shape[0]; ++k) {
    mixture.means.push_back(row(means, k).data);
    mixture.variances.push_back(row(variances, k).data);
  }
  return mixture;
}

}  // namespace ito::golden
