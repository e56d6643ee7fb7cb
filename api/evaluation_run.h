// EvaluationJob: one call of `ito evaluate` as a value, and the loop that does it: every model by
// every sampler, rows that are there already taken over, the table written after each. Not for a
// row's numbers (api/evaluation.h) nor for its form (api/evaluation_table.h).
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "api/device.h"
#include "api/evaluation_table.h"
#include "api/guidance_choice.h"
#include "api/sampling_loop.h"
#include "base/result.h"
#include "io/dataset.h"

namespace ito {

struct EvaluatedSampler {
  std::string name;  // as the table calls it
  SampleOptions options;
  GuidanceChoice guidance = {};
};

struct EvaluationJob {
  std::vector<std::pair<std::string, Path>> models;  // a name and a folder
  std::vector<EvaluatedSampler> samplers;
  // Of the models' weights, where they have several; and of the judges', where they have it.
  std::string variant = {};
  Path classifier, features;  // folders; one of them may be empty
  Path data;
  Path held_out = {};  // a run: the images that it held out of `data` take the test part's place
  DatasetOptions dataset = {};
  int64_t samples = 1000, reference = 10'000;  // per row; test images
  int64_t likelihoods = 0;                     // test images whose bits/dim are measured per model
  double tolerance = 1e-4;                     // of their integration, relative and absolute
  EvaluatorOptions judging = {};               // with the ranks; the first of them has the table
  Path out;                                    // the Markdown
};

struct EvaluationObserver {
  std::function<void(const std::string&)> progress;  // a line that the next one replaces
  std::function<void(const std::string&)> note;      // a line that stays
  std::function<bool()> stop;                        // whether to end before the next step
};

// The table's rows and text. A sampler that a model does not take is a row with the reason. Errors:
// of the data, models and device; kInterrupted, after which the same job goes on from the table.
struct EvaluationResult {
  Json rows;
  std::string text;
};
Result<EvaluationResult> run_evaluation(const DeviceOpener& open_device, const EvaluationJob& job,
                                        const EvaluationObserver& observer);

}  // namespace ito
