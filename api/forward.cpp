#include "api/forward.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "api/autoencoder.h"
#include "api/device_weights.h"
#include "api/forward_inputs.h"
#include "base/error.h"
#include "graph/builder.h"
#include "graph/compile.h"
#include "io/layout.h"
#include "io/safetensors.h"
#include "nn/train_step.h"

namespace ito {
namespace {

using forward_input::kSample, forward_input::kTimestep, forward_input::kTarget;
constexpr const char* kGradient = "gradient";
// Of a network; of an autoencoder (api/autoencoder.cpp).
constexpr const char* kOutputNames[] = {kForwardOutput, "moments", "decoded"};

// Of inputs that check_forward_inputs has looked at.
Status write_conditionings(Executor& executor, const Signature& signature,
                           const TensorFile& inputs) {
  const ConditioningNames& names = forward_input::kConditioning;
  if (signature.classes.classes() > 0) {
    ITO_ASSIGN(const std::vector<int64_t> labels,
               to_int64(inputs.tensors.at(names.classes), names.classes));
    ITO_TRY(executor.write(names.classes, std::vector<uint32_t>(labels.begin(), labels.end())));
  }
  const std::pair<const char*, bool> numbers[] = {
      {names.classes, signature.classes.told() && signature.classes.classes() == 0},
      {names.context, signature.context > 0},
      {names.guidance, signature.guidance > 0},
      {names.latent, signature.latent > 0}};
  for (const auto& [name, told] : numbers)
    if (told) ITO_TRY(executor.write(name, to_floats(inputs.tensors.at(name))));
  return {};
}

Program forward_program(const Network& network, const Shape& shape, bool gradients) {
  Program program;
  program.name = gradients ? "forward_gradient" : "forward";
  Graph& graph = *program.graph;
  const Signature& signature = network.signature();
  const FlatTensors flat = flat_inputs(graph, state_name::kParameters, network.set());
  const Tensor sample = input(graph, kSample, shape);
  const Conditioning conditioning =
      conditioning_inputs(graph, signature, shape[0], forward_input::kConditioning);
  Tensor timestep;
  if (signature.told_time()) timestep = input(graph, kTimestep, {shape[0]});
  const Tensor out = network.build(flat, sample, timestep, conditioning);
  program.output(kForwardOutput, out);
  if (!gradients) return program;
  const Tensor loss = mean_all(square(out - input(graph, kTarget, out.shape())));
  program.output("loss", loss);
  program.output("d_sample", grad(loss, {sample})[0]);
  const FlatTensors gradient = flat_gradient(network.set(), flat, loss);
  for (size_t k = 0; k < gradient.size(); ++k)
    program.output(segment_name(kGradient, k, gradient.size()), gradient[k]);
  return program;
}

// One time per sample.
std::vector<float> times_of(const TensorFile& inputs, int64_t n) {
  std::vector<float> t = to_floats(inputs.tensors.at(kTimestep));
  if (t.size() == 1) t.resize(static_cast<size_t>(n), t[0]);
  return t;
}

// PyTorch's shape of a tensor of ours: channels first where it is an image.
Shape foreign_shape(const Shape& ours) {
  return ours.rank() == 4 ? Shape{ours[0], ours[3], ours[1], ours[2]} : ours;
}
std::vector<float> foreign_values(const std::vector<float>& values, const Shape& ours) {
  return ours.rank() == 4 ? nhwc_to_nchw(values, ours) : values;
}

Status check_precision(bool gradients, DType multiply) {
  if (!gradients || multiply == DType::kF32) return {};
  return unsupported("gradients are computed in fp32 alone: --grad takes no other --precision");
}

}  // namespace

Status check_forward(const Model& model, const TensorFile& inputs, bool gradients,
                     std::string_view where, DType multiply) {
  if (model.network.autoencoder() != nullptr) {
    if (multiply != DType::kF32)
      return unsupported("autoencoders are computed in fp32 alone, give no other --precision");
    if (gradients) return unsupported("gradients of an autoencoder are not computed here");
  } else {
    ITO_TRY(check_precision(gradients, multiply));
  }
  return check_forward_inputs(model, inputs, gradients, where);
}

bool is_forward_output(const Path& path) {
  const auto file = read_safetensors(path);
  if (!file.ok() || file->tensors.contains(kSample)) return false;
  return std::any_of(std::begin(kOutputNames), std::end(kOutputNames),
                     [&](const char* name) { return file->tensors.contains(name); });
}

Result<Plan> forward_plan(const Network& network, const Shape& shape, int64_t context_length,
                          bool gradients, const DeviceCaps& caps, DType multiply) {
  ITO_TRY(check_precision(gradients, multiply));
  ITO_ASSIGN(const Network on_device, network.for_device(caps));
  Program program = forward_program(on_device.with_context(context_length), shape, gradients);
  program.multiply = multiply;
  return compile(program, caps);
}

Result<TensorFile> forward(vk::Device& device, const Model& model, const TensorFile& inputs,
                           bool gradients, std::string_view where, DType multiply) {
  ITO_TRY(check_forward(model, inputs, gradients, where, multiply));
  ITO_ASSIGN(const Network network, model.network.for_device(device.caps()));
  if (network.autoencoder() != nullptr) return forward_autoencoder(device, model, inputs);
  const Signature& signature = network.signature();
  const HostTensor& sample = inputs.tensors.at(kSample);
  const Shape nchw = sample.shape;
  const int64_t n = nchw[0];
  const Shape shape{n, nchw[2], nchw[3], nchw[1]};
  const int64_t context_length = context_length_of(inputs);

  ITO_ASSIGN(Plan plan,
             forward_plan(network, shape, context_length, gradients, device.caps(), multiply));
  ITO_ASSIGN(auto executor, Executor::create(device, std::move(plan)));
  ITO_ASSIGN(const DeviceWeights weights,
             DeviceWeights::upload(device, network.set(), model.weights));
  ITO_TRY(weights.bind(*executor));
  ITO_TRY(executor->write(kSample, nchw_to_nhwc(to_floats(sample), nchw)));
  if (signature.told_time()) ITO_TRY(executor->write(kTimestep, times_of(inputs, n)));
  ITO_TRY(write_conditionings(*executor, signature, inputs));
  const Shape out_shape = signature.image_out ? Shape{n, nchw[2], nchw[3], signature.out_channels}
                                              : Shape{n, signature.out_channels};
  const Shape out_foreign = foreign_shape(out_shape);
  if (gradients) {
    const std::vector<float> values = to_floats(inputs.tensors.at(kTarget));
    ITO_TRY(
        executor->write(kTarget, signature.image_out ? nchw_to_nhwc(values, out_foreign) : values));
  }

  ITO_TRY(executor->run());
  TensorFile outputs;
  ITO_ASSIGN(const std::vector<float> out, executor->read<float>(kForwardOutput));
  outputs.tensors.emplace(kForwardOutput,
                          tensor_from_floats(out_foreign, foreign_values(out, out_shape)));
  if (!gradients) return outputs;
  ITO_ASSIGN(const std::vector<float> loss, executor->read<float>("loss"));
  ITO_ASSIGN(const std::vector<float> d_sample, executor->read<float>("d_sample"));
  std::vector<float> gradient;
  const size_t segments = network.set().segments().size();
  for (size_t k = 0; k < segments; ++k) {
    ITO_ASSIGN(const std::vector<float> part,
               executor->read<float>(segment_name(kGradient, k, segments)));
    gradient.insert(gradient.end(), part.begin(), part.end());
  }
  outputs.tensors.emplace("loss", tensor_from_floats(Shape{}, loss));
  outputs.tensors.emplace("d_sample", tensor_from_floats(nchw, nhwc_to_nchw(d_sample, shape)));
  for (const auto& [name, tensor] : unpack_parameters(network.set(), gradient))
    outputs.tensors.emplace("grad." + name, tensor_from_floats(tensor.shape, tensor.data));
  return outputs;
}

}  // namespace ito
