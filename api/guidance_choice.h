// GuidanceChoice: guidance as a command line asks for it, and what it comes to for one model: a
// number that its network is told, classifier-free guidance, or a classifier with its number of
// each class. Not the mathematics (diffusion/guidance.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "api/control.h"
#include "api/sampling_loop.h"
#include "base/note.h"
#include "io/class_names.h"

namespace ito {

struct GuidanceChoice {
  std::string classifier = {};              // --guidance-classifier, a folder; empty: none
  std::optional<double> scale = {};         // --guidance-scale
  std::optional<double> rescale = {};       // --guidance-rescale
  std::optional<uint32_t> null_class = {};  // --null-class
  // Of the classifier's gradient.
  double classifier_scale() const { return scale.value_or(1); }
};

// The options with what the model is guided by without a classifier. `names`: of its classes;
// `where`: its folder, for messages. Errors: a model that must be told its scale and is not, or is
// given another guidance; one none of whose classes stands for none and no null_class.
Result<SampleOptions> with_guidance(SampleOptions options, const GuidanceChoice& choice,
                                    const Signature& model, const std::optional<ClassNames>& names,
                                    const std::string& where);

// The classifier, where one is asked for, with its number of each class of the model's, by name
// where both have names. Error kInvalidArgument: a class that it does not know.
Result<std::optional<ClassGuidance>> load_class_guidance(const GuidanceChoice& choice, int classes,
                                                         const std::optional<ClassNames>& names,
                                                         const NoteFunction& note);

// Of the settings that decide an image: what the classifier adds to them.
Json guidance_settings(const std::optional<ClassGuidance>& guidance);

}  // namespace ito
