// ProbabilityFlow: the ordinary differential equation that carries the same densities p_t as a
// noising process (Song et al. 2021, Score-Based Generative Modeling through SDEs, eq. 13),
//   dx/dt = c(t) x - g(t)²/2 ∇_x ln p_t(x)  (probability_flow_drift),
// for SDEs with a score and for discrete chains with a denoiser. All that encoding, decoding and
// likelihoods know of a model. Not the integration (ode.h).
#pragma once

#include <functional>

#include "diffusion/denoiser.h"
#include "diffusion/ode.h"
#include "diffusion/parameterization.h"
#include "diffusion/reverse_sde.h"
#include "diffusion/schedule.h"
#include "diffusion/score.h"
#include "diffusion/sde.h"

namespace ito {

struct ProbabilityFlow {
  ScoreFunction score;                                  // in this flow's time
  std::function<ReverseDrift<Tensor>(Tensor t)> drift;  // c(t) and -g(t)²/2, f32 [n] → [n]
  double start = 0;                                     // the time at the data ...
  double end = 1;  // ... and that of the prior, N(0, prior_std² I)
  double prior_std = 1;

  // dx/dt where the score at x [n, ...] and t f32 [n] is the one given; and with this flow's.
  Tensor velocity(Tensor x, Tensor t, Tensor score) const;
  Tensor velocity(Tensor x, Tensor t) const { return velocity(x, t, score(x, t)); }
};

// From sde.start() to sde.end().
ProbabilityFlow probability_flow(const Sde& sde, ScoreFunction score);

// A discrete chain in continuous time. With ᾱ = sigmoid(-τ) the chain x = √ᾱ x_0 + √(1-ᾱ) ε is a
// variance-preserving process whose time is minus its log-SNR τ = ln((1-ᾱ)/ᾱ) and whose β is
// sigmoid(τ), whatever the schedule:
//   dx/dτ = -(1-ᾱ)/2 (x + ∇ ln p_τ(x)).
// The network is asked at the timestep where the schedule has that log-SNR, linear in between; the
// flow goes from timestep 0 to the last one that has any signal left (ᾱ > 1e-12). `denoiser` may
// give 2 c channels for c (learned variance); the second half is not used.
// Errors: a schedule with fewer than two timesteps, or whose ᾱ does not fall.
Result<ProbabilityFlow> probability_flow(const NoiseSchedule& schedule, Prediction prediction,
                                         Denoiser denoiser);

// The flow alone, component "x" of `shape`: encode from start to end, decode from end to start.
OdeSystem flow_system(const ProbabilityFlow& flow, const Shape& shape);

// Of the systems of flows and likelihoods.
inline constexpr const char* kFlowComponent = "x";
namespace flow_ports {
inline constexpr Port<float> kState{"y.x"};  // of that component
}  // namespace flow_ports

}  // namespace ito
