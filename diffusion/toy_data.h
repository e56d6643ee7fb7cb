// Toy data sets in the plane, drawn on the device: shapes that show what a score model can and
// cannot do, and Gaussian mixtures, whose exact score is known. Every set is smooth: its points are
// spread by a Gaussian of deviation `width` at least, so that its score exists everywhere.
// Not images and not files (io/dataset.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/registry.h"
#include "base/result.h"
#include "diffusion/gaussian_mixture.h"
#include "graph/graph.h"

namespace ito {

struct ToyData {
  // What is not kMixture is a curve or an area, spread by N(0, width²):
  //   two moons     half circles of radius 1.5, interleaved
  //   swiss roll    an Archimedean spiral of one and a half turns
  //   rings         circles of radius 0.8, 1.7 and 2.6, equally likely
  //   checkerboard  every other square of a board of 4 x 4, each 1.3 wide
  enum class Kind : uint8_t { kTwoMoons, kSwissRoll, kRings, kCheckerboard, kMixture };

  std::string name;
  Kind kind = Kind::kMixture;
  double width = 0.1;       // deviation of the finest feature
  double extent = 4;        // all but a few points lie in [-extent, extent]²
  GaussianMixture mixture;  // of kMixture

  bool is_mixture() const { return kind == Kind::kMixture; }
};

// two_moons, swiss_roll, rings, checkerboard, and the mixtures gaussian (one, of unequal axes),
// two_gaussians (weights 4/5 and 1/5, as in Song & Ermon 2019, section 3.2), eight_gaussians (on a
// circle) and grid_gaussians (5 x 5).
std::vector<Name> toy_data_choices();
// The error lists the names.
Result<ToyData> toy_data(const std::string& name);

// n = image.dim(0) points, f32 [n, 2]: each a function of key u32 [2], image u32 [n] and step
// u32 [] alone.
Tensor toy_points(const ToyData& data, Tensor key, Tensor image, Tensor step);

}  // namespace ito
