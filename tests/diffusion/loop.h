// Runs sampling programs on the interpreter: what an executor does on a device.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "diffusion/sampling_program.h"
#include "diffusion/solver.h"
#include "graph/interpret.h"

namespace ito::test {

using Externals = std::unordered_map<std::string, HostValue>;

// One replay: donated outputs replace their inputs, others are added to `externals`. As on a
// device, "divergence" starts at zero.
inline void replay(const Program& program, Externals& externals) {
  externals.try_emplace("divergence", HostValue{{2}, {0, 0}});
  std::vector<Tensor> results;
  for (const ProgramOutput& output : program.outputs) results.push_back(output.value);
  Result<std::vector<HostValue>> values = interpret(results, externals);
  ASSERT_TRUE(values.ok()) << values.error().message;
  for (size_t i = 0; i < results.size(); ++i)
    externals[program.outputs[i].name] = std::move((*values)[i]);
}

inline HostValue scalar_value(double value) { return {{}, {value}}; }

// States and inputs of a loop over images with the given seeds; x and history zero.
inline Externals start(const Solver& solver, const Shape& shape, const std::vector<double>& seeds) {
  const HostValue zero{shape, std::vector<double>(static_cast<size_t>(shape.numel()), 0.0)};
  Externals externals{{"x", zero},
                      {"step", scalar_value(0)},
                      {"key", {{2}, {7, 11}}},
                      {"image", {{static_cast<int64_t>(seeds.size())}, seeds}}};
  for (const std::string& name : solver.states) externals["history." + name] = zero;
  return externals;
}

// The whole loop from drawn noise; returns x.
inline std::vector<double> sample(const Solver& solver, const Denoiser& denoiser,
                                  const Shape& shape, const std::vector<double>& seeds) {
  Externals externals = start(solver, shape, seeds);
  replay(initial_noise_program(shape, solver.init_noise_sigma), externals);
  const Program step = method_program(solver_method(solver, denoiser), {.shape = shape});
  for (int i = 0; i < solver.steps(); ++i) replay(step, externals);
  return externals["x"].data;
}

// [n,c,h,w] row-major to [n,h,w,c].
inline std::vector<double> to_channels_last(const std::vector<double>& nchw, int64_t n, int64_t c,
                                            int64_t h, int64_t w) {
  std::vector<double> nhwc(nchw.size());
  for (int64_t b = 0; b < n; ++b)
    for (int64_t k = 0; k < c; ++k)
      for (int64_t p = 0; p < h * w; ++p)
        nhwc[static_cast<size_t>((b * h * w + p) * c + k)] =
            nchw[static_cast<size_t>((b * c + k) * h * w + p)];
  return nhwc;
}

}  // namespace ito::test
