// report.html and the event file of a run, and `ito report` on one and on several.
#include "api/run_report.h"

#include <gtest/gtest.h>

#include <set>

#include "api/training_options.h"
#include "io/checkpoint.h"
#include "io/image.h"
#include "io/jsonl.h"
#include "tests/apps/run_ito.h"

namespace ito::test {
namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

class RunReport : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    write_tiny_data(data());
    outcome_ = run_ito(training("one", 4));
  }
  static void TearDownTestSuite() { delete scratch_; }
  void SetUp() override { ASSERT_EQ(outcome_.code, 0) << outcome_.err; }

  static Path data() { return *scratch_ / "data.npz"; }
  static Path path(const std::string& name) { return *scratch_ / name; }
  static std::vector<std::string> training(const std::string& name, int steps) {
    return with(least_training(data(), path(name), steps, 2),
                {"--sample-every", "2", "--validate", "4"});
  }

  inline static Scratch* scratch_ = nullptr;
  inline static Outcome outcome_;
};

TEST_F(RunReport, ShowsCurvesSamplesDataAndSettings) {
  const std::string html = read_file(path("one") / kReportFile).value();
  for (const char* title : {"Loss", "Learning rate", "Norm of the gradient", "Images per second",
                            "Samples", "Data", "Settings", "Classes"})
    EXPECT_TRUE(says(html, title)) << title;
  EXPECT_TRUE(says(html, ">step 4<"));
  // Both grids, byte for byte.
  for (const char* name : {"samples-2.png", "samples-4.png"})
    EXPECT_EQ(count(html, base64(read_file(path("one") / name).value())), 1u) << name;
  EXPECT_TRUE(says(html, "<th>images</th><td>48</td>"));
  EXPECT_TRUE(says(html, "<th>batch</th><td>2</td>"));
  const Json trainer = read_json(checkpoint_folder(path("one"), 4) / "trainer.json").value();
  EXPECT_TRUE(
      says(html, html_escaped(trainer["trainer"]["metadata"]["device"].get<std::string>())));
  EXPECT_EQ(count(html, "<script"), 0u);
}

// A run that goes on has one page and one event file, with all that came before in them.
TEST_F(RunReport, FollowsARunThatGoesOn) {
  const Path run = path("longer");
  std::filesystem::copy(path("one"), run, std::filesystem::copy_options::recursive);
  const std::string before = read_file(run / kEventFile).value();
  const Outcome more = run_ito(training("longer", 6));
  ASSERT_EQ(more.code, 0) << more.err;
  EXPECT_TRUE(says(read_file(run / kReportFile).value(), ">step 6<"));
  const std::string after = read_file(run / kEventFile).value();
  EXPECT_TRUE(after.starts_with(before));
  EXPECT_GT(after.size(), before.size());
  EXPECT_TRUE(says(before, "grad_norm"));
  EXPECT_TRUE(says(before, read_file(run / "samples-4.png").value()));
  // Starting over takes both away.
  ASSERT_EQ(run_ito(with(training("longer", 2), {"--fresh"})).code, 0);
  EXPECT_FALSE(says(read_file(run / kReportFile).value(), ">step 6<"));
  EXPECT_LT(read_file(run / kEventFile).value().size(), before.size());
}

TEST_F(RunReport, ComparesRuns) {
  const Outcome other = run_ito(with(training("two", 4), {"--lr", "0.01"}));
  ASSERT_EQ(other.code, 0) << other.err;
  const Path page = path("both.html");
  const Outcome outcome = run_ito(
      {"report", path("one").string(), path("two").string(), "--out", page.string(), "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json summary = parse_json(outcome.out, "report").value();
  ASSERT_EQ(summary.at("runs").size(), 2u);
  EXPECT_EQ(summary["runs"][1]["run"], "two");
  EXPECT_EQ(summary["runs"][1]["step"], 4);
  const std::string html = read_file(page).value();
  EXPECT_TRUE(says(html, "one: loss"));
  EXPECT_TRUE(says(html, "two: validation"));
  // Only what differs.
  EXPECT_TRUE(says(html, "<th>lr</th><td>0.002</td><td>0.01</td>"));
  EXPECT_FALSE(says(html, "<th>batch</th>"));
  const Outcome here = run_ito({"report", path("one").string(), path("two").string()});
  EXPECT_EQ(here.code, 0) << here.err;
  EXPECT_TRUE(says(here.out, "wrote report-one-two.html")) << here.out;
  EXPECT_EQ(read_file("report-one-two.html").value(), html);
  EXPECT_TRUE(std::filesystem::remove("report-one-two.html"));
  const Outcome none = run_ito({"report", scratch_->operator/("").string()});
  EXPECT_EQ(none.code, 1);
  EXPECT_TRUE(says(none.err, "is no run of ito train")) << none.err;
}

TEST(RunNames, AreTheShortestEndsOfPathsThatDiffer) {
  const auto names = [](const std::vector<Path>& runs) { return run_names(runs).value(); };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names({"p1/run", "p2/run", "other/"}), (Names{"p1/run", "p2/run", "other"}));
  EXPECT_EQ(names({"a/x/run", "b/x/run", "c/run"}), (Names{"a/x/run", "b/x/run", "c/run"}));
  EXPECT_EQ(names({"/tmp/one"}), (Names{"one"}));
  const auto twice = run_names({"p1/run", "p1/./run/"});
  ASSERT_FALSE(twice.ok());
  EXPECT_TRUE(says(twice.error().message, "are one run")) << twice.error().message;
}

TEST(RunNames, TellColumnsApartAndOfSettingsOnlyWhatDiffers) {
  std::vector<RunRecord> runs(2);
  Json options = to_json(TrainingOptions{});
  for (size_t i = 0; i < 2; ++i) {
    runs[i].name = i == 0 ? "p1/run" : "p2/run";
    options["objective"] = i == 0 ? "auto" : "simple";
    options["lr"] = i == 0 ? 1e-3 : 1e-4;
    runs[i].settings = {{"options", options}};
  }
  const Report report = run_report(runs);
  EXPECT_EQ(report.title, "p1/run and p2/run");
  const ReportTable& settings = report.sections.back().tables.at(0);
  ASSERT_EQ(settings.rows.size(), 1u);
  EXPECT_EQ(settings.rows[0][0], "lr");
}

// Where a browser has put something, in pixels of the window.
struct Box {
  double x = 0, y = 0, w = 0, h = 0;
};

// What Chromium says of a page: its document after the page's own script has run.
std::string dump_of(const Path& page, const Path& profile) {
  const std::string out = page.string() + ".dump";
  const std::string command = fmt::format(
      "timeout 300 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars "
      "--user-data-dir={} --window-size=1000,4000 --dump-dom file://{} > {} 2> /dev/null",
      profile.string(), page.string(), out);
  return std::system(command.c_str()) == 0 ? read_file(out).value() : std::string();
}

// What a browser makes of the page of a real run: its words, and something drawn in every chart and
// every picture.
TEST_F(RunReport, ABrowserShowsTheWordsChartsAndPicturesOfARun) {
  if (std::system("command -v chromium > /dev/null 2>&1") != 0)
    GTEST_SKIP() << "chromium is not installed, so that nobody looks at the report of a run";
  const Path page = path("one") / kReportFile, shot = *scratch_ / "shot.png";
  const std::string html = read_file(page).value();
  // The same page, which says in its title where the browser has put what, and what it shows.
  const Path asking = *scratch_ / "asking.html";
  ASSERT_TRUE(
      write_file_atomic(
          asking, html +
                      "<script>const boxes = [...document.querySelectorAll('svg, img')].map(e => "
                      "{const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, "
                      "b.height]}); document.body.replaceChildren(JSON.stringify({boxes: boxes, "
                      "text: document.body.innerText}).replaceAll('<', ' '))</script>")
          .ok());
  const std::string dump = dump_of(asking, *scratch_ / "profile");
  const size_t begin = dump.find("{\"boxes\""), end = dump.rfind("</body>");
  ASSERT_NE(begin, std::string::npos) << dump.substr(0, 400);
  const Json seen = parse_json(dump.substr(begin, end - begin), "chromium").value();
  const std::string text = seen.at("text");
  for (const char* words : {"Loss", "Learning rate", "Norm of the gradient", "Images per second",
                            "Samples", "step 2", "step 4", "Settings", "48"})
    EXPECT_TRUE(says(text, words)) << words << "\n" << text;
  const std::string command = fmt::format(
      "timeout 300 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars "
      "--user-data-dir={} --window-size=1000,4000 --screenshot={} file://{} > /dev/null 2>&1",
      (*scratch_ / "profile").string(), shot.string(), page.string());
  ASSERT_EQ(std::system(command.c_str()), 0);
  const Image image = read_image(shot, 3).value();
  ASSERT_GE(seen.at("boxes").size(), 6u);  // four charts, two grids
  for (const Json& box : seen.at("boxes")) {
    const Box b{box[0], box[1], box[2], box[3]};
    ASSERT_GT(b.w * b.h, 400) << box;
    std::set<std::array<uint8_t, 3>> colours;
    for (int y = static_cast<int>(b.y); y < static_cast<int>(b.y + b.h) && y < image.h; ++y)
      for (int x = static_cast<int>(b.x); x < static_cast<int>(b.x + b.w) && x < image.w; ++x) {
        const uint8_t* p = &image.pixels[static_cast<size_t>(y * image.w + x) * 3];
        colours.insert({p[0], p[1], p[2]});
      }
    EXPECT_GT(colours.size(), 3u) << box;  // paper, a grid line, words and a curve, or greys
  }
}

}  // namespace
}  // namespace ito::test
