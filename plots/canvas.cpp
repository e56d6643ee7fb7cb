#include "plots/canvas.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "plots/font.h"

namespace ito {

Colour viridis(double place) {
  // Every eighth of the map.
  static constexpr std::array<Colour, 9> kStops = {{{68, 1, 84},
                                                    {71, 45, 123},
                                                    {59, 82, 139},
                                                    {44, 114, 142},
                                                    {33, 145, 140},
                                                    {40, 174, 128},
                                                    {94, 201, 98},
                                                    {173, 220, 48},
                                                    {253, 231, 37}}};
  const double at = std::isfinite(place) ? std::clamp(place, 0.0, 1.0) * 8 : 0;
  const size_t i = std::min<size_t>(static_cast<size_t>(at), 7);
  const double part = at - static_cast<double>(i);
  const auto mix = [&](uint8_t a, uint8_t b) {
    return static_cast<uint8_t>(std::lround(a + (b - a) * part));
  };
  const Colour a = kStops[i], b = kStops[i + 1];
  return {mix(a.r, b.r), mix(a.g, b.g), mix(a.b, b.b)};
}

Canvas::Canvas(int width, int height) {
  image_ = {height, width, 3, {}};
  image_.pixels.assign(static_cast<size_t>(width) * static_cast<size_t>(height) * 3, kWhite.r);
  clip_nothing();
}

void Canvas::clip(int x, int y, int w, int h) {
  left_ = std::max(x, 0);
  top_ = std::max(y, 0);
  right_ = std::min(x + w, image_.w);
  bottom_ = std::min(y + h, image_.h);
}

void Canvas::clip_nothing() { clip(0, 0, image_.w, image_.h); }

void Canvas::blend(int x, int y, Colour colour, double alpha) {
  if (x < left_ || y < top_ || x >= right_ || y >= bottom_) return;
  uint8_t* pixel = image_.pixels.data() + (static_cast<ptrdiff_t>(y) * image_.w + x) * 3;
  const uint8_t target[3] = {colour.r, colour.g, colour.b};
  for (int k = 0; k < 3; ++k)
    pixel[k] = static_cast<uint8_t>(std::lround(pixel[k] + (target[k] - pixel[k]) * alpha));
}

void Canvas::fill(int x, int y, int w, int h, Colour colour) {
  for (int j = y; j < y + h; ++j)
    for (int i = x; i < x + w; ++i) blend(i, j, colour, 1);
}

void Canvas::line(double x0, double y0, double x1, double y1, double width, Colour colour,
                  double alpha) {
  double reach = width / 2 + 1;
  int left = static_cast<int>(std::floor(std::min(x0, x1) - reach));
  int right = static_cast<int>(std::ceil(std::max(x0, x1) + reach));
  double dx = x1 - x0, dy = y1 - y0, length2 = dx * dx + dy * dy;
  for (int x = std::max(left, left_); x <= std::min(right, right_ - 1); ++x) {
    // Only the rows near the line at this column.
    double ya = std::min(y0, y1), yb = std::max(y0, y1);
    if (std::abs(dx) > 1e-9) {
      double slope = dy / dx, a = y0 + (x - reach - x0) * slope, b = y0 + (x + reach - x0) * slope;
      ya = std::max(ya, std::min(a, b));
      yb = std::min(yb, std::max(a, b));
    }
    int top = std::max(top_, static_cast<int>(std::floor(ya - reach)));
    int bottom = std::min(bottom_ - 1, static_cast<int>(std::ceil(yb + reach)));
    for (int y = top; y <= bottom; ++y) {
      double t = length2 > 0 ? std::clamp(((x - x0) * dx + (y - y0) * dy) / length2, 0.0, 1.0) : 0;
      double distance = std::hypot(x - (x0 + t * dx), y - (y0 + t * dy));
      double cover = std::clamp(width / 2 + 0.5 - distance, 0.0, 1.0);
      if (cover > 0) blend(x, y, colour, cover * alpha);
    }
  }
}

void Canvas::disc(double x, double y, double radius, Colour colour, double alpha) {
  if (!std::isfinite(x) || !std::isfinite(y)) return;
  if (x < left_ - radius - 1 || x > right_ + radius || y < top_ - radius - 1 ||
      y > bottom_ + radius)
    return;
  for (int j = static_cast<int>(std::floor(y - radius - 1)); j <= y + radius + 1; ++j)
    for (int i = static_cast<int>(std::floor(x - radius - 1)); i <= x + radius + 1; ++i) {
      const double cover = std::clamp(radius + 0.5 - std::hypot(i - x, j - y), 0.0, 1.0);
      if (cover > 0) blend(i, j, colour, cover * alpha);
    }
}

void Canvas::arrow(double x0, double y0, double x1, double y1, double width, Colour colour) {
  const double length = std::hypot(x1 - x0, y1 - y0);
  if (!(length > 0)) return;
  const double head = std::min(length, 3.2 * width + 1.5), half = head * 0.5;
  const double ux = (x1 - x0) / length, uy = (y1 - y0) / length;
  const double neck_x = x1 - ux * head, neck_y = y1 - uy * head;
  if (length > head) line(x0, y0, neck_x, neck_y, width, colour);
  // A pixel of the head: its distance inside the base and the two flanks.
  const double flank = std::hypot(head, half);
  for (int j = static_cast<int>(std::floor(std::min(neck_y, y1) - half - 1));
       j <= std::max(neck_y, y1) + half + 1; ++j)
    for (int i = static_cast<int>(std::floor(std::min(neck_x, x1) - half - 1));
         i <= std::max(neck_x, x1) + half + 1; ++i) {
      const double along = (i - neck_x) * ux + (j - neck_y) * uy;
      const double across = std::abs((j - neck_y) * ux - (i - neck_x) * uy);
      const double inside = ((head - along) * half - across * head) / flank;
      const double cover = std::clamp(std::min(along, inside) + 0.5, 0.0, 1.0);
      if (cover > 0) blend(i, j, colour, cover);
    }
}

int Canvas::text_width(const std::string& text, int scale) {
  return static_cast<int>(text.size()) * (kGlyphWidth + 1) * scale;
}

void Canvas::text(int x, int y, const std::string& text, int scale, Colour colour) {
  for (char character : text) {
    const Glyph& rows = glyph(character);
    for (int j = 0; j < kGlyphHeight; ++j)
      for (int i = 0; i < kGlyphWidth; ++i)
        if ((rows[static_cast<size_t>(j)] >> (kGlyphWidth - 1 - i) & 1) != 0)
          fill(x + i * scale, y + j * scale, scale, scale, colour);
    x += (kGlyphWidth + 1) * scale;
  }
}

void Canvas::text_upwards(int x, int y, const std::string& text, int scale, Colour colour) {
  for (char character : text) {
    const Glyph& rows = glyph(character);
    for (int j = 0; j < kGlyphHeight; ++j)
      for (int i = 0; i < kGlyphWidth; ++i)
        if ((rows[static_cast<size_t>(j)] >> (kGlyphWidth - 1 - i) & 1) != 0)
          fill(x + j * scale, y - (i + 1) * scale, scale, scale, colour);
    y -= (kGlyphWidth + 1) * scale;
  }
}

}  // namespace ito
