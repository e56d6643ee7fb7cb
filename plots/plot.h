// Line charts as images: the loss curve of a training run. Not a plotting library.
#pragma once

#include <string>
#include <vector>

#include "io/image.h"

namespace ito {

struct Series {
  std::string name;          // shown in the legend when there are several or it is not empty
  std::vector<double> x, y;  // equally long; points with NaN or infinity break the line
};

struct Plot {
  std::string title, x_label, y_label;
  std::vector<Series> series;
  bool log_y = false;  // values ≤ 0 then break the line
  int width = 900, height = 500;
};

// An RGB image with axes, ticks at round numbers, a grid and antialiased lines. Text outside ASCII
// is shown as question marks. Without a finite point only the frame and the words "no data".
Image draw_plot(const Plot& plot);

// Tick positions at 1, 2 or 5 times a power of ten covering [low, high], about `count` of them.
std::vector<double> linear_ticks(double low, double high, int count);
// For positive low < high on a log axis: powers of ten; also 2 and 5 times them when there are few.
std::vector<double> log_ticks(double low, double high);
// "0.05", "1e-06", "20k": at most six characters for round numbers.
std::string tick_text(double value);

}  // namespace ito
