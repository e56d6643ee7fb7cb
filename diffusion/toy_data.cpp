#include "diffusion/toy_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "diffusion/streams.h"
#include "graph/builder.h"

namespace ito {
namespace {

using std::numbers::pi;
using Kind = ToyData::Kind;

ToyData mixture_of(std::string name, GaussianMixture mixture) {
  ToyData data{.name = std::move(name), .kind = Kind::kMixture, .mixture = std::move(mixture)};
  data.width = 1e9;
  for (const std::vector<double>& variances : data.mixture.variances)
    for (const double variance : variances) data.width = std::min(data.width, std::sqrt(variance));
  return data;
}

GaussianMixture equal_mixture(std::vector<std::vector<double>> means, double deviation) {
  const size_t count = means.size();
  return {std::vector<double>(count, 1.0 / static_cast<double>(count)), std::move(means),
          std::vector<std::vector<double>>(count, {deviation * deviation, deviation * deviation})};
}

ToyData eight_gaussians() {
  std::vector<std::vector<double>> circle;
  for (int k = 0; k < 8; ++k) {
    const double angle = 2 * pi * k / 8;
    circle.push_back({2.6 * std::cos(angle), 2.6 * std::sin(angle)});
  }
  return mixture_of("eight_gaussians", equal_mixture(std::move(circle), 0.25));
}

ToyData grid_gaussians() {
  std::vector<std::vector<double>> grid;
  for (int k = 0; k < 25; ++k) grid.push_back({1.4 * (k % 5 - 2), 1.4 * (k / 5 - 2)});
  return mixture_of("grid_gaussians", equal_mixture(std::move(grid), 0.15));
}

struct ToyRow {
  Name name;
  ToyData (*make)();
};
constexpr ToyRow kRows[] = {
    {{"two_moons", "half circles, interleaved", "", ""},
     [] {
       return ToyData{.name = "two_moons",
                      .kind = Kind::kTwoMoons,
                      .width = 0.12,
                      .extent = 3.2,
                      .mixture = {}};
     }},
    {{"swiss_roll", "a spiral of one and a half turns", "", ""},
     [] {
       return ToyData{.name = "swiss_roll", .kind = Kind::kSwissRoll, .width = 0.12, .mixture = {}};
     }},
    {{"rings", "three circles", "", ""},
     [] {
       return ToyData{
           .name = "rings", .kind = Kind::kRings, .width = 0.1, .extent = 3.4, .mixture = {}};
     }},
    {{"checkerboard", "every other square of 4 x 4", "", ""},
     [] {
       return ToyData{.name = "checkerboard",
                      .kind = Kind::kCheckerboard,
                      .width = 0.08,
                      .extent = 3.4,
                      .mixture = {}};
     }},
    {{"gaussian", "one, of unequal axes", "", ""},
     [] {
       return mixture_of("gaussian", {{1}, {{0.5, -0.25}}, {{1.44, 0.36}}});
     }},
    {{"two_gaussians", "of weights 4/5 and 1/5", "Song & Ermon 2019, section 3.2", ""},
     [] {
       return mixture_of("two_gaussians",
                         {{0.8, 0.2}, {{1.8, 1.8}, {-1.8, -1.8}}, {{0.36, 0.36}, {0.36, 0.36}}});
     }},
    {{"eight_gaussians", "on a circle", "", ""}, eight_gaussians},
    {{"grid_gaussians", "5 x 5", "", ""}, grid_gaussians},
};

Tensor column(Tensor x, int64_t i) { return slice_axis(x, 1, i, i + 1); }
Tensor number(Graph& graph, double value) { return full(graph, {}, value); }

// The curve or area itself, from three uniforms u [n, 4] → [n, 2].
Tensor shape_points(Kind kind, Tensor u) {
  Graph& graph = u.graph();
  const Tensor a = column(u, 0), b = column(u, 1), c = column(u, 2);
  switch (kind) {
    case Kind::kTwoMoons: {
      // Upper half circle around (-0.75, -0.375), lower one around (0.75, 0.375).
      const Tensor side =
          select(less(b, number(graph, 0.5)), broadcast_to(number(graph, 1), b.shape()),
                 broadcast_to(number(graph, -1), b.shape()));
      const Tensor x = cos(a * pi) * 1.5 - 0.75, y = sin(a * pi) * 1.5 - 0.375;
      return concat({x * side, y * side}, 1);
    }
    case Kind::kSwissRoll: {
      // Equal density along the curve as far as the radius is the arc's speed: r² uniform.
      const double inner = 0.5, outer = 3.1;
      const Tensor r = sqrt(a * (outer * outer - inner * inner) + inner * inner);
      const Tensor angle = r * (3 * pi / outer);
      return concat({r * cos(angle), r * sin(angle)}, 1);
    }
    case Kind::kRings: {
      const Tensor r = floor(b * 3.0) * 0.9 + 0.8;
      return concat({r * cos(a * (2 * pi)), r * sin(a * (2 * pi))}, 1);
    }
    case Kind::kCheckerboard: {
      // Column floor(4a); of its rows those of the same parity.
      const Tensor column_of = floor(a * 4.0);
      const Tensor row_of = floor(b * 2.0) * 2.0 + rem(column_of, number(graph, 2));
      return concat({a * 4.0 - 2.0, row_of + c - 2.0}, 1) * 1.3;
    }
    case Kind::kMixture:
      break;
  }
  CHECK(false, "a mixture has no curve");
}

// The component of each point by the inverse of the weights' cumulative sum.
Tensor mixture_points(const GaussianMixture& mixture, Tensor u, Tensor z) {
  Graph& graph = u.graph();
  const int64_t n = u.dim(0), components = static_cast<int64_t>(mixture.weights.size());
  std::vector<double> bounds, table;
  double sum_before = 0;
  for (size_t k = 0; k < mixture.weights.size(); ++k) {
    if (k > 0) bounds.push_back(sum_before);
    sum_before += mixture.weights[k];
    for (const double mean : mixture.means[k]) table.push_back(mean);
    for (const double variance : mixture.variances[k]) table.push_back(std::sqrt(variance));
  }
  Tensor index = full(graph, {n}, 0, DType::kU32);
  if (!bounds.empty()) {
    const Tensor below = less(constant(graph, {1, components - 1}, bounds), column(u, 0));
    index = cast(sum(cast(below, DType::kF32), {1}), DType::kU32);
  }
  const Tensor rows = gather(constant(graph, {components, 4}, table), index);
  return slice_axis(rows, 1, 0, 2) + slice_axis(rows, 1, 2, 4) * z;
}

}  // namespace

std::vector<Name> toy_data_choices() { return names_of(kRows); }

Result<ToyData> toy_data(const std::string& name) {
  ITO_ASSIGN(const ToyRow* row, row_called(std::span<const ToyRow>(kRows), name, "toy data set"));
  return row->make();
}

Tensor toy_points(const ToyData& data, Tensor key, Tensor image, Tensor step) {
  const int64_t n = image.dim(0);
  const Tensor u = random_uniform({n, 4}, key, image, step, kStreamToyShape);
  const Tensor z = random_normal({n, 2}, key, image, step, kStreamToySpread);
  if (data.is_mixture()) return mixture_points(data.mixture, u, z);
  return shape_points(data.kind, u) + z * data.width;
}

}  // namespace ito
