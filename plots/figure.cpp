#include "plots/figure.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/error.h"
#include "base/integer.h"
#include "plots/plot.h"

namespace ito {
namespace {

// Pixels around a panel's square: title above, tick labels left and below, the colour bar right.
constexpr int kLeft = 76, kTop = 44, kBottom = 58, kRight = 24, kBar = 84;
constexpr int kHead = 56, kNoteHeight = 24;

// One panel: its square on the canvas and the map from values to pixels.
class Square {
 public:
  Square(Canvas& canvas, const Panel& panel, int left, int top, int side)
      : canvas_(canvas), panel_(panel), left_(left), top_(top), side_(side) {}

  void draw() {
    if (panel_.heat) draw_heat(*panel_.heat);
    draw_axes();
    canvas_.clip(left_, top_, side_, side_);
    for (const Points& points : panel_.points) draw_points(points);
    for (const Path2& path : panel_.paths) draw_path(path);
    for (const Points& points : panel_.over) draw_points(points);
    if (panel_.arrows) draw_arrows(*panel_.arrows);
    canvas_.clip_nothing();
    draw_frame();
    if (panel_.heat) draw_bar(panel_.heat->low, panel_.heat->high, panel_.heat->label);
    if (panel_.arrows) draw_bar(panel_.arrows->low, panel_.arrows->high, panel_.arrows->label);
    draw_legend();
  }

 private:
  double px(double x) const {
    return left_ + (x - panel_.x_low) / (panel_.x_high - panel_.x_low) * (side_ - 1);
  }
  double py(double y) const {
    return top_ + (panel_.y_high - y) / (panel_.y_high - panel_.y_low) * (side_ - 1);
  }

  void draw_heat(const HeatMap& heat) {
    CHECK(heat.values.size() == static_cast<size_t>(heat.rows) * static_cast<size_t>(heat.columns),
          "a heat map has rows * columns values");
    for (int j = 0; j < side_; ++j)
      for (int i = 0; i < side_; ++i) {
        const double value = heat_at(heat, (i + 0.5) / side_, 1 - (j + 0.5) / side_);
        if (std::isnan(value)) continue;
        canvas_.blend(left_ + i, top_ + j, viridis((value - heat.low) / (heat.high - heat.low)), 1);
      }
  }

  // Bilinear between the centres of the cells; u and v in (0, 1) from the lower left.
  static double heat_at(const HeatMap& heat, double u, double v) {
    const double x = std::clamp(u * heat.columns - 0.5, 0.0, heat.columns - 1.0);
    const double y = std::clamp(v * heat.rows - 0.5, 0.0, heat.rows - 1.0);
    const int i = std::min(static_cast<int>(x), std::max(heat.columns - 2, 0));
    const int j = std::min(static_cast<int>(y), std::max(heat.rows - 2, 0));
    const auto value = [&](int a, int b) {
      return heat.values[static_cast<size_t>(std::min(b, heat.rows - 1)) *
                             static_cast<size_t>(heat.columns) +
                         static_cast<size_t>(std::min(a, heat.columns - 1))];
    };
    const double p = x - i, q = y - j;
    return (value(i, j) * (1 - p) + value(i + 1, j) * p) * (1 - q) +
           (value(i, j + 1) * (1 - p) + value(i + 1, j + 1) * p) * q;
  }

  void draw_axes() {
    for (double x : linear_ticks(panel_.x_low, panel_.x_high, 6)) {
      const int at = static_cast<int>(std::lround(px(x)));
      if (!panel_.heat) canvas_.fill(at, top_, 1, side_, kGrid);
      canvas_.fill(at, top_ + side_, 1, 5, kFrame);
      const std::string text = tick_text(x);
      canvas_.text(at - Canvas::text_width(text, 2) / 2 + 1, top_ + side_ + 9, text, 2, kInk);
    }
    for (double y : linear_ticks(panel_.y_low, panel_.y_high, 6)) {
      const int at = static_cast<int>(std::lround(py(y)));
      if (!panel_.heat) canvas_.fill(left_, at, side_, 1, kGrid);
      canvas_.fill(left_ - 5, at, 5, 1, kFrame);
      const std::string text = tick_text(y);
      canvas_.text(left_ - 9 - Canvas::text_width(text, 2), at - 6, text, 2, kInk);
    }
  }

  void draw_frame() {
    canvas_.fill(left_ - 1, top_ - 1, side_ + 2, 1, kFrame);
    canvas_.fill(left_ - 1, top_ + side_, side_ + 2, 1, kFrame);
    canvas_.fill(left_ - 1, top_ - 1, 1, side_ + 2, kFrame);
    canvas_.fill(left_ + side_, top_ - 1, 1, side_ + 2, kFrame);
    canvas_.text(left_ + (side_ - Canvas::text_width(panel_.title, 2)) / 2, top_ - 28, panel_.title,
                 2, kInk);
    canvas_.text(left_ + (side_ - Canvas::text_width(panel_.x_label, 2)) / 2, top_ + side_ + 34,
                 panel_.x_label, 2, kInk);
    canvas_.text_upwards(left_ - kLeft + 8,
                         top_ + (side_ + Canvas::text_width(panel_.y_label, 2)) / 2, panel_.y_label,
                         2, kInk);
  }

  void draw_points(const Points& points) {
    CHECK(points.x.size() == points.y.size(), "points have one y for each x");
    for (size_t i = 0; i < points.x.size(); ++i)
      canvas_.disc(px(points.x[i]), py(points.y[i]), points.radius, points.colour, points.alpha);
  }

  void draw_path(const Path2& path) {
    CHECK(path.x.size() == path.y.size(), "a path has one y for each x");
    for (size_t i = 1; i < path.x.size(); ++i) {
      const double x0 = px(path.x[i - 1]), y0 = py(path.y[i - 1]);
      const double x1 = px(path.x[i]), y1 = py(path.y[i]);
      // Far outside there is nothing to see, and pixel arithmetic would overflow.
      const bool near = std::abs(x0) + std::abs(y0) + std::abs(x1) + std::abs(y1) < 1e5;
      if (near) canvas_.line(x0, y0, x1, y1, path.width, path.colour);
    }
  }

  void draw_arrows(const Arrows& arrows) {
    for (size_t i = 0; i < arrows.x.size(); ++i)
      canvas_.arrow(px(arrows.x[i]), py(arrows.y[i]), px(arrows.x[i] + arrows.dx[i]),
                    py(arrows.y[i] + arrows.dy[i]), 1.6, viridis(arrows.shade[i]));
  }

  void draw_bar(double low, double high, const std::string& label) {
    const int x = left_ + side_ + 14, width = 14;
    for (int j = 0; j < side_; ++j)
      canvas_.fill(x, top_ + j, width, 1, viridis(1 - (j + 0.5) / side_));
    for (double value : linear_ticks(low, high, 6)) {
      const int at = top_ + static_cast<int>(std::lround((high - value) / (high - low) * side_));
      canvas_.fill(x + width, std::min(at, top_ + side_ - 1), 4, 1, kInk);
      canvas_.text(x + width + 8, at - 6, tick_text(value), 2, kInk);
    }
    canvas_.text_upwards(x + width + 60, top_ + (side_ + Canvas::text_width(label, 2)) / 2, label,
                         2, kInk);
  }

  void draw_legend() {
    struct Row {
      std::string name;
      Colour colour;
      bool dot;
    };
    std::vector<Row> rows;
    for (const Path2& path : panel_.paths)
      if (!path.name.empty()) rows.push_back({path.name, path.colour, false});
    for (const auto* list : {&panel_.points, &panel_.over})
      for (const Points& points : *list)
        if (!points.name.empty()) rows.push_back({points.name, points.colour, true});
    if (rows.empty()) return;
    int width = 0;
    for (const Row& row : rows) width = std::max(width, Canvas::text_width(row.name, 2));
    const int height = static_cast<int>(rows.size()) * 22 + 8;
    const int x = left_ + 6, y = top_ + side_ - height - 6;
    canvas_.fill(x - 1, y - 1, width + 44, height + 2, kFrame);
    canvas_.fill(x, y, width + 42, height, kWhite);
    for (size_t i = 0; i < rows.size(); ++i) {
      const int at = y + 12 + static_cast<int>(i) * 22;
      if (rows[i].dot)
        canvas_.disc(x + 17, at + 3, 4.5, rows[i].colour);
      else
        canvas_.line(x + 6, at + 3, x + 28, at + 3, 3, rows[i].colour);
      canvas_.text(x + 36, at - 4, rows[i].name, 2, kInk);
    }
  }

  Canvas& canvas_;
  const Panel& panel_;
  int left_, top_, side_;
};

void paste(Canvas& canvas, const Image& image, int x, int y) {
  CHECK(image.c == 3, "a pasted picture is RGB");
  for (int j = 0; j < image.h; ++j)
    for (int i = 0; i < image.w; ++i) {
      const uint8_t* pixel = image.pixels.data() + (static_cast<ptrdiff_t>(j) * image.w + i) * 3;
      canvas.blend(x + i, y + j, {pixel[0], pixel[1], pixel[2]}, 1);
    }
}

}  // namespace

int panel_width(const Figure& figure) { return kLeft + figure.side + kRight; }
int panel_height(const Figure& figure) { return kTop + figure.side + kBottom; }

Image draw_figure(const Figure& figure) {
  CHECK(figure.columns >= 1 && figure.side >= 50, "a figure needs some room");
  const int count = static_cast<int>(figure.panels.size());
  const int rows = ceil_div(count, figure.columns);
  const int h = panel_height(figure);
  // Where each column starts; one with a colour bar is wider.
  std::vector<int> starts = {0};
  for (int column = 0; column < figure.columns; ++column) {
    bool bar = false;
    for (int i = column; i < count; i += figure.columns) {
      const Panel& panel = figure.panels[static_cast<size_t>(i)];
      bar = bar || panel.heat || panel.arrows;
    }
    starts.push_back(starts.back() + panel_width(figure) + (bar ? kBar : 0));
  }
  const int width = starts.back();
  const int notes_top = kHead + rows * h + 6;
  Canvas canvas(width, notes_top + static_cast<int>(figure.notes.size()) * kNoteHeight + 14);
  canvas.text((width - Canvas::text_width(figure.title, 3)) / 2, 20, figure.title, 3, kInk);
  for (int i = 0; i < count; ++i) {
    const int x = starts[static_cast<size_t>(i % figure.columns)];
    const int y = kHead + i / figure.columns * h;
    const Panel& panel = figure.panels[static_cast<size_t>(i)];
    if (panel.picture)
      paste(canvas, *panel.picture, x, y);
    else
      Square(canvas, panel, x + kLeft, y + kTop, figure.side).draw();
  }
  for (size_t i = 0; i < figure.notes.size(); ++i)
    canvas.text(kLeft, notes_top + static_cast<int>(i) * kNoteHeight, figure.notes[i], 2, kInk);
  return canvas.take();
}

}  // namespace ito
