// Energy networks on images: a network h turned into a scalar f_θ(x, t) whose gradient is the
// score, ∇_x f = s (Salimans & Ho 2021, Should EBMs model the energy or the score?), so that every
// loss and every sampler of a Denoiser trains and runs it. Training takes one order of derivative
// more. Not Langevin or Metropolis moves (diffusion/langevin.h), which take an EnergyFunction.
#pragma once

#include <cstdint>

#include "base/registry.h"
#include "diffusion/denoiser.h"
#include "diffusion/score.h"

namespace ito {

enum class EnergyForm : uint8_t {
  kNorm,   // f = -½|x - h(x,t)|²: an autoencoder's error; h has x's shape
  kInner,  // f = ½ x·h(x,t)
  kHead,   // f = Σ h(x,t): a scalar head that sums a linear map of the last features
};

struct EnergyRow {
  Name name;
  EnergyForm form;
};
// "norm", "inner", "head".
std::span<const EnergyRow> energy_rows();

// f of the network h at (x, t) → f32 [n].
EnergyFunction network_energy(EnergyForm form, Denoiser h);

// The network whose output is -∇_x f: a prediction of ε of which √(1-ᾱ) ∇ ln p = ∇_x f, so that
// f/√(1-ᾱ) is the unnormalised log density of x_t.
Denoiser energy_denoiser(EnergyForm form, Denoiser h);

}  // namespace ito
