// What messages advise: an option exists, and the command that says so has it.
#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"
#include "tests/support/folders.h"

namespace ito::test {
namespace {

const std::regex kOption("--([a-z][a-z0-9-]*)");

const std::vector<std::string>& commands() {
  static const std::vector<std::string> names = [] {
    // The program's own list, so that no command can be forgotten here.
    std::vector<std::string> found;
    std::istringstream lines(run_ito({"--help"}).out);
    bool listed = false;
    for (std::string line; std::getline(lines, line);) {
      if (line.find("ubcommands") != std::string::npos || line.find("SUBCOMMANDS") == 0) {
        listed = true;
        continue;
      }
      if (listed && line.empty()) break;
      const size_t begin = line.find_first_not_of(' ');
      if (!listed || begin != 2) continue;
      found.push_back(line.substr(begin, line.find(' ', begin) - begin));
    }
    return found;
  }();
  return names;
}

std::set<std::string> options_in(const std::string& text) {
  std::set<std::string> options;
  for (std::sregex_iterator it(text.begin(), text.end(), kOption), end; it != end; ++it)
    options.insert((*it)[1]);
  return options;
}

const std::set<std::string>& options_of(const std::string& command) {
  static std::map<std::string, std::set<std::string>> known;
  if (const auto found = known.find(command); found != known.end()) return found->second;
  const std::vector<std::string> arguments = command.empty()
                                                 ? std::vector<std::string>{"--help"}
                                                 : std::vector<std::string>{command, "--help"};
  return known[command] = options_in(run_ito(arguments).out);
}

// Lines of a source file that have text in them, without comments.
std::vector<std::string> texts_of(const Path& path) {
  std::vector<std::string> texts;
  std::istringstream lines(read_file(path).value());
  for (std::string line; std::getline(lines, line);) {
    const size_t comment = line.find("//");
    if (comment != std::string::npos && line.find("://") == std::string::npos) line.resize(comment);
    if (line.find('"') != std::string::npos) texts.push_back(line);
  }
  return texts;
}

struct Mention {
  std::string option, command;  // command: where the text says "ito COMMAND --option"
};

std::vector<Mention> mentions_in(const std::string& line) {
  std::vector<Mention> mentions;
  const std::regex named("`?ito ([a-z]+)[ \"]");
  for (std::sregex_iterator it(line.begin(), line.end(), kOption), end; it != end; ++it) {
    const size_t at = static_cast<size_t>(it->position());
    // "--{}" is put together elsewhere, and x-- is arithmetic.
    if (at > 0 && std::isalnum(static_cast<unsigned char>(line[at - 1])) != 0) continue;
    if ((*it)[1].str().ends_with("-")) continue;
    Mention mention{(*it)[1], ""};
    const std::string before = line.substr(0, at);
    for (std::sregex_iterator of(before.begin(), before.end(), named); of != end; ++of)
      mention.command = (*of)[1];
    const auto& all = commands();
    if (std::find(all.begin(), all.end(), mention.command) == all.end()) mention.command.clear();
    mentions.push_back(mention);
  }
  return mentions;
}

TEST(Advice, NamesOptionsThatExist) {
  ASSERT_GE(commands().size(), 14u);
  std::set<std::string> pool = options_of("");
  for (const std::string& command : commands()) {
    EXPECT_FALSE(options_of(command).empty()) << command;
    pool.insert(options_of(command).begin(), options_of(command).end());
  }
  EXPECT_GT(pool.size(), 60u);
  int seen = 0;
  for (const char* room : {"base", "io", "nn", "diffusion", "graph", "runtime", "statistics",
                           "plots", "studies", "api", "apps"}) {
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(Path(source_folder()) / room)) {
      if (entry.path().extension() != ".cpp" && entry.path().extension() != ".h") continue;
      for (const std::string& line : texts_of(entry.path()))
        for (const auto& [option, command] : mentions_in(line)) {
          EXPECT_TRUE((command.empty() ? pool : options_of(command)).contains(option))
              << entry.path() << ": --" << option << " of ito " << command << ": " << line;
          ++seen;
        }
    }
  }
  EXPECT_GT(seen, 100);
}

// A command's own file names its own options, or says whose they are.
TEST(Advice, OfACommandNamesOptionsOfThatCommand) {
  int seen = 0;
  for (const std::string& command : commands()) {
    const Path path = Path(source_folder()) / "apps" / (command + ".cpp");
    ASSERT_TRUE(file_exists(path)) << path;
    for (const std::string& line : texts_of(path))
      for (const auto& [option, named] : mentions_in(line)) {
        EXPECT_TRUE(options_of(named.empty() ? command : named).contains(option))
            << path << ": --" << option << ": " << line;
        ++seen;
      }
  }
  EXPECT_GT(seen, 50);
}

// Every command that opens a model folder meets a folder of several variants with a remedy that it
// has: the one place that says so is read_weights'.
TEST(Advice, OfSeveralVariantsHoldsForEveryCommandThatOpensAModel) {
  Scratch scratch;
  write_tiny_model(scratch / "model");
  write_tiny_data(scratch / "data.npz");
  const Path weights = scratch / "model/unet/diffusion_pytorch_model.safetensors";
  for (const char* name : {"fp16", "non_ema"})
    std::filesystem::copy_file(
        weights,
        scratch / (std::string("model/unet/diffusion_pytorch_model.") + name + ".safetensors"));
  std::filesystem::remove(weights);
  const std::string model = (scratch / "model").string(), data = (scratch / "data.npz").string();
  const std::string out = (scratch / "out").string();
  const std::map<std::string, std::vector<std::string>> calls = {
      {"sample", {"--model", model, "--out", out}},
      {"interpolate", {"--model", model, "--a", "a.png", "--b", "b.png", "--out", "x.png"}},
      {"forward", {"--model", model, "--in", "in.safetensors", "--out", out + ".safetensors"}},
      {"likelihood", {"--model", model, "--data", data}},
      {"inspect", {model}},
      {"convert", {model, out}},
      {"train", {"--init", model, "--data", data, "--out", out}},
  };
  for (const auto& [command, arguments] : calls) {
    const Outcome outcome = run_ito(with({command}, arguments));
    EXPECT_NE(outcome.code, 0) << command;
    const std::set<std::string> advised = options_in(outcome.err);
    EXPECT_TRUE(advised.contains("variant")) << command << ": " << outcome.err;
    EXPECT_TRUE(options_of(command).contains("variant")) << command;
  }
  const Outcome taken = run_ito({"sample", "--model", model, "--variant", "non_ema", "--seeds", "0",
                                 "--steps", "2", "--out", out});
  EXPECT_EQ(taken.code, 0) << taken.err;
  // The only one is taken, and said.
  std::filesystem::remove(scratch / "model/unet/diffusion_pytorch_model.fp16.safetensors");
  const Outcome sole = run_ito({"inspect", model});
  EXPECT_EQ(sole.code, 0) << sole.err;
  EXPECT_NE(sole.err.find("the variant non_ema"), std::string::npos) << sole.err;
}

}  // namespace
}  // namespace ito::test
