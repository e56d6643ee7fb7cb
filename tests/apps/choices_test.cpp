// A value that is in no table is refused by the option's name, with what the table has; nothing is
// guessed.
#include <map>
#include <set>
#include <sstream>

#include "tests/apps/run_ito.h"

namespace ito::test {
namespace {

// What each command cannot do without.
const std::map<std::string, std::vector<std::string>>& needed() {
  static const std::map<std::string, std::vector<std::string>> arguments = {
      {"train", {"--data", "d", "--out", "o"}},
      {"sample", {"--model", "m", "--out", "o"}},
      {"likelihood", {"--model", "m", "--data", "d"}},
      {"evaluate",
       {"--model", "a=m", "--sampler", "ddpm", "--classifier", "c", "--data", "d", "--out",
        "o.md"}},
      {"interpolate", {"--model", "m", "--a", "a.png", "--b", "b.png", "--out", "o.png"}},
      {"convert", {"m", "o"}},
      {"pack", {"m", "--out", "o.itopack"}},
      {"forward", {"--model", "m", "--in", "i.safetensors", "--out", "o.safetensors"}},
      {"toy", {"two_moons", "--out", "o.png"}},
      {"inspect", {}}};
  return arguments;
}

// "train --schedule" and what it may be, of every table that the program lists.
std::map<std::string, std::set<std::string>> choices() {
  std::map<std::string, std::set<std::string>> found;
  std::istringstream lines(run_ito({"inspect", "--list", "all"}).out);
  std::vector<std::string> options;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("## ")) options.clear();
    constexpr std::string_view kBefore = "`ito ";
    for (size_t at = line.starts_with("Of ") ? line.find(kBefore) : line.npos; at != line.npos;
         at = line.find(kBefore, at + 1)) {
      const size_t begin = at + kBefore.size();
      options.push_back(line.substr(begin, line.find('`', begin) - begin));
    }
    if (line.starts_with("| `"))
      for (const std::string& option : options)
        found[option].insert(line.substr(3, line.find('`', 3) - 3));
  }
  return found;
}

TEST(Choices, WhatIsInNoTableIsRefusedByOptionValueAndWhatIsExpected) {
  const auto all = choices();
  ASSERT_GE(all.size(), 35u);
  for (const auto& [option, names] : all) {
    const size_t space = option.find(' ');
    const std::string command = option.substr(0, space), name = option.substr(space + 1);
    ASSERT_TRUE(needed().contains(command)) << option;
    std::vector<std::string> call = {command};
    if (name.starts_with("--")) call.push_back(name);
    call.push_back("qqqqqqqq");
    std::vector<std::string> more = needed().at(command);
    if (!name.starts_with("--")) more.erase(more.begin());  // in whose place it is
    const Outcome outcome = run_ito(with(call, more));
    EXPECT_EQ(outcome.code, 2) << option;
    EXPECT_NE(outcome.err.find(name), std::string::npos) << option << ": " << outcome.err;
    EXPECT_NE(outcome.err.find("\"qqqqqqqq\""), std::string::npos) << option << ": " << outcome.err;
    for (const std::string& one : names)
      EXPECT_NE(outcome.err.find(one), std::string::npos) << option << ": " << outcome.err;
    EXPECT_EQ(outcome.err.find("nearest"), std::string::npos) << option << ": " << outcome.err;
  }
}

TEST(Choices, TheNearestNameIsSaidAndNotTaken) {
  struct Case {
    std::string command;
    std::vector<std::string> option;
    std::string says;
  };
  for (const Case& c :
       {Case{"train", {"--prediction", "eps"}, "the nearest is epsilon"},
        Case{"train", {"--schedule", "cosine_v2"}, "--schedule is \"cosine_v2\""},
        Case{"train", {"--decay", "Cosine"}, "the nearest is cosine"},
        Case{"train", {"--loss-weight", "minsnr"}, "--loss-weight is \"minsnr\""},
        Case{"sample", {"--inverse", "downsampel:4"}, "the nearest is downsample"},
        Case{"sample", {"--sampler", "eular"}, "the nearest is euler"},
        Case{"inspect", {"--plan", "train", "--network", "ncsnp"}, "the nearest is ncsnpp"},
        Case{"inspect", {"--spacing", "trailling"}, "the nearest is trailing"},
        Case{"evaluate",
             {"--sampler", "pc --predictor ancestrale"},
             "--predictor is \"ancestrale\""}}) {
    const Outcome outcome = run_ito(with(with({c.command}, c.option), needed().at(c.command)));
    EXPECT_EQ(outcome.code, 2) << c.says;
    EXPECT_NE(outcome.err.find(c.says), std::string::npos) << c.says << " | " << outcome.err;
  }
}

}  // namespace
}  // namespace ito::test
