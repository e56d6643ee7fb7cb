#include "script.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>

namespace view {
namespace {

constexpr char kHelp[] =
    "ito view MODEL|RUN [OPTION VALUE]...: a model draws while one looks, or a run while it "
    "trains.\n"
    "  --sampler NAME     as `ito inspect --list samplers` names them (ddim)\n"
    "  --steps N          (20)\n"
    "  --guidance X       classifier-free guidance (none)\n"
    "  --seed N           (0)\n"
    "  --class N          (0)\n"
    "  --budget-us N      of the device's time in each frame (4000)\n"
    "  --cache FOLDER     for compiled shaders (none is kept)\n"
    "  --size WxH         of the window (1100x640)\n"
    "Done in this order, each when the one before is:\n"
    "  --do frames=N      shows N frames\n"
    "  --do wait          until the image is finished\n"
    "  --do seed=N  class=N  steps=N  sampler=NAME  guidance=X   as by the sliders\n"
    "  --do look=N        at step N of the way\n"
    "  --do weights       waits for newer weights of the run, and for their image\n"
    "  --do file=PATH     waits until there is such a file\n"
    "  --do compare=PNG   fails unless the finished image is that of the file, byte for byte\n"
    "  --do shot=PNG      writes what the window shows\n"
    "  --do quit\n"
    "  --frames N --screenshot PNG   short for these: frames=N, shot=PNG, quit\n";

[[noreturn]] void wrong(const std::string& option, const std::string& value) {
  std::fprintf(stderr, "ito-view: %s %s is not understood; see --help\n", option.c_str(),
               value.c_str());
  std::exit(2);
}

Action action(const std::string& text) {
  static const std::set<std::string> kPlain = {"wait", "weights", "quit"};
  static const std::set<std::string> kNumbers = {"frames", "seed",     "class",
                                                 "steps",  "guidance", "look"};
  static const std::set<std::string> kTexts = {"sampler", "compare", "shot", "file"};
  const size_t equals = text.find('=');
  const bool has_value = equals != std::string::npos;
  const Action result = {text.substr(0, equals), has_value ? text.substr(equals + 1) : ""};
  if (!(has_value ? kNumbers.contains(result.name) || kTexts.contains(result.name)
                  : kPlain.contains(result.name)))
    wrong("--do", text);
  if (kNumbers.contains(result.name)) number(result.name, result.value);
  return result;
}

}  // namespace

double number(const std::string& name, const std::string& value) {
  char* end = nullptr;
  const double result = std::strtod(value.c_str(), &end);
  if (value.empty() || *end != 0 || !(result >= 0 && result <= 2147483647)) wrong(name, value);
  return result;
}

Options read_options(int count, char** arguments) {
  Options options;
  options.sampler = "ddim";
  options.steps = 20;
  for (int i = 1; i < count; ++i) {
    const std::string name = arguments[i];
    if (name == "--help") {
      std::fputs(kHelp, stdout);
      std::exit(0);
    }
    if (name[0] != '-' && options.folder.empty()) {
      options.folder = name;
      continue;
    }
    if (i + 1 == count) wrong(name, "without a value");
    const std::string value = arguments[++i];
    const auto integer = [&] { return static_cast<int>(number(name, value)); };
    if (name == "--sampler")
      options.sampler = value;
    else if (name == "--steps")
      options.steps = integer();
    else if (name == "--guidance")
      options.guidance = number(name, value);
    else if (name == "--seed")
      options.seed = integer();
    else if (name == "--class")
      options.class_index = integer();
    else if (name == "--budget-us")
      options.budget_us = integer();
    else if (name == "--cache")
      options.cache = value;
    else if (name == "--do")
      options.actions.push_back(action(value));
    else if (name == "--frames")
      options.actions.push_back(action("frames=" + value));
    else if (name == "--screenshot") {
      options.actions.push_back(action("shot=" + value));
      options.actions.push_back(action("quit"));
    } else if (name == "--size") {
      char after = 0;
      if (std::sscanf(value.c_str(), "%dx%d%c", &options.width, &options.height, &after) != 2 ||
          options.width < 320 || options.height < 240 || options.width > 8192 ||
          options.height > 8192)
        wrong(name, value);
    } else {
      wrong(name, value);
    }
  }
  if (options.folder.empty()) wrong("a command line", "without MODEL or RUN");
  if (options.steps < 1 || options.steps > 200) wrong("--steps", std::to_string(options.steps));
  return options;
}

}  // namespace view
