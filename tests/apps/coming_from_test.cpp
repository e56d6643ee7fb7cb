// Every command and every group of options that docs/coming-from.md has in Ito's column is run, on
// tiny networks and pictures: names, paths and numbers that decide how long it takes are put in
// place of the page's own, all else is as it stands there.
#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "io/png.h"
#include "tests/apps/run_ito.h"
#include "tests/support/folders.h"

namespace ito::test {
namespace {

using Words = std::vector<std::string>;

// What the page's options become; of options that are not here the page's value stays.
const std::map<std::string, std::string>& shortened() {
  static const std::map<std::string, std::string> values = {
      {"--steps", "2"},   {"--epochs", "0.5"},         {"--batch", "4"},   {"--resize", "8"},
      {"--warmup", "1"},  {"--sample-every", "1"},     {"--num", "2"},     {"--rtol", "0.1"},
      {"--atol", "0.1"},  {"--checkpoint-every", "1"}, {"--seeds", "0-1"}, {"--class", "1"},
      {"--ladder", "10"}, {"--layers-per-block", "1"}};
  return values;
}

// Words of a command; what stands in quotes is one.
Words words_in(const std::string& text) {
  Words words;
  std::string word;
  bool quoted = false;
  for (const char c : text + " ") {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ' ' && !quoted) {
      if (!word.empty()) words.push_back(word);
      word.clear();
    } else {
      word += c;
    }
  }
  return words;
}

// The last column of a row of a table, its texts in backticks.
Words texts_of(const std::string& row) {
  const size_t end = row.rfind(" |"), begin = row.rfind("| ", end - 1);
  Words texts;
  const std::string cell = row.substr(begin + 2, end - begin - 2);
  for (size_t at = cell.find('`'); at != std::string::npos;) {
    const size_t close = cell.find('`', at + 1);
    texts.push_back(cell.substr(at + 1, close - at - 1));
    at = cell.find('`', close + 1);
  }
  return texts;
}

bool is_option(const std::string& word) { return word.starts_with("--"); }

// Options of `more` in place of the same ones of `base`.
Words replaced(const Words& base, const Words& more) {
  std::set<std::string> names;
  for (const std::string& word : more)
    if (is_option(word)) names.insert(word);
  Words words;
  bool dropped = false;
  for (const std::string& word : base) {
    if (is_option(word)) dropped = names.contains(word);
    if (!dropped) words.push_back(word);
  }
  return with(words, more);
}

class ComingFrom : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 12; ++i) {
      Image image{8, 8, 3, {}};
      for (int p = 0; p < 8 * 8 * 3; ++p)
        image.pixels.push_back(static_cast<uint8_t>((p * 37 + i * 53) % 256));
      const Path folder = scratch_ / "pictures" / std::string(1, static_cast<char>('a' + i % 3));
      ASSERT_TRUE(make_folders(folder).ok());
      ASSERT_TRUE(write_png(folder / fmt::format("{}.png", i), image).ok());
      if (i >= 3) continue;
      const char* const name = i == 0 ? "a.png" : i == 1 ? "b.png" : "picture.png";
      ASSERT_TRUE(write_png(scratch_ / name, image).ok());
    }
    Image mask{8, 8, 1, std::vector<uint8_t>(64, 255)};
    std::fill_n(mask.pixels.begin(), 32, uint8_t{0});
    ASSERT_TRUE(write_png(scratch_ / "mask.png", mask).ok());
    run(with({"ito", "train", "--out", "run"}, tiny()));
    run(with({"ito", "train", "--classifier", "--out", "classifier"}, tiny()));
    run(with({"ito", "train", "--classifier", "--noisy", "--out", "noisy"}, tiny()));
  }

  static Words tiny() {
    return {
        "--data",  "PICTURES", "--channels", "8", "--norm-groups", "4", "--layers-per-block", "1",
        "--steps", "2",        "--batch",    "4"};
  }

  // Runs a command of the page, its names and numbers replaced.
  void run(const Words& command) {
    Words call(command.begin() + 1, command.end());
    for (size_t i = 0; i + 1 < call.size(); ++i) {
      std::string& value = call[i + 1];
      if (!is_option(call[i]) || is_option(value)) continue;
      if (const auto found = shortened().find(call[i]); found != shortened().end())
        value = found->second;
      // An SDE's steps are more than its beta_max.
      if (call[i] == "--steps" && std::find(call.begin(), call.end(), "pc") != call.end())
        value = "25";
      if (value == "ddpm --steps 250") value = "ddpm --steps 2";
      if (call[i] == "--channels") {
        for (const char* number : {"64", "128", "256", "512"})
          if (const size_t at = value.find(number); at != std::string::npos)
            value.replace(at, std::string(number).size(), "8");
      } else if (value == "DATA" || value == "PICTURES") {
        value = (scratch_ / "pictures").string();
      } else if (value == "CLASSIFIER") {
        value = (scratch_ / (call[i] == "--guidance-classifier" ? "noisy" : "classifier")).string();
      } else if (value == "run=run") {
        value = "run=" + (scratch_ / "run").string();
      } else if (call[i] == "--out" && value == "run" && made_) {
        value = (scratch_ / fmt::format("run-{}", count_)).string();
      } else if (value == "run" || value.ends_with(".png") || value.ends_with(".md") ||
                 call[i] == "--out") {
        value = (scratch_ / value).string();
      }
    }
    std::string text;
    for (const std::string& word : call) text += " " + word;
    const Outcome outcome = run_ito(call);
    EXPECT_EQ(outcome.code, 0) << "ito" << text << "\n" << outcome.err;
    ++count_;
    made_ = made_ || call[0] == "train";
  }

  // What a command needs and the page does not say, as it is no matter of the row.
  static Words completed(Words words) {
    const auto has = [&](const std::string& option) {
      return std::find(words.begin(), words.end(), option) != words.end();
    };
    const auto add = [&](const std::string& option, const std::string& value) {
      if (!has(option)) words = with(words, {option, value});
    };
    const std::string command = words[1];
    if (command == "train") {
      const Words more = tiny();
      for (size_t i = 0; i < more.size(); i += 2)
        if (more[i] != "--steps" || !has("--epochs")) add(more[i], more[i + 1]);
      add("--out", "run");
    } else if (command == "sample") {
      add("--model", "run");
      add("--out", "drawn");
      if (!has("--seeds")) add("--num", "2");
      if (!has("ode")) add("--steps", "2");
    } else if (command == "evaluate") {
      for (const char* option : {"--num", "--reference"}) add(option, "6");
      add("--blocks", "2");
    } else if (command == "interpolate") {
      add("--steps", "2");
    } else if (command == "likelihood") {
      for (const char* option : {"--rtol", "--atol"}) add(option, "0.1");
    }
    return words;
  }

  // The command that has all these options: train before sample.
  static std::string command_of(const Words& options) {
    static const std::map<std::string, std::string> help = {
        {"train", run_ito({"train", "--help"}).out}, {"sample", run_ito({"sample", "--help"}).out}};
    for (const char* command : {"train", "sample"})
      if (std::all_of(options.begin(), options.end(), [&](const std::string& word) {
            return !is_option(word) || help.at(command).find(word) != std::string::npos;
          }))
        return command;
    ADD_FAILURE() << "no command has " << options[0];
    return "train";
  }

  Scratch scratch_;
  int count_ = 0;
  bool made_ = false;  // whether the run that others start from is there
};

TEST_F(ComingFrom, EveryRowOfThePageRuns) {
  std::istringstream lines(read_file(Path(source_folder()) / "docs/coming-from.md").value());
  const Words plain = {"ito", "train", "--data", "PICTURES"};
  Words base = plain;  // of a section's groups of options: its first training
  const int before = count_;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("## ")) base = plain;
    if (!line.starts_with("| ") || line.starts_with("| there")) continue;
    std::set<std::string> given;  // options of this row; one that is named again is only spoken of
    for (const std::string& text : texts_of(line)) {
      const Words words = words_in(text);
      if (words.size() == 1 && given.contains(words[0])) continue;
      given.insert(words.begin(), words.end());
      if (words.empty() || (words[0] != "ito" && !is_option(words[0]))) continue;
      SCOPED_TRACE(line);
      if (words[0] != "ito") {
        const std::string command = command_of(words);
        run(completed(command == "train" ? replaced(base, words) : with({"ito", command}, words)));
        continue;
      }
      run(completed(words));
      if (words[1] == "train") base = words;
    }
  }
  EXPECT_GE(count_ - before, 30);
}

}  // namespace
}  // namespace ito::test
