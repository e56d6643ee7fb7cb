// What ito-view is told on its command line: a folder, and a list of actions in the order in which
// they are done, so that a session can be played without hands.
#pragma once

#include <string>
#include <vector>

namespace view {

struct Action {
  std::string name, value;
};

struct Options {
  std::string folder, cache;
  std::string sampler;
  int steps = 0, seed = 0, class_index = 0;
  double guidance = 0;
  int budget_us = 4000;
  int width = 1100, height = 640;
  std::vector<Action> actions;
};

// Ends the program where they make no sense, and after --help.
Options read_options(int count, char** arguments);

// The number that an option or action has. Ends the program where it is none.
double number(const std::string& name, const std::string& value);

}  // namespace view
