// run_toy: trains a toy model on a device and looks at what it has learnt: samples, score field,
// Langevin paths and log-density, with figures of merit. Not the picture (apps).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/vk/device.h"
#include "studies/toy_model.h"

namespace ito {

// Values over the square [-extent, extent]², row-major, the first row at the bottom; entry (i, j)
// belongs to the centre of its cell.
struct ToyGrid {
  int side = 0;
  double extent = 1;
  std::vector<float> points() const;  // [side * side, 2]
};

struct ToyResult {
  double extent = 1;       // half side of the square of interest
  double shown_sigma = 0;  // noise level of score field, paths and metrics
  // Points are [n, 2], interleaved.
  std::vector<float> data, samples;
  ToyGrid field_grid;
  std::vector<float> field;  // the score at its points
  int path_steps = 0, path_count = 0;
  double path_step_size = 0;
  std::vector<float> paths;  // [path_steps + 1, path_count, 2]: Langevin dynamics at shown_sigma
  ToyGrid density_grid;
  std::vector<double> log_density;  // nats
  // How log_density was found: "energy", "probability flow" or "line integral". Only the
  // probability flow's is normalised by itself; the others are scaled to mass 1 on the square.
  std::string density_method;
  bool density_normalised = false;
  double density_sigma = 0;   // noise level of log_density
  double density_mass = 1;    // its integral over the square before any scaling
  std::vector<float> losses;  // of every training step

  double final_loss = 0;  // mean of the last tenth
  // ½E|s - s*|² against the exact score, and ½E|s*|² for comparison; of mixtures.
  std::optional<double> fisher_divergence, fisher_scale;
  // Energy distance (Székely & Rizzo 2013) of samples and data, and of two halves of the data's
  // size for comparison.
  double energy_distance = 0, energy_distance_of_data = 0;
  double train_seconds = 0, seconds = 0;
};

struct ToyProgress {
  std::string stage;  // "training", "sampling", ...
  int64_t done = 0, total = 0;
};

// `progress` may be empty; when it returns false, the run stops with kInterrupted. Errors: names
// that do not exist, a loss, score or sample that is not finite (naming the step), device.
Result<ToyResult> run_toy(vk::Device& device, const ToyOptions& options,
                          const std::function<bool(const ToyProgress&)>& progress = {});

// E-distance 2E|X-Y| - E|X-X'| - E|Y-Y'| of two point sets [n, 2] in the plane, X ≠ X', Y ≠ Y'.
double energy_distance(const std::vector<float>& x, const std::vector<float>& y);

}  // namespace ito
