#include "api/likelihood_tables.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/output_file.h"

namespace ito {
namespace {

constexpr const char* kImageColumns =
    "image,label,log_density,bits_per_dim,probe_error,evaluations,rejections\n";
constexpr const char* kTimestepColumns =
    "timestep,term,standard_error,rate,rate_standard_error,distortion,"
    "distortion_standard_error\n";
constexpr const char* kLineColumns = "line,difference,integration_error,points\n";

}  // namespace

bool is_likelihood_table(const Path& path) {
  const char* const kinds[] = {kImageColumns, kTimestepColumns, kLineColumns};
  return std::any_of(std::begin(kinds), std::end(kinds),
                     [&](const char* columns) { return begins_with(path, columns); });
}

std::string likelihood_table(std::span<const ImageLikelihood> images, const ImageDataset& data) {
  std::string text = kImageColumns;
  for (const ImageLikelihood& image : images) {
    const std::string label =
        data.labels ? std::to_string((*data.labels)[static_cast<size_t>(image.image)]) : "";
    text += fmt::format("{},{},{:.6f},{:.6f},{:.6f},{},{}\n", image.image, label, image.log_density,
                        image.bits_per_dim, image.probe_error, image.evaluations, image.rejections);
  }
  return text;
}

std::string rate_distortion_table(std::span<const RateDistortion> curve) {
  std::string text = kTimestepColumns;
  for (const RateDistortion& row : curve)
    text +=
        fmt::format("{},{:.6f},{:.6f},{:.6f},{:.6f},{:.4f},{:.4f}\n", row.timestep, row.term.mean,
                    row.term.standard_error, row.rate.mean, row.rate.standard_error,
                    row.distortion.mean, row.distortion.standard_error);
  return text;
}

std::string line_table(std::span<const LogDensityDifference> lines, int64_t first) {
  std::string text = kLineColumns;
  for (size_t i = 0; i < lines.size(); ++i)
    text += fmt::format("{},{:.6f},{:.2e},{}\n", first + static_cast<int64_t>(i), lines[i].value,
                        lines[i].integration_error, lines[i].points);
  return text;
}

Plot rate_distortion_plot(std::span<const RateDistortion> curve, const std::string& model) {
  Series series{.name = "", .x = {}, .y = {}};
  for (const RateDistortion& row : curve) {
    series.x.push_back(row.rate.mean);
    series.y.push_back(row.distortion.mean);
  }
  return {.title = "rate and distortion of " + model,
          .x_label = "rate (bits/dim)",
          .y_label = "distortion (RMSE, 0 to 255)",
          .series = {series}};
}

}  // namespace ito
