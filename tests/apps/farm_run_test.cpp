// `ito sample --shard` and `ito merge` as programs: killed, stopped and started again.
#include <map>

#include "io/jsonl.h"
#include "io/png.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"

namespace ito::test {
namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class FarmRun : public ::testing::Test {
 protected:
  void SetUp() override { write_tiny_model(scratch_ / "model"); }

  std::vector<std::string> sampling(const std::string& out, const std::vector<std::string>& more,
                                    const std::string& steps = "8") {
    return with({"sample", "--model", (scratch_ / "model").string(), "--sampler", "ddim", "--steps",
                 steps, "--seeds", "0-199", "--batch", "8", "--out", (scratch_ / out).string()},
                more);
  }
  // The images' files: all but manifests.
  std::map<std::string, std::string> images(const std::string& out) {
    std::map<std::string, std::string> all;
    const std::vector<std::string> names = list_folder(scratch_ / out).value();
    for (const std::string& name : names)
      if (!name.starts_with("manifest")) all[name] = read_file(scratch_ / out / name).value();
    return all;
  }
  // Lines of a manifest so far.
  int64_t lines(const Path& path) {
    const auto text = read_file(path);
    return text.ok() ? std::count(text->begin(), text->end(), '\n') : 0;
  }
  // A run that gets the signal once its manifest has so many lines.
  Outcome run_until(const std::vector<std::string>& arguments, const Path& manifest, int64_t count,
                    int signal) {
    Start start{.arguments = arguments, .launcher = true, .environment = {}, .when = {}};
    start.when = [this, manifest, count] { return lines(manifest) >= count; };
    start.signal = signal;
    start.poll = std::chrono::microseconds(200);
    return run_ito(start);
  }

  Scratch scratch_;
};

TEST_F(FarmRun, KilledShardsEndAsOneRunByteForByte) {
  int kills = 0;
  for (const char* form : {"png", "tar", "npz"}) {
    SCOPED_TRACE(form);
    std::vector<std::string> how = {"--form", form};
    if (std::string(form) != "png") how = with(how, {"--images-per-file", "20"});
    const std::string one = form + std::string("-one"), four = form + std::string("-four");
    const Outcome undisturbed = run_ito(sampling(one, how));
    ASSERT_EQ(undisturbed.code, 0) << undisturbed.err;
    for (int k = 0; k < 4; ++k) {
      const std::string shard = std::to_string(k) + "/4";
      const std::vector<std::string> command = sampling(four, with(how, {"--shard", shard}));
      const Path manifest = scratch_ / four / ("manifest-" + std::to_string(k) + "-of-4.jsonl");
      // The first is killed while it draws its first images, the third in its second block.
      if (k == 0) kills += run_until(command, manifest, 2, SIGKILL).code == -SIGKILL;
      if (k == 2) kills += run_until(command, manifest, 24, SIGKILL).code == -SIGKILL;
      const Outcome outcome = run_ito(command);
      ASSERT_EQ(outcome.code, 0) << outcome.err;
    }
    EXPECT_EQ(images(four), images(one));
    const Outcome merged = run_ito({"merge", (scratch_ / four).string(), "--json"});
    ASSERT_EQ(merged.code, 0) << merged.err;
    const Json json = parse_json(merged.out, "merge").value();
    EXPECT_EQ(json.at("images"), 200);
    EXPECT_EQ(json.at("shards"), 4);
    // Done is done: nothing is drawn again.
    const Outcome again = run_ito(sampling(four, with(how, {"--shard", "1/4", "--json"})));
    ASSERT_EQ(again.code, 0) << again.err;
    EXPECT_EQ(parse_json(again.out, "sample").value().at("images"), 0);
  }
  EXPECT_GT(kills, 0) << "every shard ended before it could be killed";
}

// A folder without manifests, as `ito sample` always made it, has the same pictures.
TEST_F(FarmRun, APictureIsThatOfAPlainRun) {
  ASSERT_EQ(run_ito(sampling("plain", {})).code, 0);
  ASSERT_EQ(run_ito(sampling("shards", {"--shard", "1/2"})).code, 0);
  const auto plain = images("plain"), shards = images("shards");
  EXPECT_EQ(plain.size(), 200u);
  EXPECT_EQ(shards.size(), 100u);
  for (const auto& [name, bytes] : shards) EXPECT_EQ(bytes, plain.at(name)) << name;
}

// Calls of one job may name the same files in different ways.
TEST_F(FarmRun, PathsThatAreSpelledDifferentlyWriteTheSameBytes) {
  ASSERT_TRUE(make_folders(scratch_ / "node/deeper").ok());
  std::filesystem::copy(scratch_ / "model", scratch_ / "node/copy",
                        std::filesystem::copy_options::recursive);
  std::filesystem::create_directory_symlink(scratch_ / "model", scratch_ / "link");
  Image start{8, 8, 1, std::vector<uint8_t>(64, 100)};
  ASSERT_TRUE(write_png(scratch_ / "start.png", start).ok());
  ASSERT_TRUE(write_png(scratch_ / "node/other.png", start).ok());
  const std::string root = (scratch_ / "").string();  // ends with a slash
  std::error_code ignored;
  const std::string relative =
      std::filesystem::relative(scratch_ / "model", std::filesystem::current_path(), ignored);
  const std::vector<std::array<std::string, 2>> spellings = {
      {root + "model", root + "start.png"},
      {root + "model/", root + "node/../start.png"},
      {root + "node/../model", root + "node/other.png"},
      {root + "link", root + "start.png"},
      {relative, root + "start.png"},
      {root + "node/copy", root + "node/other.png"}};
  for (const char* form : {"png", "tar", "npz"}) {
    std::map<std::string, std::string> first;
    std::string manifest;
    for (size_t i = 0; i < spellings.size(); ++i) {
      const std::string out = fmt::format("{}-{}", form, i);
      const Outcome outcome =
          run_ito({"sample", "--model", spellings[i][0], "--init-image", spellings[i][1],
                   "--sampler", "ddim", "--steps", "4", "--seeds", "0-5", "--form", form, "--shard",
                   "0/1", "--out", (scratch_ / out).string()});
      ASSERT_EQ(outcome.code, 0) << outcome.err;
      const auto files = images(out);
      const std::string lines = read_file(scratch_ / out / "manifest-0-of-1.jsonl").value();
      EXPECT_FALSE(says(lines, scratch_ / "")) << lines;
      if (i == 0) {
        first = files;
        manifest = lines;
      }
      EXPECT_EQ(files, first) << form << " " << spellings[i][0];
      EXPECT_EQ(lines, manifest) << form << " " << spellings[i][0];
    }
  }
  // The key that they hold is the one that `ito inspect` prints.
  const Json settings = read_png_settings(scratch_ / "png-0/000000.png").value();
  const Outcome shown = run_ito({"inspect", root + "model", "--json"});
  ASSERT_EQ(shown.code, 0) << shown.err;
  EXPECT_EQ(parse_json(shown.out, "inspect").value().at("key"), settings.at("model"));
}

TEST_F(FarmRun, ASignalFinishesTheBatchAndEndsWith130) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string out = "stopped-" + std::to_string(signal);
    // Steps enough for the signal to come long before the end.
    const std::vector<std::string> command =
        sampling(out, {"--form", "tar", "--images-per-file", "50"}, "60");
    const Path manifest = scratch_ / out / "manifest-0-of-1.jsonl";
    const Outcome stopped = run_until(command, manifest, 2, signal);
    EXPECT_EQ(stopped.code, 130) << stopped.err;
    EXPECT_TRUE(says(stopped.err, "run the same command again to go on")) << stopped.err;
    int64_t count = 0;
    const std::vector<Json> rows = read_jsonl(manifest).value();
    for (const Json& row : rows) count += row.contains("image") ? 1 : 0;
    EXPECT_EQ(count % 8, 0) << "whole batches only";
  }
}

TEST_F(FarmRun, WrongUsageIsNamed) {
  struct Case {
    std::vector<std::string> more;
    std::string part;
  };
  const std::vector<Case> cases = {
      {{"--shard", "4/4"}, "expected 0/4 to 3/4"},
      {{"--shard", "x"}, "expected K/N"},
      {{"--form", "zip"}, "expected png, tar or npz"},
      {{"--form", "tar", "--shard", "0/4"}, "--images-per-file 50"},
      {{"--images-per-file", "5"}, "--images-per-file"},
      {{"--shard", "0/4", "--preview-every", "2"}, "--preview-every is for images in one grid"},
  };
  for (const Case& c : cases) {
    const Outcome outcome = run_ito(sampling("refused", c.more));
    EXPECT_EQ(outcome.code, 2) << c.part;
    EXPECT_TRUE(says(outcome.err, c.part)) << outcome.err;
  }
  const Outcome file = run_ito(sampling("refused.npz", {"--form", "npz"}));
  EXPECT_EQ(file.code, 2);
  EXPECT_TRUE(says(file.err, "expected a folder")) << file.err;
  EXPECT_FALSE(folder_exists(scratch_ / "refused"));
}

}  // namespace
}  // namespace ito::test
