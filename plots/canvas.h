// Canvas: an RGB image to draw on with antialiased strokes, discs, arrows and text, and the colours
// that charts share. Coordinates are pixels from the upper left; what lies outside is cut off.
// Not for charts themselves (plots/plot.h, plots/figure.h).
#pragma once

#include <array>
#include <string>

#include "io/image.h"

namespace ito {

struct Colour {
  uint8_t r, g, b;
  bool operator==(const Colour&) const = default;
};
inline constexpr Colour kWhite{255, 255, 255}, kInk{60, 64, 72}, kFrame{150, 155, 165},
    kGrid{232, 234, 238};
// Distinguishable with the common colour blindnesses.
inline constexpr std::array<Colour, 6> kSeriesColours = {
    {{31, 104, 180}, {222, 110, 20}, {28, 140, 90}, {196, 50, 70}, {130, 90, 180}, {90, 90, 90}}};

// The colour map viridis at a place in [0, 1] (clamped): its lightness grows steadily, so that it
// reads the same in grey and with the common colour blindnesses.
Colour viridis(double place);

class Canvas {
 public:
  Canvas(int width, int height);

  // From now on nothing outside this rectangle is touched.
  void clip(int x, int y, int w, int h);
  void clip_nothing();

  void blend(int x, int y, Colour colour, double alpha);
  void fill(int x, int y, int w, int h, Colour colour);
  // A stroke of the given width between two points; covers a pixel by its distance from the line.
  void line(double x0, double y0, double x1, double y1, double width, Colour colour,
            double alpha = 1);
  void disc(double x, double y, double radius, Colour colour, double alpha = 1);
  // A stroke with a filled head; a short one is all head.
  void arrow(double x0, double y0, double x1, double y1, double width, Colour colour);

  // Letters of kGlyphWidth x kGlyphHeight pixels times the scale; (x, y) is the upper left corner.
  static int text_width(const std::string& text, int scale);
  void text(int x, int y, const std::string& text, int scale, Colour colour);
  // Turned by a quarter, reading upwards; (x, y) is where the text starts, at the bottom.
  void text_upwards(int x, int y, const std::string& text, int scale, Colour colour);

  Image take() { return std::move(image_); }

 private:
  Image image_;
  int left_ = 0, top_ = 0, right_ = 0, bottom_ = 0;  // what may be touched
};

}  // namespace ito
