#include "plots/html_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/integer.h"

namespace ito {
namespace {

// A chart's own units; the page scales it.
constexpr double kWidth = 640, kHeight = 260;
constexpr double kMarginLeft = 64, kMarginRight = 12, kMarginTop = 12, kMarginBottom = 40;
constexpr int kTicks = 5;
// More points than that along x are no more to be seen.
constexpr size_t kMostPoints = 600;
// Small pictures are shown larger, their pixels as squares.
constexpr int kPictureWidth = 320;
constexpr size_t kColours = 6;

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #60656c; --line: #dcdfe3; --page: #fff;
  --s0: #2b6cb0; --s1: #c2571a; --s2: #2f855a; --s3: #8a4fa3; --s4: #9a7b0a; --s5: #b3325f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #a0a6ad; --line: #3a3f45;
  --page: #17191c; --s0: #6fa8e8; --s1: #f0935a; --s2: #68c08e; --s3: #c294d8; --s4: #d6b84a;
  --s5: #ea7fa5; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 1340px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; }
h3, figcaption { font-size: .95rem; font-weight: 600; margin: 0 0 .3rem; }
p { color: var(--soft); margin: .2rem 0; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr));
  gap: 1.4rem; }
.grid > * { min-width: 0; } .scroll { overflow-x: auto; }
.pictures { display: flex; flex-wrap: wrap; gap: 1.2rem; }
figure { margin: 0; } figcaption { font-weight: 400; color: var(--soft); }
img { image-rendering: pixelated; max-width: 100%; height: auto; display: block; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .15rem 1rem .15rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; } td { overflow-wrap: anywhere; }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: var(--soft); }
.c0 { --c: var(--s0); } .c1 { --c: var(--s1); } .c2 { --c: var(--s2); } .c3 { --c: var(--s3); }
.c4 { --c: var(--s4); } .c5 { --c: var(--s5); } .dot { fill: var(--c); }
.axis { stroke: var(--line); } .series { fill: none; stroke: var(--c); stroke-width: 1.8; stroke-linejoin: round; }
.key { background: var(--c); display: inline-block; width: .9rem; height: .2rem; margin: 0 .4rem .2rem 0; }
.legend span { margin-right: 1rem; color: var(--soft); white-space: nowrap; }
)";

struct SeriesRange {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
  double span() const { return high - low; }
};

// A step of 1, 2 or 5 times a power of ten that divides the span into about kTicks.
double tick_step(double span) {
  const double raw = span / kTicks;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (raw <= factor * power) return factor * power;
  return 10 * power;
}

std::string axis_text(double value) {
  if (value != 0 && (std::abs(value) < 1e-3 || std::abs(value) >= 1e6))
    return fmt::format("{:.2g}", value);
  return fmt::format("{:.6g}", value);
}

// Means of neighbours where there are more points than can be seen.
ReportSeries thinned(const ReportSeries& series) {
  ReportSeries finite{.name = series.name, .x = {}, .y = {}};
  for (size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
    if (!std::isfinite(series.x[i]) || !std::isfinite(series.y[i])) continue;
    finite.x.push_back(series.x[i]);
    finite.y.push_back(series.y[i]);
  }
  const size_t group = ceil_div(finite.x.size(), kMostPoints);
  if (group <= 1) return finite;
  ReportSeries thin{.name = series.name, .x = {}, .y = {}};
  for (size_t first = 0; first < finite.x.size(); first += group) {
    const size_t count = std::min(group, finite.x.size() - first);
    double x = 0, y = 0;
    for (size_t i = first; i < first + count; ++i) {
      x += finite.x[i];
      y += finite.y[i];
    }
    thin.x.push_back(x / static_cast<double>(count));
    thin.y.push_back(y / static_cast<double>(count));
  }
  return thin;
}

class Chart {
 public:
  explicit Chart(const ReportChart& chart) : chart_(chart) {
    for (const ReportSeries& series : chart.series) series_.push_back(thinned(series));
    bool positive = true;
    for (const ReportSeries& series : series_) {
      for (const double x : series.x) x_.take(x);
      for (const double y : series.y) {
        y_.take(y);
        positive = positive && y > 0;
      }
    }
    log_ = chart.log_y && positive && !y_.empty();
    if (log_) y_ = {std::log10(y_.low), std::log10(y_.high)};
    for (SeriesRange* range : {&x_, &y_})
      if (!range->empty() && range->span() < 1e-12 * std::max(1.0, std::abs(range->high)))
        *range = {range->low - 0.5, range->high + 0.5};
  }

  std::string svg() const {
    std::string out =
        fmt::format("<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">", kWidth,
                    kHeight, html_escaped(chart_.title));
    if (x_.empty()) return out + "<text x=\"64\" y=\"40\">nothing yet</text></svg>";
    const double xs = tick_step(x_.span());
    for (double x = std::ceil(x_.low / xs) * xs; x <= x_.high; x += xs)
      out += label(at_x(x), kHeight - kMarginBottom + 18, "middle", axis_text(x));
    for (const auto& [y, text] : y_ticks())
      out += fmt::format("<line class=\"axis\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>",
                         kMarginLeft, kWidth - kMarginRight, at_y(y), at_y(y)) +
             label(kMarginLeft - 8, at_y(y) + 4, "end", text);
    out += label((kMarginLeft + kWidth - kMarginRight) / 2, kHeight - 4, "middle", chart_.x_label);
    for (size_t k = 0; k < series_.size(); ++k) out += line(series_[k], k);
    return out + "</svg>";
  }

 private:
  double at_x(double x) const {
    return kMarginLeft + (x - x_.low) / x_.span() * (kWidth - kMarginLeft - kMarginRight);
  }
  double at_y(double y) const {
    return kHeight - kMarginBottom -
           (y - y_.low) / y_.span() * (kHeight - kMarginTop - kMarginBottom);
  }

  static std::string label(double x, double y, const char* anchor, const std::string& text) {
    return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>", x, y, anchor,
                       html_escaped(text));
  }

  // In the units of the axis, with what they are called.
  std::vector<std::pair<double, std::string>> y_ticks() const {
    std::vector<std::pair<double, std::string>> ticks;
    if (log_) {
      for (double power = std::floor(y_.low); power <= y_.high; ++power)
        for (const double factor : {1.0, 2.0, 5.0}) {
          const double y = power + std::log10(factor);
          if (y >= y_.low && y <= y_.high)
            ticks.emplace_back(y, axis_text(factor * std::pow(10, power)));
        }
      // Over many decades the whole ones suffice; within less than one there may be none.
      if (ticks.size() > 3 * kTicks)
        std::erase_if(ticks, [](const auto& tick) { return tick.first != std::floor(tick.first); });
      if (ticks.size() >= 2) return ticks;
      ticks.clear();
    }
    const double step = tick_step(y_.span());
    for (double y = std::ceil(y_.low / step) * step; y <= y_.high; y += step)
      ticks.emplace_back(y, log_ ? fmt::format("{:.3g}", std::pow(10, y)) : axis_text(y));
    return ticks;
  }

  std::string line(const ReportSeries& series, size_t k) const {
    std::string points;
    for (size_t i = 0; i < series.x.size(); ++i)
      points += fmt::format("{:.1f},{:.1f} ", at_x(series.x[i]),
                            at_y(log_ ? std::log10(series.y[i]) : series.y[i]));
    const size_t colour = k % kColours;
    if (series.x.size() == 1)
      return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" class=\"dot c{}\"/>",
                         at_x(series.x[0]), at_y(log_ ? std::log10(series.y[0]) : series.y[0]),
                         colour);
    return fmt::format("<polyline class=\"series c{}\" points=\"{}\"/>", colour, points);
  }

  const ReportChart& chart_;
  std::vector<ReportSeries> series_;
  SeriesRange x_, y_;
  bool log_ = false;
};

std::string chart_html(const ReportChart& chart) {
  std::string out =
      fmt::format("<div><h3>{}</h3>{}", html_escaped(chart.title), Chart(chart).svg());
  if (chart.series.size() > 1) {
    out += "<div class=\"legend\">";
    for (size_t k = 0; k < chart.series.size(); ++k)
      out += fmt::format("<span><i class=\"key c{}\"></i>{}</span>", k % kColours,
                         html_escaped(chart.series[k].name));
    out += "</div>";
  }
  return out + "</div>\n";
}

std::string row_html(const std::vector<std::string>& cells, bool head) {
  std::string out = "<tr>";
  for (size_t i = 0; i < cells.size(); ++i) {
    const char* kind = head || i == 0 ? "th" : "td";
    out += fmt::format("<{0}>{1}</{0}>", kind, html_escaped(cells[i]));
  }
  return out + "</tr>\n";
}

std::string table_html(const ReportTable& table) {
  std::string out = "<div class=\"scroll\">";
  if (!table.title.empty()) out += fmt::format("<h3>{}</h3>", html_escaped(table.title));
  out += "<table>\n";
  if (!table.head.empty()) out += row_html(table.head, true);
  for (const auto& row : table.rows) out += row_html(row, false);
  return out + "</table></div>\n";
}

std::string picture_html(const ReportPicture& picture) {
  const int width = std::max(picture.width, kPictureWidth);
  return fmt::format(
      "<figure><img width=\"{}\" alt=\"{}\" src=\"data:image/png;base64,{}\">"
      "<figcaption>{}</figcaption></figure>\n",
      width, html_escaped(picture.caption), base64(picture.png), html_escaped(picture.caption));
}

}  // namespace

const std::string_view kPageHead =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"generator\" content=\"ito\">";

std::string html_page(const Report& report) {
  std::string out = fmt::format(
      "{3}"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
      "<title>{0}</title><style>{1}</style></head><body>\n<h1>{0}</h1><p>{2}</p>\n",
      html_escaped(report.title), kStyle, html_escaped(report.subtitle), kPageHead);
  for (const ReportSection& section : report.sections) {
    out += fmt::format("<section><h2>{}</h2>\n", html_escaped(section.title));
    if (!section.charts.empty()) {
      out += "<div class=\"grid\">\n";
      for (const ReportChart& chart : section.charts) out += chart_html(chart);
      out += "</div>\n";
    }
    if (!section.pictures.empty()) {
      out += "<div class=\"pictures\">\n";
      for (const ReportPicture& picture : section.pictures) out += picture_html(picture);
      out += "</div>\n";
    }
    if (!section.tables.empty()) {
      out += "<div class=\"grid\">\n";
      for (const ReportTable& table : section.tables) out += table_html(table);
      out += "</div>\n";
    }
    out += "</section>\n";
  }
  return out + "</body></html>\n";
}

std::string html_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t word = 0;
    for (size_t k = 0; k < 3; ++k)
      word = word << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) out += k <= count ? kDigits[(word >> (18 - 6 * k)) & 63] : '=';
  }
  return out;
}

}  // namespace ito
