#include "api/forward.h"

#include <string>
#include <utility>
#include <vector>

#include "api/autoencoder.h"
#include "api/device_weights.h"
#include "base/error.h"
#include "graph/builder.h"
#include "graph/compile.h"
#include "io/layout.h"
#include "nn/train_step.h"

namespace ito {
namespace {

constexpr const char* kSampleInput = "sample";
constexpr const char* kTimestepInput = "timestep";
constexpr ConditioningNames kNames = {.classes = "class_labels",
                                      .context = "encoder_hidden_states",
                                      .guidance = "timestep_cond",
                                      .latent = "latent"};
constexpr const char* kTarget = "target";
constexpr const char* kGradient = "gradient";

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
  ITO_ASSIGN(const std::vector<int64_t> values, to_int64(tensor, kNames.classes));
  if (tensor.shape != Shape{n})
    return invalid_argument("{}: tensor '{}' has shape {}, expected [{}]", where, kNames.classes,
                            tensor.shape.to_string(), n);
  for (int64_t value : values) {
    if (value < 0 || value >= classes)
      return invalid_argument("{}: tensor '{}' has class {}, expected 0 to {}", where,
                              kNames.classes, value, classes - 1);
  }
  return std::vector<uint32_t>(values.begin(), values.end());
}

// Checks one of the file's conditioning tensors against the input the network has for it (`wanted`
// false: none) and puts it into the executor.
Status write_conditioning(Executor& executor, const TensorFile& inputs, const char* name,
                          bool wanted, const Shape& expected, std::string_view where) {
  if (!wanted) {
    if (inputs.tensors.count(name) == 0) return {};
    return invalid_argument("{}: tensor '{}' was given, but the model has no use for it", where,
                            name);
  }
  ITO_ASSIGN(const HostTensor* tensor, require(inputs, name, where));
  if (tensor->shape != expected)
    return invalid_argument("{}: tensor '{}' has shape {}, expected {}", where, name,
                            tensor->shape.to_string(), expected.to_string());
  return executor.write(name, to_floats(*tensor));
}

Status write_classes(Executor& executor, const ClassInput& classes, const TensorFile& inputs,
                     int64_t n, std::string_view where) {
  if (classes.classes() > 0) {
    ITO_ASSIGN(const HostTensor* labels, require(inputs, kNames.classes, where));
    ITO_ASSIGN(const std::vector<uint32_t> values,
               read_labels(*labels, n, classes.classes(), where));
    return executor.write(kNames.classes, values);
  }
  return write_conditioning(executor, inputs, kNames.classes, classes.told(), classes.shape(n),
                            where);
}

Status write_conditionings(Executor& executor, const Signature& signature, const TensorFile& inputs,
                           int64_t n, int64_t context_length, std::string_view where) {
  ITO_TRY(write_classes(executor, signature.classes, inputs, n, where));
  ITO_TRY(write_conditioning(executor, inputs, kNames.context, signature.context > 0,
                             {n, context_length, signature.context}, where));
  ITO_TRY(write_conditioning(executor, inputs, kNames.guidance, signature.guidance > 0,
                             {n, signature.guidance}, where));
  return write_conditioning(executor, inputs, kNames.latent, signature.latent > 0,
                            {n, signature.latent}, where);
}

// The states of the file's context; 0 without.
int64_t context_length_of(const TensorFile& inputs) {
  const auto found = inputs.tensors.find(kNames.context);
  if (found == inputs.tensors.end() || found->second.shape.rank() != 3) return 0;
  return found->second.shape[1];
}

Program forward_program(const Network& network, const Shape& shape, bool gradients) {
  Program program;
  program.name = gradients ? "forward_gradient" : "forward";
  Graph& graph = *program.graph;
  const Signature& signature = network.signature();
  const FlatTensors flat = flat_inputs(graph, state_name::kParameters, network.set());
  const Tensor sample = input(graph, kSampleInput, shape);
  const Conditioning conditioning = conditioning_inputs(graph, signature, shape[0], kNames);
  Tensor timestep;
  if (signature.told_time()) timestep = input(graph, kTimestepInput, {shape[0]});
  const Tensor out = network.build(flat, sample, timestep, conditioning);
  program.output("out", out);
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
Result<std::vector<float>> read_times(const TensorFile& inputs, int64_t n, std::string_view where) {
  ITO_ASSIGN(const HostTensor* timestep, require(inputs, kTimestepInput, where));
  std::vector<float> t = to_floats(*timestep);
  if (t.size() == 1) t.resize(static_cast<size_t>(n), t[0]);
  if (static_cast<int64_t>(t.size()) == n) return t;
  return invalid_argument("{}: tensor '{}' has shape {}, expected [{}] or []", where,
                          kTimestepInput, timestep->shape.to_string(), n);
}

// PyTorch's shape of a tensor of ours: channels first where it is an image.
Shape foreign_shape(const Shape& ours) {
  return ours.rank() == 4 ? Shape{ours[0], ours[3], ours[1], ours[2]} : ours;
}
std::vector<float> foreign_values(const std::vector<float>& values, const Shape& ours) {
  return ours.rank() == 4 ? nhwc_to_nchw(values, ours) : values;
}

}  // namespace

Result<Plan> forward_plan(const Network& network, const Shape& shape, int64_t context_length,
                          bool gradients, const DeviceCaps& caps, DType multiply) {
  if (gradients && multiply != DType::kF32)
    return unsupported("gradients are computed in fp32 alone: --grad takes no other --precision");
  ITO_ASSIGN(const Network on_device, network.for_device(caps));
  Program program = forward_program(on_device.with_context(context_length), shape, gradients);
  program.multiply = multiply;
  return compile(program, caps);
}

Result<TensorFile> forward(vk::Device& device, const Model& model, const TensorFile& inputs,
                           bool gradients, std::string_view where, DType multiply) {
  ITO_ASSIGN(const Network network, model.network.for_device(device.caps()));
  if (network.autoencoder() != nullptr) {
    if (multiply != DType::kF32)
      return unsupported("autoencoders are computed in fp32 alone, give no other --precision");
    if (gradients) return unsupported("gradients of an autoencoder are not computed here");
    return forward_autoencoder(device, model, inputs, where);
  }
  const Signature& signature = network.signature();
  ITO_ASSIGN(const HostTensor* sample, require(inputs, kSampleInput, where));
  const Shape nchw = sample->shape;
  if (nchw.rank() != 4 || nchw[0] < 1 || nchw[1] != signature.in_channels)
    return invalid_argument("{}: tensor '{}' has shape {}, expected [n,{},h,w]", where,
                            kSampleInput, nchw.to_string(), signature.in_channels);
  const int64_t n = nchw[0];
  const Shape shape{n, nchw[2], nchw[3], nchw[1]};
  ITO_TRY(network.check_size(shape[1], shape[2]));
  const int64_t context_length = context_length_of(inputs);
  if (signature.context > 0 && context_length < 1) {
    ITO_TRY(require(inputs, kNames.context, where));
    return invalid_argument("{}: tensor '{}' has shape {}, expected [{},length,{}]", where,
                            kNames.context, inputs.tensors.at(kNames.context).shape.to_string(), n,
                            signature.context);
  }

  ITO_ASSIGN(Plan plan,
             forward_plan(network, shape, context_length, gradients, device.caps(), multiply));
  ITO_ASSIGN(auto executor, Executor::create(device, std::move(plan)));
  ITO_ASSIGN(const DeviceWeights weights,
             DeviceWeights::upload(device, network.set(), model.weights));
  ITO_TRY(weights.bind(*executor));
  ITO_TRY(executor->write(kSampleInput, nchw_to_nhwc(to_floats(*sample), nchw)));
  if (signature.told_time()) {
    ITO_ASSIGN(const std::vector<float> t, read_times(inputs, n, where));
    ITO_TRY(executor->write(kTimestepInput, t));
  }
  ITO_TRY(write_conditionings(*executor, signature, inputs, n, context_length, where));
  const Shape out_shape = signature.image_out ? Shape{n, nchw[2], nchw[3], signature.out_channels}
                                              : Shape{n, signature.out_channels};
  const Shape out_foreign = foreign_shape(out_shape);
  if (gradients) {
    ITO_ASSIGN(const HostTensor* target, require(inputs, kTarget, where));
    if (target->shape != out_foreign)
      return invalid_argument("{}: tensor '{}' has shape {}, expected {}", where, kTarget,
                              target->shape.to_string(), out_foreign.to_string());
    const std::vector<float> values = to_floats(*target);
    ITO_TRY(
        executor->write(kTarget, signature.image_out ? nchw_to_nhwc(values, out_foreign) : values));
  }

  ITO_TRY(executor->run());
  TensorFile outputs;
  ITO_ASSIGN(const std::vector<float> out, executor->read<float>("out"));
  outputs.tensors.emplace("out", tensor_from_floats(out_foreign, foreign_values(out, out_shape)));
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
