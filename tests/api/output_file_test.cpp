// What a command may write over: what Ito wrote there itself, and nothing that it reads.
#include "api/output_file.h"

#include <gtest/gtest.h>

#include "api/evaluation_table.h"
#include "api/forward.h"
#include "api/likelihood_tables.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "plots/html_report.h"
#include "tests/apps/run_ito.h"

namespace ito::test {
namespace {

bool mentions(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

constexpr OutputFile kGrid = {".png", "ito toy", is_own_picture};

TEST(OutputFiles, HaveTheEndingThatIsListed) {
  EXPECT_TRUE(check_ending(kGrid, "--out", "a/b.png").ok());
  for (const char* name : {"a.jpg", "a", "a.png.json", ""}) {
    const Status status = check_ending(kGrid, "--out", name);
    ASSERT_FALSE(status.ok()) << name;
    EXPECT_TRUE(mentions(status.error().message, "expected FILE.png")) << status.error().message;
  }
}

TEST(OutputFiles, ReplaceOnlyWhatIsTheirOwn) {
  const Scratch scratch;
  const Image image{2, 2, 1, {1, 2, 3, 4}};
  const Json settings = {{"software", "ito"}};
  const Path own = scratch / "own.png", mine = scratch / "mine.png";
  ASSERT_TRUE(write_png(own, image, &settings).ok());
  ASSERT_TRUE(write_png(mine, image).ok());
  EXPECT_TRUE(check_replaceable(kGrid, "--out", scratch / "new.png").ok());
  EXPECT_TRUE(check_replaceable(kGrid, "--out", own).ok());
  ASSERT_TRUE(write_file_atomic(scratch / "empty.png", "").ok());
  EXPECT_TRUE(check_replaceable(kGrid, "--out", scratch / "empty.png").ok());
  const Status foreign = check_replaceable(kGrid, "--out", mine);
  ASSERT_FALSE(foreign.ok());
  EXPECT_TRUE(mentions(foreign.error().message, "was not written by ito toy"));
  // Under whatever name.
  const std::vector<std::string> inputs = {"", (scratch / "../").string(),
                                           (scratch / "./own.png").string()};
  const Status read = check_replaceable(kGrid, "--out", own, inputs);
  ASSERT_FALSE(read.ok());
  EXPECT_TRUE(mentions(read.error().message, "which is read")) << read.error().message;
}

TEST(OutputFiles, KnowTablesPagesAndTensors) {
  const Scratch scratch;
  const auto put = [&](const char* name, const std::string& text) {
    EXPECT_TRUE(write_file_atomic(scratch / name, text).ok());
    return scratch / name;
  };
  for (const std::string& table :
       {likelihood_table({}, {}), rate_distortion_table({}), line_table({}, 0)})
    EXPECT_TRUE(is_likelihood_table(put("t.csv", table))) << table;
  EXPECT_FALSE(is_likelihood_table(put("mine.csv", "image,label\n1,2\n")));
  EXPECT_TRUE(is_own_page(put("p.html", html_page({.title = "x"}))));
  EXPECT_FALSE(is_own_page(put("mine.html", "<!DOCTYPE html>\n<html><head></head></html>")));
  // Both files of a table of `ito evaluate`, or neither.
  EvaluationTable fresh(scratch / "t.md");
  ASSERT_TRUE(fresh.load().ok());
  ASSERT_TRUE(fresh.add({{"model", "m"}, {"sampler", "s"}, {"key", 1}}, "Text.\n").ok());
  EXPECT_TRUE(EvaluationTable(scratch / "t.md").load().ok());
  put("notes.md", "# My notes\n");
  EXPECT_FALSE(EvaluationTable(scratch / "notes.md").load().ok());
  TensorFile file;
  file.tensors.emplace("out", tensor_from_floats({1}, {1}));
  ASSERT_TRUE(write_safetensors(scratch / "out.safetensors", file).ok());
  EXPECT_TRUE(is_forward_output(scratch / "out.safetensors"));
  file.tensors.emplace("sample", tensor_from_floats({1}, {1}));
  ASSERT_TRUE(write_safetensors(scratch / "in.safetensors", file).ok());
  EXPECT_FALSE(is_forward_output(scratch / "in.safetensors"));
}

// Before a model is opened, let alone a device.
TEST(OutputFiles, AreLookedAtBeforeAnyWork) {
  const Scratch scratch;
  const auto name = [&](const char* file) { return (scratch / file).string(); };
  ASSERT_TRUE(write_png(scratch / "in.png", Image{1, 1, 1, {7}}).ok());
  for (const char* file : {"mine.csv", "mine.html", "mine.png"})
    ASSERT_TRUE(write_file_atomic(scratch / file, "mine").ok());
  const std::vector<std::string> likelihood = {"likelihood", "--model", "m", "--data", "d"};
  const std::vector<std::string> evaluate = {
      "evaluate", "--model", "m=m", "--sampler", "ddim", "--data", "d", "--features", "m"};
  struct Case {
    std::vector<std::string> arguments;
    int code;
    std::string says;
  };
  for (const Case& c : {
           Case{{"interpolate", "--model", "m", "--a", name("in.png"), "--b", "b.png", "--out",
                 name("in.png")},
                1,
                "which is read; choose another --out"},
           Case{{"interpolate", "--model", "m", "--a", "a.png", "--b", "b.png", "--out", "c.jpg"},
                2,
                "expected FILE.png"},
           Case{with(likelihood, {"--table", name("mine.csv")}), 1,
                "was not written by ito likelihood"},
           Case{with(likelihood, {"--table", "t.txt"}), 2, "expected FILE.csv"},
           Case{with(likelihood, {"--bound", "--picture", "p.jpg"}), 2, "expected FILE.png"},
           Case{with(likelihood, {"--bound", "--picture", name("mine.png")}), 1,
                "choose another --picture"},
           Case{with(evaluate, {"--out", "t.json"}), 2, "expected FILE.md"},
           Case{{"toy", "two_moons", "--out", name("mine.png")}, 1, "was not written by ito toy"},
           Case{{"verify", "--report", name("mine.html")}, 1, "choose another --report"},
           Case{{"report", name(""), "--out", name("mine.html")}, 1, "was not written by ito"},
           Case{{"forward", "--model", "m", "--in", "i", "--out", "o.png"},
                2,
                "expected FILE.safetensors"},
       }) {
    const Outcome outcome = run_ito(c.arguments);
    EXPECT_EQ(outcome.code, c.code) << outcome.err;
    EXPECT_TRUE(mentions(outcome.err, c.says)) << c.says << ": " << outcome.err;
  }
  for (const char* file : {"mine.csv", "mine.html", "mine.png"})
    EXPECT_EQ(read_file(scratch / file).value(), "mine");
}

}  // namespace
}  // namespace ito::test
