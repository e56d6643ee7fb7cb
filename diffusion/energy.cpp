#include "diffusion/energy.h"

#include <utility>

#include "base/check.h"
#include "diffusion/divergence.h"
#include "graph/builder.h"

namespace ito {
namespace {

constexpr EnergyRow kRows[] = {
    {{"norm", "-|x - h(x)|²/2, the error of an autoencoder h", "Salimans & Ho 2021, section 2", ""},
     EnergyForm::kNorm},
    {{"inner", "x·h(x)/2", "Salimans & Ho 2021, section 2", ""}, EnergyForm::kInner},
    {{"head", "the sum of h(x), a scalar head", "Song & Kingma 2021, section 2", ""},
     EnergyForm::kHead},
};

}  // namespace

std::span<const EnergyRow> energy_rows() { return kRows; }

EnergyFunction network_energy(EnergyForm form, Denoiser h) {
  return [form, h = std::move(h)](Tensor x, Tensor t) {
    const Tensor output = h(x, t);
    CHECK(output.shape() == x.shape(), "energy: the network gives " + output.shape().to_string() +
                                           ", expected " + x.shape().to_string());
    switch (form) {
      case EnergyForm::kNorm:
        return sum_per_image(square(x - output)) * -0.5;
      case EnergyForm::kInner:
        return sum_per_image(x * output) * 0.5;
      case EnergyForm::kHead:
        return sum_per_image(output);
    }
    CHECK(false, "unknown form of an energy");
  };
}

Denoiser energy_denoiser(EnergyForm form, Denoiser h) {
  return [score = energy_score(network_energy(form, std::move(h)))](Tensor x, Tensor t) {
    return -score(x, t);
  };
}

}  // namespace ito
