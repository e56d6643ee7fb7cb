// Line charts: ticks, curves where their data are, and data that make no chart.
#include "plots/plot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace ito {
namespace {

TEST(Plot, TicksAreRoundAndInside) {
  EXPECT_EQ(linear_ticks(0, 2000, 8).size(), 5u);  // every 500
  std::vector<double> ticks = linear_ticks(-0.31, 0.27, 6);
  EXPECT_EQ(ticks, (std::vector<double>{-3 * 0.1, -2 * 0.1, -0.1, 0, 0.1, 2 * 0.1}));
  EXPECT_EQ(log_ticks(0.03, 1.2), (std::vector<double>{0.05, 0.1, 0.2, 0.5, 1}));
  std::vector<double> decades = log_ticks(1e-8, 1);
  EXPECT_EQ(decades.size(), 9u);
  EXPECT_EQ(tick_text(0.05), "0.05");
  EXPECT_EQ(tick_text(20000), "20k");
  EXPECT_EQ(tick_text(2.5e6), "2.5M");
  EXPECT_EQ(tick_text(0), "0");
  EXPECT_EQ(tick_text(1e-6), "1e-06");
}

// Counts pixels of the first series' colour in a rectangle.
int blue_pixels(const Image& image, int x0, int x1, int y0, int y1) {
  int count = 0;
  for (int y = y0; y < y1; ++y)
    for (int x = x0; x < x1; ++x) {
      const uint8_t* p = image.pixels.data() + (y * image.w + x) * 3;
      count += p[0] == 31 && p[1] == 104 && p[2] == 180;
    }
  return count;
}

TEST(Plot, RisingDataRises) {
  Plot plot{"title", "step", "loss", {{"", {0, 1, 2}, {0, 1, 2}}}};
  Image image = draw_plot(plot);
  EXPECT_EQ(image.w, 900);
  EXPECT_EQ(image.h, 500);
  EXPECT_GT(blue_pixels(image, 100, 300, 250, 430), 50);  // low on the left
  EXPECT_EQ(blue_pixels(image, 100, 300, 60, 240), 0);
  EXPECT_GT(blue_pixels(image, 700, 870, 60, 240), 50);  // high on the right
}

TEST(Plot, ExponentialDecayIsStraightOnALogAxis) {
  Plot plot{"", "", "", {{"", {}, {}}}, true};
  for (int i = 0; i <= 100; ++i) {
    plot.series[0].x.push_back(i);
    plot.series[0].y.push_back(std::exp(-0.1 * i));
  }
  Image image = draw_plot(plot);
  // The middle of the line lies in the middle of the frame (x 96…872, y 52…434).
  EXPECT_GT(blue_pixels(image, 479, 489, 238, 248), 5);
}

TEST(Plot, SurvivesAwkwardData) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  for (bool log_y : {false, true}) {
    draw_plot({"", "", "", {}, log_y});
    draw_plot({"", "", "", {{"a", {}, {}}}, log_y});
    draw_plot({"", "", "", {{"a", {1}, {0.5}}}, log_y});
    draw_plot({"", "", "", {{"a", {1, 2, 3, 4, 5}, {1, nan, inf, -1, 0}}}, log_y});
    draw_plot(
        {"ü", "", "", {{"a", {1, 2}, {3, 3}}, {"b", {1e300, -1e300}, {1e-300, 1e300}}}, log_y});
    draw_plot({"", "", "", {{"a", {0, 1}, {-1e308, 1e308}}}, log_y});
  }
}

}  // namespace
}  // namespace ito
