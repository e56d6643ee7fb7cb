// ito view: starts ito-view (examples/view), which is built where a window can be: a program of its
// own, so that this one needs neither windows nor what draws in them.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "apps/command.h"
#include "base/error.h"
#include "io/file.h"

namespace ito::apps {
namespace {

constexpr const char* kViewer = "ito-view";

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
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  execvp(pointers[0], pointers.data());
  return not_found(
      "cannot start {}: {}; it is built with -DITO_EXAMPLES=ON where libvulkan-dev, libglfw3-dev, "
      "libimgui-dev and libstb-dev are installed",
      words.front(), std::strerror(errno));
}

}  // namespace

Command add_view_command(CLI::App& root, const char* program) {
  CLI::App* app =
      root.add_subcommand("view", "Watch a model draw, or a run train, in a window; see --help");
  app->set_help_flag();  // the viewer has its own
  app->prefix_command();
  return {app, nullptr, [app, program] { return become_viewer(program, app->remaining()); }};
}

}  // namespace ito::apps
