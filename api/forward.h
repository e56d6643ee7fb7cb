// One evaluation of a model on tensors given in a file, and its gradients: what comparing with
// PyTorch takes. Tensors are in PyTorch's layout (NCHW) outside. Not for sampling.
#pragma once

#include <string_view>

#include "api/model.h"
#include "graph/plan.h"
#include "io/host_tensor.h"
#include "runtime/executor.h"

namespace ito {

// Inputs: "sample" [n,c,h,w]; "timestep" [n] or [], any number type, where the network is told the
// time; where it is told them "class_labels" (integers [n], or numbers [n] or [n,e] where its
// class_embed_type says so), "encoder_hidden_states" [n,l,d], "timestep_cond" [n,d] and "latent"
// [n,d]; with `gradients` also "target", shaped as the output.
// Outputs: "out" [n,c,h,w] (or [n,c] where the output is no image); with `gradients` also "loss"
// [], the mean of (out - target)², its gradients "d_sample" and "grad.<parameter>". Errors:
// kInvalidArgument naming `where` and the tensor that is missing, too many or of a wrong shape or
// type. `multiply`: as Program::multiply; all but f32 are kUnsupported with gradients, which would
// need their loss scaled, and of an autoencoder.
// Without a device check_forward has the same errors.
Status check_forward(const Model& model, const TensorFile& inputs, bool gradients,
                     std::string_view where, DType multiply = DType::kF32);
Result<TensorFile> forward(vk::Device& device, const Model& model, const TensorFile& inputs,
                           bool gradients, std::string_view where, DType multiply = DType::kF32);

// Whether a file holds tensors as forward() gives them: an "out", or of an autoencoder "moments" or
// "decoded", without the "sample" of inputs.
bool is_forward_output(const Path& path);

// The output of forward_plan, as of forward().
inline constexpr const char* kForwardOutput = "out";
// The plan that forward() runs for samples of this shape [n,h,w,c], with contexts of that many
// states.
Result<Plan> forward_plan(const Network& network, const Shape& shape, int64_t context_length,
                          bool gradients, const DeviceCaps& caps, DType multiply = DType::kF32);

}  // namespace ito
