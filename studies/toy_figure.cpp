#include "studies/toy_figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plots/plot.h"

namespace ito {
namespace {

Points points_of(const std::vector<float>& xy, Colour colour, double radius, double alpha) {
  Points points;
  points.colour = colour;
  points.radius = radius;
  points.alpha = alpha;
  for (size_t i = 0; i + 1 < xy.size(); i += 2) {
    points.x.push_back(xy[i]);
    points.y.push_back(xy[i + 1]);
  }
  return points;
}

Panel panel_of(const ToyResult& result, std::string title) {
  Panel panel;
  panel.title = std::move(title);
  panel.x_label = std::string("x");
  panel.y_label = std::string("y");
  panel.x_low = panel.y_low = -result.extent;
  panel.x_high = panel.y_high = result.extent;
  return panel;
}

std::string at_sigma(double sigma) { return sigma > 0 ? fmt::format(", sigma {:.2g}", sigma) : ""; }

constexpr Colour kFaint{176, 180, 188};

Panel data_panel(const ToyResult& result) {
  Panel panel = panel_of(result, fmt::format("data, {} points", result.data.size() / 2));
  panel.points.push_back(points_of(result.data, kSeriesColours[0], 1.3, 0.6));
  return panel;
}

Panel sample_panel(const ToyResult& result) {
  Panel panel = panel_of(result, fmt::format("samples, {} points", result.samples.size() / 2));
  panel.points.push_back(points_of(result.samples, kSeriesColours[1], 1.3, 0.6));
  return panel;
}

// Every arrow points along the score; its length grows with the square root of the magnitude up to
// the spacing of the grid, its colour with the logarithm.
Panel field_panel(const ToyResult& result) {
  Panel panel = panel_of(result, "learned score" + at_sigma(result.shown_sigma));
  panel.points.push_back(points_of(result.data, kFaint, 1.2, 0.35));
  const std::vector<float> at = result.field_grid.points();
  std::vector<double> magnitudes;
  for (size_t i = 0; i < at.size(); i += 2)
    magnitudes.push_back(std::hypot(result.field[i], result.field[i + 1]));
  std::vector<double> sorted = magnitudes;
  std::sort(sorted.begin(), sorted.end());
  const double high = std::log10(std::max(sorted[sorted.size() * 98 / 100], 1e-6));
  const double low = std::max(std::log10(std::max(sorted[sorted.size() / 50], 1e-9)), high - 2);
  const double spacing = 2 * result.extent / result.field_grid.side;
  Arrows arrows;
  arrows.low = low;
  arrows.high = high > low ? high : low + 1;
  arrows.label = "log10 |score|";
  for (size_t i = 0; i < at.size(); i += 2) {
    const double magnitude = magnitudes[i / 2];
    if (!(magnitude > 0)) continue;
    const double share = std::min(1.0, magnitude / std::pow(10, arrows.high));
    const double length = spacing * (0.35 + 0.6 * std::sqrt(share));
    const double dx = result.field[i] / magnitude * length;
    const double dy = result.field[i + 1] / magnitude * length;
    arrows.x.push_back(at[i] - dx / 2);
    arrows.y.push_back(at[i + 1] - dy / 2);
    arrows.dx.push_back(dx);
    arrows.dy.push_back(dy);
    arrows.shade.push_back((std::log10(magnitude) - arrows.low) / (arrows.high - arrows.low));
  }
  panel.arrows = std::move(arrows);
  return panel;
}

Panel path_panel(const ToyResult& result) {
  Panel panel = panel_of(result, fmt::format("Langevin paths{}", at_sigma(result.shown_sigma)));
  panel.points.push_back(points_of(result.data, kFaint, 1.2, 0.35));
  Points starts, ends;
  starts.colour = kInk;
  starts.radius = 4;
  starts.name = std::string("start");
  ends.colour = kSeriesColours[3];
  ends.radius = 4.5;
  ends.name = std::string("end");
  constexpr size_t kPathColours[] = {0, 1, 2, 4};
  for (int path = 0; path < result.path_count; ++path) {
    Path2 line;
    line.colour = kSeriesColours[kPathColours[path % 4]];
    line.width = 1.2;
    for (int step = 0; step <= result.path_steps; ++step) {
      const size_t i = static_cast<size_t>(step * result.path_count + path) * 2;
      line.x.push_back(result.paths[i]);
      line.y.push_back(result.paths[i + 1]);
    }
    starts.x.push_back(line.x.front());
    starts.y.push_back(line.y.front());
    ends.x.push_back(line.x.back());
    ends.y.push_back(line.y.back());
    panel.paths.push_back(std::move(line));
  }
  panel.over.push_back(std::move(starts));
  panel.over.push_back(std::move(ends));
  return panel;
}

Panel density_panel(const ToyResult& result) {
  Panel panel = panel_of(result, "log-density" + at_sigma(result.density_sigma));
  const int side = result.density_grid.side;
  const double peak = *std::max_element(result.log_density.begin(), result.log_density.end());
  panel.heat = HeatMap{.columns = side,
                       .rows = side,
                       .values = result.log_density,
                       .low = peak - 10,
                       .high = peak,
                       .label = "ln p by " + result.density_method};
  return panel;
}

Panel loss_panel(const ToyOptions& options, const ToyResult& result, const Figure& figure) {
  // A running mean: single batches are noisy.
  Series series{"", {}, {}};
  const size_t part = std::max<size_t>(result.losses.size() / 150, 1);
  for (size_t i = 0; i + part <= result.losses.size(); i += part) {
    double sum = 0;
    for (size_t k = i; k < i + part; ++k) sum += result.losses[k];
    series.x.push_back(static_cast<double>(i + part));
    series.y.push_back(sum / static_cast<double>(part));
  }
  Plot plot{.title = fmt::format("loss ({}), mean of {} steps", options.objective, part),
            .x_label = "step",
            .y_label = "loss",
            .series = {std::move(series)},
            .width = panel_width(figure),
            .height = panel_height(figure)};
  Panel panel;
  panel.picture = draw_plot(plot);
  return panel;
}

}  // namespace

std::vector<std::string> toy_summary(const ToyResult& result) {
  std::vector<std::string> lines;
  if (result.fisher_divergence)
    lines.push_back(
        fmt::format("Fisher divergence from the exact score: {:.4g} (of a zero score: {:.4g}){}",
                    *result.fisher_divergence, *result.fisher_scale, at_sigma(result.shown_sigma)));
  lines.push_back(
      fmt::format("energy distance of samples and data: {:.4f} (of data and data: {:.4f})",
                  result.energy_distance, result.energy_distance_of_data));
  if (result.density_normalised)
    lines.push_back(fmt::format("probability in the square: {:.3f}", result.density_mass));
  lines.push_back(fmt::format("final loss {:.4f}; trained in {:.1f} s, {:.1f} s in all",
                              result.final_loss, result.train_seconds, result.seconds));
  return lines;
}

Figure toy_figure(const ToyOptions& options, const ToyResult& result) {
  Figure figure;
  figure.title = fmt::format("{}: {} network by {}, {} steps, seed {}", options.data,
                             options.energy ? "energy" : "score", options.objective, options.steps,
                             options.seed);
  figure.notes = toy_summary(result);
  figure.panels = {data_panel(result),    field_panel(result),
                   path_panel(result),    sample_panel(result),
                   density_panel(result), loss_panel(options, result, figure)};
  return figure;
}

}  // namespace ito
