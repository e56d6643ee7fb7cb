// Chains on the interpreter, and the exact moments of a chain that is affine in x.
#pragma once

#include <cmath>

#include "diffusion/method.h"
#include "tests/diffusion/loop.h"

namespace ito::test {

// Externals of a chain over x = 0 of `shape`, images seeded 0, 1, 2, ...; states zero.
inline Externals method_start(const Method& chain, const Shape& shape) {
  const HostValue zero{shape, std::vector<double>(static_cast<size_t>(shape.numel()), 0.0)};
  const HostValue zero_per_image{{shape[0]},
                                 std::vector<double>(static_cast<size_t>(shape[0]), 0.0)};
  Externals externals{{"x", zero},
                      {"step", scalar_value(0)},
                      {"divergence", {{2}, {0, 0}}},
                      {"key", {{2}, {7, 11}}},
                      {"image", zero_per_image}};
  for (size_t i = 0; i < externals["image"].data.size(); ++i)
    externals["image"].data[i] = static_cast<double>(i);
  for (const MethodState& state : chain.states)
    externals["history." + state.name] = state.per_image ? zero_per_image : zero;
  for (int draw = 0; draw < chain.draws; ++draw) externals["noise." + std::to_string(draw)] = zero;
  return externals;
}

// `replays` steps, or Method::steps for 0.
inline void replay_method(const Method& chain, const MethodOptions& options, Externals& externals,
                          int replays = 0) {
  if (chain.start) replay(method_start_program(chain, options.shape), externals);
  const Program program = method_program(chain, options);
  for (int i = 0; i < (replays > 0 ? replays : chain.steps); ++i) replay(program, externals);
}

struct Moments {
  double mean = 0;
  double variance = 1;
};

// Mean and variance after every step of a chain on one number that is affine in x and its draws,
// from those before: a step is read off its values at x = 0 and 1 without noise and at x = 0 with
// each draw 1.
inline std::vector<Moments> method_moments(const Method& chain, Moments now) {
  const Shape shape{2 + chain.draws, 1};
  const Program program = method_program(chain, {.shape = shape, .noise_input = true});
  std::vector<Moments> all;
  for (int i = 0; i < chain.steps; ++i) {
    Externals externals = method_start(chain, shape);
    externals["step"] = scalar_value(i);
    externals["x"].data[1] = 1;
    for (int draw = 0; draw < chain.draws; ++draw)
      externals["noise." + std::to_string(draw)].data[static_cast<size_t>(2 + draw)] = 1;
    replay(program, externals);
    const std::vector<double>& y = externals["x"].data;
    const double slope = y[1] - y[0];
    now.mean = slope * now.mean + y[0];
    now.variance *= slope * slope;
    for (size_t draw = 2; draw < y.size(); ++draw)
      now.variance += (y[draw] - y[0]) * (y[draw] - y[0]);
    all.push_back(now);
  }
  return all;
}

}  // namespace ito::test
