// The noise-conditional classifier as a thing to keep in a folder and to guide with. Not its
// network (nn/noisy_classifier.h), not its training (api/objectives/) and not guidance itself
// (diffusion/guidance.h).
#pragma once

#include <cstdint>
#include <vector>

#include "api/model.h"
#include "diffusion/guidance.h"
#include "io/file.h"

namespace ito {

// load_model, and an error where it is another network than nn/networks.h's "noisy_classifier".
Result<Model> load_noisy_classifier(const Path& folder);

// log p(labels | x_t) for guidance, with the weights in the input kGuidanceWeights f32
// [set().size()]; labels u32 [n]. `marginal` says how noisy x_t is: any process will do, whatever
// the classifier was trained on. `classes`: the classifier's number of each label, as many as there
// are labels; empty: the same. CHECK: `classifier` is a noise-conditional one.
inline constexpr const char* kGuidanceWeights = "guidance_params";
LogProbability class_log_probability(const Network& classifier, MarginalFunction marginal,
                                     Tensor labels, const std::vector<uint32_t>& classes = {});

}  // namespace ito
