// Exact log-likelihoods by the instantaneous change of variables along the probability flow
// (Chen et al. 2018, Neural ODEs, theorem 1; Song et al. 2021, eq. 39), what turns them into
// bits/dim of 8-bit images, and log-density differences by integrating a score along a line. As
// systems for ode.h; not the loop (api/likelihood.h).
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "diffusion/probability_flow.h"

namespace ito {

// How the divergence of the score is found.
enum class Divergence : uint8_t {
  kExact,       // every diagonal element: as many gradients as an image has elements
  kRademacher,  // Hutchinson 1990: E[vᵀ J v] over v of independent ±1, which has less variance than
  kGaussian,  // ... over standard normals (FFJORD: Grathwohl et al. 2019)
};
// "exact", "rademacher" or "gaussian".
Result<Divergence> divergence_from_name(const std::string& name);

struct LikelihoodOptions {
  Divergence divergence = Divergence::kRademacher;
  int probes = 1;  // independent v per image, each held fixed along the whole path; not for kExact

  // Whether there is nothing random in the divergence, and so no probes.
  bool exact() const { return divergence == Divergence::kExact; }
  int columns() const { return exact() ? 1 : probes; }
};
// Largest image, in elements, that kExact takes.
inline constexpr int64_t kMaxExactElements = 128;
// Errors: probes below 1, or an image of more than kMaxExactElements elements for kExact.
Status check_likelihood(const LikelihoodOptions& options, const Shape& shape);

// Components of likelihood_system and line_system.
inline constexpr const char* kDeltaComponent = "delta";
inline constexpr const char* kDifferenceComponent = "difference";
namespace likelihood_ports {
inline constexpr Port<float> kDelta{"y.delta"};            // of that component, beside its rest
inline constexpr Port<float> kDifference{"y.difference"};  // of that component
inline constexpr PortFamily<float> kProbe{"probe."};       // inputs of x's shape, by number
inline constexpr Port<float> kLineFrom{"line_from"};       // inputs of line_system, as x
inline constexpr Port<float> kLineTo{"line_to"};
inline constexpr Port<float> kLineTime{"line_time"};  // [n]: the score's time
inline constexpr Port<float> kPixels{"pixels"};       // of dequantisation_program
}  // namespace likelihood_ports

// Components "x" of `shape` [n, ...] and "delta" [n, columns], d delta/dt = ∇·(dx/dt) / D, D being
// the elements of an image: nats per dimension, so that tolerances mean the same for every size.
// Integrated from flow.start to flow.end, with kDelta at 0 before,
//   ln p_start(x) = ln N(z; 0, prior_std² I) + D delta.
// The linear part of the flow enters exactly; only the score's divergence is estimated.
OdeSystem likelihood_system(const ProbabilityFlow& flow, const Shape& shape,
                            const LikelihoodOptions& options);

// Draws the states kProbe of `shape` from kKey and kImage of sampling_ports.
Program probe_program(const Shape& shape, const LikelihoodOptions& options);

// Uniform dequantisation: sets the state flow_ports::kState to (b + u)/128 - 1 for the bytes b of
// kPixels (f32 [n, ...], 0 to 255) and u uniform in (0, 1) from kKey and kImage (Theis et al. 2016,
// A note on the evaluation of generative models, section 3.1; Song et al. 2021).
Program dequantisation_program(const Shape& shape);

// ln N(z; 0, std² I) of one image's elements.
double gaussian_log_density(std::span<const float> z, double std);

// -log2 p per dimension of an image of `dimensions` elements.
double bits_per_dim(double log_density, int64_t dimensions);

// What bits_per_dim of the density of x = (b + u)/128 - 1 is short of a bound for the bytes b:
// P(b) = ∫ p(x) dx over a cube of side 1/128, so by Jensen's inequality
//   -log2 P(b) / D <= E_u[-log2 p(x)] / D + log2 128.
inline constexpr double kByteBits = 7;

// ln p_t(b) - ln p_t(a) = ∫_0^1 score(a + s (b - a), t)·(b - a) ds, in nats: component
// "difference" [n], integrated over time 0 to 1, with inputs kLineFrom a, kLineTo b of `shape`
// and kLineTime t. (The path is a line, so the adaptive method becomes an adaptive quadrature.)
OdeSystem line_system(const ScoreFunction& score, const Shape& shape);

}  // namespace ito
