#include "plots/figure.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace ito {
namespace {

Colour pixel(const Image& image, int x, int y) {
  const size_t at =
      (static_cast<size_t>(y) * static_cast<size_t>(image.w) + static_cast<size_t>(x)) * 3;
  return {image.pixels[at], image.pixels[at + 1], image.pixels[at + 2]};
}

int count(const Image& image, Colour colour) {
  int found = 0;
  for (int y = 0; y < image.h; ++y)
    for (int x = 0; x < image.w; ++x) found += pixel(image, x, y) == colour ? 1 : 0;
  return found;
}

TEST(Canvas, ViridisGrowsSteadilyLighter) {
  double last = -1;
  for (int i = 0; i <= 100; ++i) {
    const Colour c = viridis(i / 100.0);
    const double lightness = 0.2126 * c.r + 0.7152 * c.g + 0.0722 * c.b;
    EXPECT_GT(lightness, last) << i;
    last = lightness;
  }
  EXPECT_EQ(viridis(-3), viridis(0));
  EXPECT_EQ(viridis(7), viridis(1));
  EXPECT_EQ(viridis(std::nan("")), viridis(0));
}

TEST(Canvas, TouchesNothingOutsideItsClip) {
  Canvas canvas(40, 30);
  canvas.clip(10, 8, 12, 9);
  canvas.fill(0, 0, 40, 30, kInk);
  canvas.disc(15, 12, 50, kInk);
  canvas.line(-20, -20, 60, 60, 5, kInk);
  canvas.arrow(-20, 12, 60, 12, 4, kInk);
  const Image image = canvas.take();
  EXPECT_EQ(count(image, kInk), 12 * 9);
  EXPECT_EQ(pixel(image, 9, 8), kWhite);
  EXPECT_EQ(pixel(image, 22, 12), kWhite);
}

TEST(Canvas, AnArrowsHeadIsAtItsEnd) {
  Canvas canvas(60, 21);
  canvas.arrow(5, 10, 50, 10, 2, kInk);
  const Image image = canvas.take();
  const auto column = [&](int x) {
    int dark = 0;
    for (int y = 0; y < image.h; ++y) dark += pixel(image, x, y) == kWhite ? 0 : 1;
    return dark;
  };
  EXPECT_GT(column(44), column(20));
  EXPECT_EQ(column(55), 0);
}

TEST(Figure, PutsPointsAndHeatWhereTheyBelong) {
  Figure figure;
  figure.columns = 2;
  figure.side = 100;
  Panel points;
  points.points.resize(1);
  points.points[0].x = {0.5, 5};  // the second lies outside
  points.points[0].y = {0.5, 5};
  points.points[0].radius = 3;
  points.points[0].colour = {200, 0, 0};
  Panel heat;
  heat.heat =
      HeatMap{.columns = 2, .rows = 2, .values = {0, 0, 0, 1}, .low = 0, .high = 1, .label = {}};
  figure.panels = {points, heat};
  const Image image = draw_figure(figure);
  // The only red pixels form one disc, three quarters up and right in the first panel's square,
  // which starts 76 pixels from the left and 100 from the top.
  int red = 0;
  double x_sum = 0, y_sum = 0;
  for (int y = 0; y < image.h; ++y)
    for (int x = 0; x < image.w; ++x)
      if (pixel(image, x, y) == Colour{200, 0, 0}) ++red, x_sum += x, y_sum += y;
  ASSERT_GE(red, 15);  // the pixels wholly inside a disc of radius 3
  EXPECT_LE(red, 32);
  EXPECT_NEAR(x_sum / red, 76 + 75, 1.5);
  EXPECT_NEAR(y_sum / red, 100 + 25, 1.5);
  // Brightest and darkest corners of the heat map: upper right and the others.
  EXPECT_GT(count(image, viridis(1)), 50);
  EXPECT_GT(count(image, viridis(0)), 1000);
}

TEST(Figure, OddValuesAreDrawnWithoutHarm) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  Figure figure;
  figure.side = 60;
  Panel panel;
  panel.title = "a title";
  panel.points.resize(1);
  panel.points[0].x = {nan, inf, 1e30};
  panel.points[0].y = {0, 0, -1e30};
  panel.paths.resize(1);
  panel.paths[0].x = {nan, 0, 1e30, 0};
  panel.paths[0].y = {0, inf, 0, 0};
  panel.heat = HeatMap{.columns = 1, .rows = 1, .values = {-inf}, .low = 0, .high = 1, .label = {}};
  figure.panels = {panel, Panel{}};
  EXPECT_GT(draw_figure(figure).w, 0);
}

}  // namespace
}  // namespace ito
