#include "nn/energy.h"

#include <vector>

#include "base/check.h"
#include "graph/builder.h"

namespace ito {
namespace {

constexpr EnergyRow kEnergies[] = {
    {{"norm", "-|x - h(x)|^2/2, the error of an autoencoder h", "Salimans & Ho 2021, section 2",
      ""},
     EnergyForm::kNorm},
    {{"inner", "x.h(x)/2", "Salimans & Ho 2021, section 2", ""}, EnergyForm::kInner},
    {{"head", "the sum of h(x), a scalar head", "Song & Kingma 2021, section 2", ""},
     EnergyForm::kHead},
};

Tensor sum_per_image(Tensor x) {
  std::vector<int64_t> axes;
  for (int axis = 1; axis < x.rank(); ++axis) axes.push_back(axis);
  return sum(x, axes);
}

}  // namespace

std::span<const EnergyRow> energy_rows() { return kEnergies; }

Tensor energy(EnergyForm form, Tensor x, Tensor h) {
  CHECK(h.shape() == x.shape(), "energy: the network gives " + h.shape().to_string() +
                                    ", expected " + x.shape().to_string());
  switch (form) {
    case EnergyForm::kNorm:
      return sum_per_image(square(x - h)) * -0.5;
    case EnergyForm::kInner:
      return sum_per_image(x * h) * 0.5;
    case EnergyForm::kHead:
      return sum_per_image(h);
  }
  CHECK(false, "unknown form of an energy");
}

Tensor energy_output(EnergyForm form, Tensor x, Tensor h) {
  return -grad(sum_all(energy(form, x, h)), {x})[0];
}

}  // namespace ito
