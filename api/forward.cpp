#include "api/forward.h"

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "graph/builder.h"
#include "graph/compile.h"
#include "io/layout.h"
#include "nn/train_step.h"
#include "nn/unet2d.h"

namespace ito {
namespace {

constexpr const char* kSample = "sample";
constexpr const char* kTimestep = "timestep";
constexpr const char* kLabels = "class_labels";
constexpr const char* kTarget = "target";

// Error kInvalidArgument naming `where` if the tensor is missing.
Result<const HostTensor*> require(const TensorFile& file, const char* name,
                                  std::string_view where) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end())
    return invalid_argument("{}: tensor '{}' is missing", where, name);
  return &found->second;
}

Result<std::vector<uint32_t>> read_labels(const HostTensor& tensor, int64_t n, int classes,
                                          std::string_view where) {
  ITO_ASSIGN(const std::vector<int64_t> values, to_int64(tensor, kLabels));
  if (tensor.shape != Shape{n})
    return invalid_argument("{}: tensor '{}' has shape {}, expected [{}]", where, kLabels,
                            tensor.shape.to_string(), n);
  for (int64_t value : values) {
    if (value < 0 || value >= classes)
      return invalid_argument("{}: tensor '{}' has class {}, expected 0 to {}", where, kLabels,
                              value, classes - 1);
  }
  return std::vector<uint32_t>(values.begin(), values.end());
}

// Shape of the input "class_labels" of n images: indices of a class table, times, or embeddings.
Shape label_shape(const UNet2DConfig& unet, int64_t n) {
  if (unet.class_embed_type != "identity") return {n};
  return {n, unet.time_embedding_dim.value_or(4 * unet.block_out_channels[0])};
}

bool has_labels(const UNet2DConfig& unet) {
  return unet.class_embed_type.has_value() || unet.num_class_embeds.has_value();
}

// Checks the file's labels and puts them into the executor.
Status write_labels(Executor& executor, const UNet2DConfig& unet, const TensorFile& inputs,
                    int64_t n, std::string_view where) {
  if (!has_labels(unet)) {
    if (inputs.tensors.count(kLabels) == 0) return {};
    return invalid_argument("{}: tensor '{}' was given, but the model has no classes", where,
                            kLabels);
  }
  ITO_ASSIGN(const HostTensor* labels, require(inputs, kLabels, where));
  if (!unet.class_embed_type) {
    ITO_ASSIGN(const std::vector<uint32_t> values,
               read_labels(*labels, n, *unet.num_class_embeds, where));
    return executor.write(kLabels, values);
  }
  const Shape expected = label_shape(unet, n);
  if (labels->shape != expected)
    return invalid_argument("{}: tensor '{}' has shape {}, expected {}", where, kLabels,
                            labels->shape.to_string(), expected.to_string());
  return executor.write(kLabels, to_floats(*labels));
}

Program forward_program(const UNet2DConfig& unet, const ParameterSet& set, const Shape& shape,
                        bool gradients) {
  Program program;
  program.name = gradients ? "forward_gradient" : "forward";
  Graph& graph = *program.graph;
  const Tensor flat = input(graph, state_name::kParameters, {set.size()});
  const Tensor sample = input(graph, kSample, shape);
  Tensor labels;
  if (has_labels(unet))
    labels = input(graph, kLabels, label_shape(unet, shape[0]),
                   unet.class_embed_type ? DType::kF32 : DType::kU32);
  const Tensor out =
      unet2d(Scope(set, flat), unet, sample, input(graph, kTimestep, {shape[0]}), labels);
  program.output("out", out);
  if (!gradients) return program;
  const Tensor loss = mean_all(square(out - input(graph, kTarget, out.shape())));
  program.output("loss", loss);
  program.output("d_sample", grad(loss, {sample})[0]);
  program.output("gradient", flat_gradient(set, flat, loss));
  return program;
}

}  // namespace

Result<Plan> forward_plan(const UNet2DConfig& unet, const ParameterSet& set, const Shape& shape,
                          bool gradients, const DeviceCaps& caps) {
  return compile(forward_program(unet, set, shape, gradients), caps);
}

Result<TensorFile> forward(vk::Device& device, const Model& model, const TensorFile& inputs,
                           bool gradients, std::string_view where) {
  ITO_ASSIGN(const HostTensor* sample, require(inputs, kSample, where));
  const Shape nchw = sample->shape;
  if (nchw.rank() != 4 || nchw[0] < 1 || nchw[1] != model.unet.in_channels)
    return invalid_argument("{}: tensor '{}' has shape {}, expected [n,{},h,w]", where, kSample,
                            nchw.to_string(), model.unet.in_channels);
  const int64_t n = nchw[0];
  const Shape shape{n, nchw[2], nchw[3], nchw[1]};
  ITO_TRY(check_unet2d_size(model.unet, shape[1], shape[2]));

  ITO_ASSIGN(const HostTensor* timestep, require(inputs, kTimestep, where));
  std::vector<float> t = to_floats(*timestep);
  if (t.size() == 1) t.resize(static_cast<size_t>(n), t[0]);
  if (static_cast<int64_t>(t.size()) != n)
    return invalid_argument("{}: tensor '{}' has shape {}, expected [{}] or []", where, kTimestep,
                            timestep->shape.to_string(), n);

  ITO_ASSIGN(Plan plan, forward_plan(model.unet, model.set, shape, gradients, device.caps()));
  ITO_ASSIGN(auto executor, Executor::create(device, std::move(plan)));
  ITO_TRY(executor->write(state_name::kParameters, model.weights));
  ITO_TRY(executor->write(kSample, nchw_to_nhwc(to_floats(*sample), nchw)));
  ITO_TRY(executor->write(kTimestep, t));
  ITO_TRY(write_labels(*executor, model.unet, inputs, n, where));
  const Shape out_nchw{n, model.unet.out_channels, nchw[2], nchw[3]};
  const Shape out_shape{n, nchw[2], nchw[3], model.unet.out_channels};
  if (gradients) {
    ITO_ASSIGN(const HostTensor* target, require(inputs, kTarget, where));
    if (target->shape != out_nchw)
      return invalid_argument("{}: tensor '{}' has shape {}, expected {}", where, kTarget,
                              target->shape.to_string(), out_nchw.to_string());
    ITO_TRY(executor->write(kTarget, nchw_to_nhwc(to_floats(*target), out_nchw)));
  }

  ITO_TRY(executor->run());
  TensorFile outputs;
  ITO_ASSIGN(const std::vector<float> out, executor->read<float>("out"));
  outputs.tensors.emplace("out", tensor_from_floats(out_nchw, nhwc_to_nchw(out, out_shape)));
  if (!gradients) return outputs;
  ITO_ASSIGN(const std::vector<float> loss, executor->read<float>("loss"));
  ITO_ASSIGN(const std::vector<float> d_sample, executor->read<float>("d_sample"));
  ITO_ASSIGN(const std::vector<float> gradient, executor->read<float>("gradient"));
  outputs.tensors.emplace("loss", tensor_from_floats(Shape{}, loss));
  outputs.tensors.emplace("d_sample", tensor_from_floats(nchw, nhwc_to_nchw(d_sample, shape)));
  for (const auto& [name, tensor] : unpack_parameters(model.set, gradient))
    outputs.tensors.emplace("grad." + name, tensor_from_floats(tensor.shape, tensor.data));
  return outputs;
}

}  // namespace ito
