// Differences of log-density along straight lines between images, by integrating a model's score:
// which pairs of images, and the integral. What is integrated: line_system of
// diffusion/likelihood.h. Not for printing (apps).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/flow.h"
#include "io/dataset.h"
#include "statistics/mean.h"

namespace ito {

// Pairs of images as the model's score takes them.
struct ImagePairs {
  std::vector<float> from, to;   // [count, h, w, c]
  std::vector<uint32_t> labels;  // [count] of a model with classes, else empty
  int64_t count = 0;
};

// One end of all lines, and what it is called in messages.
struct LineEnd {
  std::string name;
  ImageDataset data;  // of the model's size and channels
};

// Image first, first + 1, … of each end, `num` of them if there are as many. `label`: the class
// that all densities are conditional on, if the model has classes; else that of the images
// themselves. Errors: fewer images in one end than in the other, classes that differ.
Result<ImagePairs> pairs_of(const LineEnd& from, const LineEnd& to, const ModelFlow& model,
                            std::optional<uint32_t> label, int64_t first, int64_t num);

// ln p_t(to) - ln p_t(from) in nats, and how far the integral that it is may be off: nothing in it
// is drawn, so it has no sampling error. Integrated back from `to` it has other points, which the
// adaptive steps choose from that end, and what the two differ by is their error to a factor of
// about two. (What the two orders of each step differ by is not: steps are accepted by it, and the
// sum was too small by a factor of ten and more.)
struct LogDensityDifference {
  double value = 0;
  double integration_error = 0;  // what the way back differs by, and at least f32's rounding
  uint32_t points = 0;           // of the line, at which the score was evaluated, both ways
};

// Of each pair; t is a time of the flow, flow.start for the data. Compiles a program for as many
// pairs. Errors: numbers that are no pairs of images, labels that do not fit, a time outside the
// flow, those of OdeSolver::solve.
Result<std::vector<LogDensityDifference>> log_density_differences(
    vk::Device& device, const ModelFlow& model, const ImagePairs& pairs, double time,
    const OdeOptions& options = {}, int64_t max_evaluations = 10'000);

// Over lines.
struct LineSummary {
  MeanAndError difference;       // no error of a single line
  double integration_error = 0;  // mean size
  uint32_t points = 0;           // of the line that took the most
};
LineSummary summarise(std::span<const LogDensityDifference> lines);

}  // namespace ito
