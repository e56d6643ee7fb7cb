// What a file of tensors holds for one evaluation of a model: which of them the model is told, and
// whether they have the shapes and types for it, said without a device. Not for the evaluation
// (api/forward.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/model.h"
#include "io/host_tensor.h"

namespace ito {

namespace forward_input {
inline constexpr const char *kSample = "sample", *kTimestep = "timestep", *kLatent = "latent",
                            *kTarget = "target";
inline constexpr ConditioningNames kConditioning = {.classes = "class_labels",
                                                    .context = "encoder_hidden_states",
                                                    .guidance = "timestep_cond",
                                                    .latent = kLatent};
}  // namespace forward_input

// Whether forward() can be given the tensors: those that it documents are there, of their shapes,
// integers where they are classes below the model's number and else floating (a timestep: any
// numbers), and none that the model has no use for. Errors name `where` and the tensor:
// kInvalidArgument; kUnsupported for a type that is not read.
Status check_forward_inputs(const Model& model, const TensorFile& inputs, bool gradients,
                            std::string_view where);

// The tensors by other names, which forward() does not look at; without gradients also the target.
std::vector<std::string> unused_forward_inputs(const TensorFile& inputs, bool gradients);

// The states of the file's context; 0 without.
int64_t context_length_of(const TensorFile& inputs);

}  // namespace ito
