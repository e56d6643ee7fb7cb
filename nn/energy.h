// Energy networks on images: a network h made a scalar f_θ(x, t) whose gradient is what the network
// then gives, so that every loss and every sampler trains and runs it as any other (Salimans & Ho
// 2021, Should EBMs model the energy or the score?). Training takes one order of derivative more.
// Not the score-matching objectives (diffusion/).
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/registry.h"
#include "base/result.h"
#include "graph/graph.h"

namespace ito {

enum class EnergyForm : uint8_t {
  kNorm,   // f = -½|x - h(x,t)|²: the error of an autoencoder
  kInner,  // f = ½ x·h(x,t)
  kHead,   // f = Σ h(x,t): a scalar head that sums a linear map of the last features
};

// What options call a network that is none.
inline constexpr const char* kNoEnergy = "none";

struct EnergyRow {
  Name name;
  EnergyForm form;
};
std::span<const EnergyRow> energy_rows();

// f per image → f32 [n], of h, x's shape, that was computed from x [n, ...].
Tensor energy(EnergyForm form, Tensor x, Tensor h);

// -∇_x f, x's shape: a prediction of ε, of which √(1-ᾱ) ∇ ln p(x_t) = ∇_x f; so f/√(1-ᾱ) is the
// unnormalised log density of x_t.
Tensor energy_output(EnergyForm form, Tensor x, Tensor h);

}  // namespace ito
