// One evaluation of a model on tensors given in a file, and its gradients: what comparing with
// PyTorch takes. Tensors are in PyTorch's layout (NCHW) outside. Not for sampling.
#pragma once

#include <string_view>

#include "api/model.h"
#include "graph/plan.h"
#include "io/host_tensor.h"
#include "runtime/executor.h"

namespace ito {

// Inputs: "sample" [n,c,h,w]; "timestep" [n] or [], any number type; "class_labels" [n] integers
// where the model has classes; with `gradients` also "target", shaped as the output.
// Outputs: "out" [n,c,h,w]; with `gradients` also "loss" [], the mean of (out - target)², its
// gradients "d_sample" and "grad.<parameter>".
// Errors: kInvalidArgument naming `where` and the tensor that is missing, too many or of a wrong
// shape or type.
Result<TensorFile> forward(vk::Device& device, const Model& model, const TensorFile& inputs,
                           bool gradients, std::string_view where);

// The plan that forward() runs for samples of this shape [n,h,w,c].
Result<Plan> forward_plan(const UNet2DConfig& unet, const ParameterSet& set, const Shape& shape,
                          bool gradients, const DeviceCaps& caps);

}  // namespace ito
