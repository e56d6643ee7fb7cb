// `ito likelihood --bound` and `--line`: the variational bound with its rate-distortion curve, and
// differences of log densities. Not the bits per dimension of the flow (apps/likelihood.cpp).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/bound.h"
#include "api/measured_images.h"
#include "api/measuring.h"
#include "api/ode_solver.h"
#include "apps/command.h"
#include "apps/data_options.h"
#include "apps/open_model.h"
#include "io/json.h"

namespace ito::apps {

// What the modes of `ito likelihood` share.
struct LikelihoodInput {
  DeviceChoice device;
  VariantChoice variant;
  ImageSource source;  // --data, --split, --model and how data are read
  std::string table;
  DataOptions data_options;
  std::optional<int64_t> first = {};  // left out: `num` are drawn
  int64_t num = 64;
  bool json = false;
};

// Whether --table may be written: its ending; and, before anything is measured, what is there.
Status check_table_name(const LikelihoodInput& input);
Status check_table_place(const LikelihoodInput& input);
// Says on standard error what was read.
ImageNotes print_images();
// --first as --json has it: null where the images are drawn.
Json first_json(const LikelihoodInput& input);
// "64 images", or "64 images, drawn from 10000,".
std::string measured_text(const LikelihoodInput& input, size_t images, int64_t of);
// A standard error over images as it is printed; "unknown" of one image.
std::string error_text(double error, size_t images);

struct BoundRequest {
  bool wanted = false;
  BoundSettings settings;
  std::string variance, cdf = "tanh", picture;
};
// Adds --bound and its options.
void add_bound_options(CLI::App& app, BoundRequest& request);
// Errors too: an option of the bound without it, or of the flow with it.
Status check_bound(const CLI::App& app, BoundRequest& request);
Status run_bound(const LikelihoodInput& input, const BoundRequest& request);

struct LineRequest {
  std::vector<std::string> ends;  // empty, or two data sets or pictures
  std::string label;              // --class, a name or number; empty: each image's own
  OdeOptions ode;
  int64_t max_evaluations = 10'000;
};
void add_line_options(CLI::App& app, LineRequest& request);
Status run_line(const LikelihoodInput& input, const LineRequest& request);

}  // namespace ito::apps
