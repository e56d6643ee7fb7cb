#include "diffusion/huber.h"

#include <cmath>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/registry.h"
#include "diffusion/choices.h"
#include "graph/builder.h"

namespace ito {
namespace {

struct WidthRow {
  Name name;
  // c at timestep t.
  double (*width)(double least, const NoiseSchedule& schedule, int t);
};
constexpr WidthRow kWidths[] = {
    {{"constant", "the same for every timestep", "Song & Dhariwal 2023", ""},
     [](double least, const NoiseSchedule&, int) { return least; }},
    {{"exponential", "falling as a power of the timestep", "Khrapov et al. 2024", ""},
     [](double least, const NoiseSchedule& schedule, int t) {
       return std::pow(least, static_cast<double>(t) / schedule.num_timesteps());
     }},
    {{"snr", "falling with the signal", "Khrapov et al. 2024", ""},
     [](double least, const NoiseSchedule& schedule, int t) {
       const double sigma = std::sqrt(1 / schedule.snr(t));
       return (1 - least) / ((1 + sigma) * (1 + sigma)) + least;
     }},
};

}  // namespace

std::vector<Name> huber_width_choices() { return names_of(kWidths); }

Tensor pseudo_huber(Tensor d, Tensor c) {
  // √(d² + c²) - c without the difference of near numbers.
  const Tensor squared = square(d);
  return 2 * c * squared / (sqrt(squared + square(c)) + c);
}

Result<std::vector<double>> huber_widths(const std::string& name, double least,
                                         const NoiseSchedule& schedule) {
  if (!(least > 0) || !std::isfinite(least))
    return invalid_argument("the pseudo-Huber loss's width is {}, expected more than 0", least);
  ITO_ASSIGN(const WidthRow* row, row_called(std::span<const WidthRow>(kWidths), name,
                                             "the fall of the pseudo-Huber loss's width"));
  std::vector<double> widths;
  for (int t = 0; t < schedule.num_timesteps(); ++t)
    widths.push_back(row->width(least, schedule, t));
  return widths;
}

DenoisingError huber_error(std::vector<double> widths) {
  return [widths = std::move(widths)](Tensor difference, Tensor timestep) {
    const int64_t T = static_cast<int64_t>(widths.size());
    const Tensor c = gather(constant(difference.graph(), {T, 1}, widths), timestep);
    std::vector<int64_t> per_image(static_cast<size_t>(difference.rank()), 1);
    per_image[0] = difference.dim(0);
    return pseudo_huber(difference, reshape(c, Shape(per_image)));
  };
}

}  // namespace ito
