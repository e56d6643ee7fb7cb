// SampleControl: what steers a sampling run besides model and method: a noise-conditional
// classifier that guides it to a class, and an observation that every image has to agree with. The
// functions here put it into a session's programs and memory; a null control changes nothing.
// Not the mathematics (diffusion/guidance.h, diffusion/constraint.h).
#pragma once

#include <optional>
#include <vector>

#include "api/noisy_classifier.h"
#include "diffusion/constraint.h"
#include "diffusion/diffusion_model.h"
#include "runtime/executor.h"

namespace ito {

struct ClassGuidance {
  Model classifier;  // load_noisy_classifier
  // Its number of each class of the model; empty: they are the same.
  std::vector<uint32_t> classes = {};
  double scale = 1;
};

struct Observation {
  Measurement measurement;
  std::vector<float> y;  // [measurement.observation()]
  double noise_std = 0;
  bool limit_colours = false;  // at the end, colours_in_range: for an observed luminance
};

struct SampleControl {
  std::optional<ClassGuidance> guidance;
  std::optional<Observation> observation;
};

// Errors: a classifier of images of another size or channels than shape [n,h,w,c], or of other
// classes than the model's (model_classes; 0: it has none); a scale or a noise that is no number in
// range; an observation of other images than shape, or of a wrong size or not finite.
Status check_control(const SampleControl& control, const Shape& shape, int model_classes);

// Guides the model, and the constraint of the observation (empty without) on it. The graphs have
// further inputs: the labels (batch_ports::kLabels) and those of bind_control. `control` must
// outlive them. levels_known: the method knows the level of x itself (Method::level); otherwise it
// is that of the model's SDE. Errors: a model that has none.
void guide(const SampleControl* control, DiffusionModel& model);
Result<Constraint> constraint_of(const SampleControl* control, const DiffusionModel& model,
                                 bool levels_known);

// Fills the inputs of a step's executor that belong to the control.
Status bind_control(vk::Device& device, Executor& step, const SampleControl* control);

}  // namespace ito
