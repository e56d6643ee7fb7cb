// Figures of the plane: panels with points, paths, arrows and heat maps over equal axes, set in a
// grid with one title, as an image. Not for curves over a number (plots/plot.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plots/canvas.h"

namespace ito {

// Values over the panel's range, row-major, the first row at the bottom, drawn in viridis from
// `low` to `high` with a bar that says what the colours mean. NaN is left white.
struct HeatMap {
  int columns = 0, rows = 0;
  std::vector<double> values;  // rows * columns
  double low = 0, high = 1;
  std::string label;  // of the colour bar
};

struct Points {
  std::vector<double> x, y;
  Colour colour = kSeriesColours[0];
  double radius = 2;  // pixels
  double alpha = 1;
  std::string name;  // shown in the legend unless empty
};

// Joined points; where one is not finite the line is broken.
struct Path2 {
  std::vector<double> x, y;
  Colour colour = kInk;
  double width = 1.5;
  std::string name;
};

// Arrows from (x, y) to (x + dx, y + dy), each in its viridis colour at `shade` in [0, 1]. A bar
// says what the shades mean.
struct Arrows {
  std::vector<double> x, y, dx, dy, shade;
  double low = 0, high = 1;  // what shade 0 and 1 stand for
  std::string label;
};

struct Panel {
  std::string title, x_label, y_label;
  double x_low = -1, x_high = 1, y_low = -1, y_high = 1;
  std::optional<HeatMap> heat;
  std::vector<Points> points;
  std::vector<Path2> paths;
  std::vector<Points> over;  // points above the paths
  std::optional<Arrows> arrows;
  // In place of all that: an image drawn elsewhere (plots/plot.h), in the panel's full size.
  std::optional<Image> picture;
};

struct Figure {
  std::string title;
  std::vector<std::string> notes;  // lines below the panels
  int columns = 3;
  std::vector<Panel> panels;  // row by row
  int side = 400;             // of a panel's square drawing area, pixels
};

// Width and height of one panel with its labels: the size for Panel::picture.
int panel_width(const Figure& figure);
int panel_height(const Figure& figure);

// Text outside ASCII is shown as question marks. Points outside a panel's range are cut off.
Image draw_figure(const Figure& figure);

}  // namespace ito
