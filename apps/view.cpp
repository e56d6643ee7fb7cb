// ito view: starts ito-view (examples/view), which is built where a window can be: a program of its
// own, so that this one needs neither windows nor what draws in them.
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>

#include "apps/command.h"
#include "base/error.h"
#include "base/platform.h"
#include "io/file.h"

namespace ito::apps {
namespace {

constexpr const char* kViewer = "ito-view";

// Of the viewer, which checks their values.
constexpr std::pair<const char*, const char*> kOptions[] = {
    {"--sampler", "one of `ito inspect --list samplers`"},
    {"--steps", "of the sampler, 1 to 200"},
    {"--guidance", "scale of classifier-free guidance; 0: none"},
    {"--seed", "of the image"},
    {"--class", "its number"},
    {"--budget-us", "of the device's time in each frame, in microseconds"},
    {"--cache", "a folder for compiled shaders; none where left out"},
    {"--size", "of the window, WIDTHxHEIGHT"},
    {"--do",
     "plays what a hand would do, in order; may be given several times: wait, weights, quit, "
     "frames=N, seed=N, class=N, steps=N, guidance=X, look=STEP, sampler=NAME, compare=PNG, "
     "shot=PNG, file=PATH"},
    {"--frames", "draws so many more, as --do frames=N"},
    {"--screenshot", "then writes the window into a PNG and ends"},
};

// The words of the command line in their order, in which the viewer plays them.
std::vector<std::string> words_of(const CLI::App& app) {
  std::vector<std::string> words;
  std::map<const CLI::Option*, size_t> taken;
  for (const CLI::Option* option : app.parse_order()) {
    if (!option->get_lnames().empty()) words.push_back("--" + option->get_lnames()[0]);
    words.push_back(option->results()[taken[option]++]);
  }
  return words;
}

// Beside this program, as its caller named it; else wherever the system looks.
std::string viewer_beside(const Path& program) {
  const Path beside = program.parent_path() / kViewer;
  return program.has_parent_path() && file_exists(beside) ? beside.string() : kViewer;
}

// Gives only an error: otherwise this process is the viewer from here on.
Status become_viewer(const Path& program, const std::vector<std::string>& arguments) {
  std::vector<std::string> words;
  // scripts/with-lavapipe's driver works in processes that it started.
  if (const char* launcher = std::getenv("ITO_LAUNCHER")) words.emplace_back(launcher);
  words.push_back(viewer_beside(program));
  words.insert(words.end(), arguments.begin(), arguments.end());
  const int error = platform::become_program(words);
  return not_found(
      "cannot start {}: {}; it is built with -DITO_EXAMPLES=ON where libvulkan-dev, libglfw3-dev, "
      "libimgui-dev and libstb-dev are installed",
      words.front(), std::strerror(error));
}

}  // namespace

Command add_view_command(CLI::App& root, const char* program) {
  CLI::App* app = root.add_subcommand("view", "Watch a model draw, or a run train, in a window");
  app->add_option("folder", "a model's folder or a run's")->required();
  for (const auto& [name, help] : kOptions) app->add_option(name, help)->allow_extra_args(false);
  app->get_option("--do")->take_all();
  return {app, nullptr, [app, program] { return become_viewer(program, words_of(*app)); }};
}

}  // namespace ito::apps
