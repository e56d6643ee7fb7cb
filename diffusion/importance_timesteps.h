// Timesteps drawn in proportion to the root of the loss's second moment, which gives a weighted
// loss of little variance (Nichol & Dhariwal 2021, section 3.3), with its history as state on the
// device. Not for continuous times (draw_times, diffusion/score_matching.h).
#pragma once

#include <cstdint>

#include "graph/graph.h"

namespace ito {

// The last losses of every timestep, oldest first, and how many there are.
struct TimestepHistory {
  Tensor losses;  // f32 [T, K], K >= 1
  Tensor count;   // u32 [T], each at most K
};

// Losses per timestep that are kept, and the share of draws that are uniform all the same, as the
// paper has them.
inline constexpr int64_t kHistoryLength = 10;
inline constexpr double kUniformShare = 0.001;

// p_t ∝ √E[L_t²], mixed with the uniform distribution; uniform until every timestep has K losses.
// f32 [T], sums to 1.
Tensor timestep_probabilities(const TimestepHistory& history, double uniform = kUniformShare);

struct WeightedTimesteps {
  Tensor timestep;  // u32 [n]
  Tensor weight;    // f32 [n]: 1/(T p_t), under which a mean estimates the uniform one
};
// One timestep per image; key, image and step as of draw_training (diffusion/loss.h).
WeightedTimesteps draw_weighted_timesteps(Tensor probabilities, Tensor key, Tensor image,
                                          Tensor step);

// The history after losses f32 [n] at timesteps u32 [n], in that order; the oldest fall out.
TimestepHistory with_losses(const TimestepHistory& history, Tensor timestep, Tensor losses);

}  // namespace ito
