// What `ito likelihood` writes into files: tables of numbers (CSV) and the picture of rate and
// distortion. Not for measuring (api/measuring.h) nor for what is printed (apps).
#pragma once

#include <span>
#include <string>

#include "api/bound.h"
#include "api/likelihood.h"
#include "api/log_density_lines.h"
#include "io/dataset.h"
#include "io/file.h"
#include "plots/plot.h"

namespace ito {

// A row per image of `data`, per timestep, per line (the first of which is number `first`).
std::string likelihood_table(std::span<const ImageLikelihood> images, const ImageDataset& data);
std::string rate_distortion_table(std::span<const RateDistortion> curve);
std::string line_table(std::span<const LogDensityDifference> lines, int64_t first);

// Whether a file is one of these tables.
bool is_likelihood_table(const Path& path);

// `model`: what the title calls it.
Plot rate_distortion_plot(std::span<const RateDistortion> curve, const std::string& model);

}  // namespace ito
