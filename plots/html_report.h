// A page of tables, charts and pictures as one HTML file that needs nothing else: charts are inline
// SVG, pictures data URIs, and there are no scripts. Not what the page is about
// (api/run_report.h).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ito {

// Rows of cells under a head; the first cell of a row names it.
struct ReportTable {
  std::string title = {};
  std::vector<std::string> head = {};  // may be empty
  std::vector<std::vector<std::string>> rows = {};
};

struct ReportSeries {
  std::string name = {};
  std::vector<double> x = {}, y = {};  // as many; what is not finite is left out
};
struct ReportChart {
  std::string title = {};
  std::string x_label = {};
  bool log_y = false;  // where all values are positive
  std::vector<ReportSeries> series = {};
};

struct ReportPicture {
  std::string caption = {};
  std::string png = {};  // a file's bytes
  int width = 0, height = 0;
};

// A part of the page under a heading of its own.
struct ReportSection {
  std::string title = {};
  std::vector<ReportTable> tables = {};
  std::vector<ReportChart> charts = {};
  std::vector<ReportPicture> pictures = {};
};

struct Report {
  std::string title = {}, subtitle = {};
  std::vector<ReportSection> sections = {};
};

// The file's text. The same report always gives the same text.
std::string html_page(const Report& report);
// How every page begins, by which it is known.
extern const std::string_view kPageHead;

// A text as HTML has it.
std::string html_escaped(std::string_view text);
// RFC 4648, section 4.
std::string base64(std::string_view bytes);

}  // namespace ito
