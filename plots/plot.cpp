#include "plots/plot.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/error.h"
#include "plots/canvas.h"

namespace ito {
namespace {

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return !(low <= high); }
};

// An axis maps values to pixels; the log form works on log10.
struct Axis {
  double low, high;
  int begin, end;  // pixels of low and high
  bool log;

  double at(double value) const {
    double v = log ? std::log10(value) : value;
    return begin + (v - low) / (high - low) * (end - begin);
  }
};

bool drawable(double x, double y, bool log_y) {
  return std::isfinite(x) && std::isfinite(y) && (!log_y || y > 0);
}

// A range of one value has no width; open it, and leave a little air around the others.
void widen(double* low, double* high, double air) {
  double span = *high - *low;
  double scale = std::max(std::abs(*low), std::abs(*high));
  if (span <= scale * 1e-12)
    span = scale > 0 ? scale : 1;
  else
    span *= air;
  *low -= span;
  *high += span;
}

void draw_series(Canvas& canvas, const Plot& plot, const Axis& x, const Axis& y) {
  for (size_t s = 0; s < plot.series.size(); ++s) {
    const Series& series = plot.series[s];
    Colour colour = kSeriesColours[s % kSeriesColours.size()];
    // A dense, noisy curve in a thick line would be a band.
    double width = series.x.size() > static_cast<size_t>(plot.width) ? 1.2 : 2.0;
    bool joined = false;
    double last_x = 0, last_y = 0;
    for (size_t i = 0; i < series.x.size(); ++i) {
      if (!drawable(series.x[i], series.y[i], plot.log_y)) {
        joined = false;
        continue;
      }
      double px = x.at(series.x[i]), py = y.at(series.y[i]);
      if (!joined) last_x = px, last_y = py;
      canvas.line(last_x, last_y, px, py, width, colour);
      last_x = px;
      last_y = py;
      joined = true;
    }
  }
}

void draw_legend(Canvas& canvas, const Plot& plot, int right, int top) {
  int width = 0, rows = 0;
  for (const Series& series : plot.series) {
    if (series.name.empty()) continue;
    width = std::max(width, Canvas::text_width(series.name, 2));
    ++rows;
  }
  if (rows == 0) return;
  int left = right - width - 58;
  canvas.fill(left - 1, top - 1, width + 48, rows * 22 + 12, kGrid);
  canvas.fill(left, top, width + 46, rows * 22 + 10, kWhite);
  int y = top + 8;
  for (size_t s = 0; s < plot.series.size(); ++s) {
    if (plot.series[s].name.empty()) continue;
    canvas.line(left + 10, y + 7, left + 32, y + 7, 3, kSeriesColours[s % kSeriesColours.size()]);
    canvas.text(left + 42, y, plot.series[s].name, 2, kInk);
    y += 22;
  }
}

}  // namespace

std::vector<double> linear_ticks(double low, double high, int count) {
  double step = std::pow(10, std::floor(std::log10((high - low) / count)));
  for (double factor : {1.0, 2.0, 5.0, 10.0})
    if ((high - low) / (step * factor) <= count + 0.5) {
      step *= factor;
      break;
    }
  std::vector<double> ticks;
  // Counting in whole steps keeps 0 exact and the others free of accumulated rounding.
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + step * 1e-9; ++i)
    ticks.push_back(i * step + 0.0);  // + 0.0 turns -0 into 0
  return ticks;
}

std::vector<double> log_ticks(double low, double high) {
  int first = static_cast<int>(std::floor(std::log10(low)));
  int last = static_cast<int>(std::ceil(std::log10(high)));
  int stride = std::max(1, (last - first) / 8);
  std::vector<double> ticks;
  bool fine = last - first <= 3;
  for (int decade = first; decade <= last; decade += stride)
    for (double factor : {1.0, 2.0, 5.0}) {
      double value = factor * std::pow(10.0, decade);
      if (value >= low && value <= high && (fine || factor == 1.0)) ticks.push_back(value);
    }
  return ticks;
}

std::string tick_text(double value) {
  double magnitude = std::abs(value);
  if (magnitude >= 1e4 && magnitude < 1e6) return fmt::format("{:.4g}k", value / 1e3);
  if (magnitude >= 1e6 && magnitude < 1e9) return fmt::format("{:.4g}M", value / 1e6);
  return fmt::format("{:.4g}", value);
}

Image draw_plot(const Plot& plot) {
  CHECK(plot.width >= 200 && plot.height >= 150, "a chart needs some room");
  Canvas canvas(plot.width, plot.height);
  const int left = 96, right = plot.width - 28, top = 52, bottom = plot.height - 66;
  canvas.text((plot.width - Canvas::text_width(plot.title, 2)) / 2, 18, plot.title, 2, kInk);

  Range xs, ys;
  for (const Series& series : plot.series) {
    CHECK(series.x.size() == series.y.size(), "a series has one y for each x");
    for (size_t i = 0; i < series.x.size(); ++i) {
      if (!drawable(series.x[i], series.y[i], plot.log_y)) continue;
      xs.include(series.x[i]);
      ys.include(plot.log_y ? std::log10(series.y[i]) : series.y[i]);
    }
  }
  if (xs.empty()) {
    canvas.text((left + right - Canvas::text_width("no data", 2)) / 2, (top + bottom) / 2,
                "no data", 2, kInk);
    xs = {0, 1};
    ys = {0, 1};
  }
  widen(&xs.low, &xs.high, 0);
  widen(&ys.low, &ys.high, 0.05);
  Axis x{xs.low, xs.high, left, right, false}, y{ys.low, ys.high, bottom, top, plot.log_y};

  for (double value : linear_ticks(xs.low, xs.high, 8)) {
    int at = static_cast<int>(std::lround(x.at(value)));
    canvas.fill(at, top, 1, bottom - top, kGrid);
    std::string text = tick_text(value);
    canvas.text(at - Canvas::text_width(text, 2) / 2 + 1, bottom + 10, text, 2, kInk);
  }
  std::vector<double> y_ticks = plot.log_y ? log_ticks(std::pow(10, ys.low), std::pow(10, ys.high))
                                           : linear_ticks(ys.low, ys.high, 6);
  for (double value : y_ticks) {
    int at = static_cast<int>(std::lround(y.at(value)));
    canvas.fill(left, at, right - left, 1, kGrid);
    std::string text = tick_text(value);
    canvas.text(left - 8 - Canvas::text_width(text, 2), at - 6, text, 2, kInk);
  }
  draw_series(canvas, plot, x, y);
  canvas.fill(left, top, 1, bottom - top + 1, kFrame);
  canvas.fill(left, bottom, right - left + 1, 1, kFrame);
  canvas.text((left + right - Canvas::text_width(plot.x_label, 2)) / 2, plot.height - 26,
              plot.x_label, 2, kInk);
  canvas.text_upwards(8, (top + bottom + Canvas::text_width(plot.y_label, 2)) / 2, plot.y_label, 2,
                      kInk);
  draw_legend(canvas, plot, right, top + 10);
  return canvas.take();
}

}  // namespace ito
