// The options that say how a data set is read: --resize and what goes with it. Shared by the
// commands that take --data; what they do is io/dataset.h.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "io/dataset.h"

namespace ito::apps {

struct DataOptions {
  std::string resize, crop = "center", background = "white", labels = "auto", range = "auto", cache;
  std::optional<double> memory;  // GB
  bool pad = false;
};

// `training`: images are drawn again and again, which --crop random is for.
void add_data_options(CLI::App& app, DataOptions& options, bool training = false);
// Errors kInvalidArgument naming the option.
Result<DatasetOptions> dataset_options(const DataOptions& options, const CLI::App& app,
                                       bool training = false);
// Whether any of them was given.
bool data_options_given(const CLI::App& app);

// --background, for commands that read single pictures.
void add_background_option(CLI::App& app, Background& background);

// "32" or "48x32": width and height. Error kInvalidArgument naming the option.
Result<std::array<int, 2>> parse_size(const std::string& text, const std::string& option);

}  // namespace ito::apps
