// Pages: what stands in them, and that they need nothing else.
#include "plots/html_report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "io/image.h"
#include "io/png.h"
#include "tests/io/temp_folder.h"

namespace ito::test {
namespace {

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

// RFC 4648, section 10.
TEST(Base64, IsThatOfTheStandard) {
  const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"}};
  for (const auto& [text, expected] : cases) EXPECT_EQ(base64(text), expected);
  EXPECT_EQ(base64("\xff\xfe\xfd"), "//79");
}

Report page() {
  return {.title = "run <1> & \"co\"",
          .subtitle = "step 3",
          .sections = {{.title = "Curves",
                        .tables = {{.title = "Table", .head = {"a", "b"}, .rows = {{"x<y", "1"}}}},
                        .charts = {{.title = "Loss",
                                    .x_label = "step",
                                    .log_y = true,
                                    .series = {{"loss", {0, 1, 2}, {1, 0.1, 0.01}},
                                               {"validation", {0, 2}, {1, 0.1}}}}},
                        .pictures = {{.caption = "step 3", .png = "foobar", .width = 20}}}}};
}

TEST(HtmlPage, HoldsTextsTablesAndPictures) {
  const std::string html = html_page(page());
  EXPECT_TRUE(html.starts_with("<!DOCTYPE html>"));
  EXPECT_EQ(count(html, "run &lt;1&gt; &amp; &quot;co&quot;"), 2u);  // title and heading
  EXPECT_EQ(count(html, "<th>x&lt;y</th><td>1</td>"), 1u);
  EXPECT_EQ(count(html, "src=\"data:image/png;base64,Zm9vYmFy\""), 1u);
  EXPECT_EQ(count(html, "<figcaption>step 3</figcaption>"), 1u);
  EXPECT_EQ(count(html, "validation</span>"), 1u);  // the legend
  EXPECT_EQ(html, html_page(page()));
}

TEST(HtmlPage, NeedsNothingFromOutside) {
  const std::string html = html_page(page());
  for (const char* word : {"<script", "http:", "https:", "url(", "@import", "<link"})
    EXPECT_EQ(count(html, word), 0u) << word;
  for (size_t at = html.find("src=\""); at != std::string::npos; at = html.find("src=\"", at + 1))
    EXPECT_EQ(html.substr(at, 10), "src=\"data:") << html.substr(at, 60);
}

// The chart is 640 x 260 with margins of 64, 12, 12 and 40.
TEST(HtmlPage, CurvesLieWhereTheirValuesAre) {
  const std::string html = html_page(page());
  // A straight line over two decades from corner to corner.
  EXPECT_EQ(count(html, "points=\"64.0,12.0 346.0,116.0 628.0,220.0 \""), 1u) << html;
  EXPECT_EQ(count(html, "points=\"64.0,12.0 628.0,116.0 \""), 1u);
  for (const char* tick : {">1</text>", ">0.1</text>", ">0.01</text>", ">0.02</text>"})
    EXPECT_GE(count(html, tick), 1u) << tick;
}

TEST(HtmlPage, OddSeriesAreDrawnAllTheSame) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> x, y;
  for (int i = 0; i < 5000; ++i) {
    x.push_back(i);
    y.push_back(std::sin(i));
  }
  const Report report{
      .title = "",
      .subtitle = "",
      .sections = {{.title = "",
                    .charts = {{.title = "none", .x_label = "", .series = {{"a", {}, {}}}},
                               {.title = "one", .x_label = "", .series = {{"a", {1}, {2}}}},
                               {.title = "flat", .x_label = "", .series = {{"a", {1, 2}, {3, 3}}}},
                               // Not all positive: no logarithm.
                               {.title = "zero",
                                .x_label = "",
                                .log_y = true,
                                .series = {{"a", {1, 2, 3}, {0, nan, 1}}}},
                               {.title = "long", .x_label = "", .series = {{"a", x, y}}}}}}};
  const std::string html = html_page(report);
  EXPECT_EQ(count(html, "nothing yet"), 1u);
  EXPECT_EQ(count(html, "<circle"), 1u);
  EXPECT_EQ(count(html, "<polyline"), 3u);
  for (const char* word : {"nan", "inf\"", "inf,"}) EXPECT_EQ(count(html, word), 0u) << word;
  EXPECT_LT(html.size(), 40000u);  // thousands of points become hundreds
}

// What a browser makes of it, where there is one.
TEST(HtmlPage, ABrowserShowsItsPicturesAndCurves) {
  if (std::system("command -v chromium > /dev/null 2>&1") != 0)
    GTEST_SKIP() << "chromium is not installed";
  TempFolder folder;
  Report report = page();
  // Magenta, which the page has nowhere else.
  const Image image{.h = 20, .w = 20, .c = 3, .pixels = [] {
                      std::vector<uint8_t> pixels;
                      for (int i = 0; i < 400; ++i) pixels.insert(pixels.end(), {255, 0, 255});
                      return pixels;
                    }()};
  report.sections[0].pictures[0].png = encode_png(image);
  ASSERT_TRUE(write_file_atomic(folder / "page.html", html_page(report)).ok());
  const std::string shot = (folder / "shot.png").string();
  const std::string command = fmt::format(
      "timeout 300 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars "
      "--user-data-dir={0}/profile --window-size=900,1100 --screenshot={1} file://{0}/page.html "
      "> /dev/null 2>&1",
      folder.path().string(), shot);
  if (std::system(command.c_str()) != 0 || !file_exists(shot))
    GTEST_SKIP() << "chromium gave no screenshot here";
  const Image seen = read_image(shot, 3).value();
  ASSERT_EQ(seen.w, 900);
  size_t magenta = 0, curve = 0;
  for (size_t i = 0; i + 2 < seen.pixels.size(); i += 3) {
    const uint8_t* p = &seen.pixels[i];
    magenta += p[0] == 255 && p[1] == 0 && p[2] == 255 ? 1u : 0u;
    // --s0, light or dark.
    curve += (p[0] == 0x2b && p[1] == 0x6c && p[2] == 0xb0) ||
                     (p[0] == 0x6f && p[1] == 0xa8 && p[2] == 0xe8)
                 ? 1u
                 : 0u;
  }
  // 20 pixels shown as 320, each a square of 16.
  EXPECT_EQ(magenta, 320u * 320u);
  EXPECT_GT(curve, 100u);  // its middle, where nothing is blended
}

}  // namespace
}  // namespace ito::test
