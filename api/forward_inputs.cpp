#include "api/forward_inputs.h"

#include <algorithm>
#include <span>

#include "base/error.h"

namespace ito {
namespace {

using namespace forward_input;

class ForwardCheck {
 public:
  ForwardCheck(const Model& model, const TensorFile& inputs, std::string_view where)
      : network_(model.network), inputs_(inputs), where_(where) {}

  Status run(bool gradients) const;

 private:
  Status autoencoder(const Autoencoder& halves) const;
  Status classes(int64_t n) const;
  Status times(int64_t n) const;
  // A floating tensor of that shape where the model is told it, and none where it is not.
  Status numbers(const char* name, bool told, const Shape& expected) const;
  Result<const HostTensor*> find(const char* name) const;
  Result<const HostTensor*> find_image(const char* name, int64_t channels) const;
  Status check_absent(const char* name) const;
  Error wrong_shape(const char* name, const Shape& found, const std::string& expected) const {
    return invalid_argument("{}: tensor '{}' has shape {}, expected {}", where_, name,
                            found.to_string(), expected);
  }

  const Network& network_;
  const TensorFile& inputs_;
  std::string_view where_;
};

Result<const HostTensor*> ForwardCheck::find(const char* name) const {
  const auto found = inputs_.tensors.find(name);
  if (found != inputs_.tensors.end()) return &found->second;
  if (const auto unread = inputs_.unread.find(name); unread != inputs_.unread.end())
    return unsupported("{}: tensor '{}' is of type {}, which is not read", where_, name,
                       unread->second);
  return invalid_argument("{}: tensor '{}' is missing", where_, name);
}

Status ForwardCheck::check_absent(const char* name) const {
  if (!inputs_.tensors.contains(name) && !inputs_.unread.contains(name)) return {};
  return invalid_argument("{}: tensor '{}' was given, but the model has no use for it", where_,
                          name);
}

Status ForwardCheck::numbers(const char* name, bool told, const Shape& expected) const {
  if (!told) return check_absent(name);
  ITO_ASSIGN(const HostTensor* tensor, find(name));
  if (!is_floating(tensor->type))
    return invalid_argument("{}: tensor '{}' is of type {}, expected floating-point numbers",
                            where_, name, host_type_name(tensor->type));
  if (tensor->shape != expected) return wrong_shape(name, tensor->shape, expected.to_string());
  return {};
}

// [n,channels,h,w] of a size that the network takes.
Result<const HostTensor*> ForwardCheck::find_image(const char* name, int64_t channels) const {
  ITO_ASSIGN(const HostTensor* tensor, find(name));
  const Shape& nchw = tensor->shape;
  if (nchw.rank() != 4 || nchw[1] != channels ||
      std::any_of(nchw.dims().begin(), nchw.dims().end(), [](int64_t d) { return d < 1; }))
    return wrong_shape(name, nchw, fmt::format("[n,{},h,w]", channels));
  ITO_TRY(numbers(name, true, nchw));
  return tensor;
}

Status ForwardCheck::classes(int64_t n) const {
  const char* name = kConditioning.classes;
  const ClassInput& told = network_.signature().classes;
  if (told.classes() == 0) return numbers(name, told.told(), told.shape(n));
  ITO_ASSIGN(const HostTensor* tensor, find(name));
  if (is_floating(tensor->type))
    return invalid_argument(
        "{}: tensor '{}' is of type {}, expected integers, the classes' numbers", where_, name,
        host_type_name(tensor->type));
  if (tensor->shape != Shape{n}) return wrong_shape(name, tensor->shape, fmt::format("[{}]", n));
  ITO_ASSIGN(const std::vector<int64_t> values, to_int64(*tensor, name));
  for (const int64_t value : values)
    if (value < 0 || value >= told.classes())
      return invalid_argument("{}: tensor '{}' has class {}, expected 0 to {}", where_, name, value,
                              told.classes() - 1);
  return {};
}

// One time per sample, or one for all.
Status ForwardCheck::times(int64_t n) const {
  if (!network_.signature().told_time()) return check_absent(kTimestep);
  ITO_ASSIGN(const HostTensor* tensor, find(kTimestep));
  const Shape& shape = tensor->shape;
  if (shape.rank() > 1 || (shape.numel() != n && shape.numel() != 1))
    return wrong_shape(kTimestep, shape, fmt::format("[{}] or []", n));
  return {};
}

Status ForwardCheck::autoencoder(const Autoencoder& halves) const {
  const auto given = [&](const char* name) {
    return inputs_.tensors.contains(name) || inputs_.unread.contains(name);
  };
  if (!given(kSample) && !given(kLatent))
    return invalid_argument("{}: expected a tensor '{}' to encode or '{}' to decode", where_,
                            kSample, kLatent);
  if (given(kSample)) {
    ITO_ASSIGN(const HostTensor* sample, find_image(kSample, network_.signature().in_channels));
    ITO_TRY(network_.check_size(sample->shape[2], sample->shape[3]));
  }
  if (given(kLatent)) ITO_TRY(find_image(kLatent, halves.latent_channels));
  for (const char* name :
       {kTimestep, kConditioning.classes, kConditioning.context, kConditioning.guidance})
    ITO_TRY(check_absent(name));
  return {};
}

Status ForwardCheck::run(bool gradients) const {
  if (const Autoencoder* halves = network_.autoencoder()) return autoencoder(*halves);
  const Signature& signature = network_.signature();
  ITO_ASSIGN(const HostTensor* sample, find_image(kSample, signature.in_channels));
  const Shape& nchw = sample->shape;
  const int64_t n = nchw[0], length = context_length_of(inputs_);
  if (Status status = network_.check_size(nchw[2], nchw[3]); !status.ok())
    return Error{status.error().kind,
                 fmt::format("{}: tensor '{}': {}", where_, kSample, status.error().message)};
  ITO_TRY(times(n));
  ITO_TRY(classes(n));
  const ConditioningNames& names = kConditioning;
  if (signature.context > 0 && length < 1) {
    ITO_ASSIGN(const HostTensor* context, find(names.context));
    return wrong_shape(names.context, context->shape,
                       fmt::format("[{},length,{}]", n, signature.context));
  }
  ITO_TRY(numbers(names.context, signature.context > 0, {n, length, signature.context}));
  ITO_TRY(numbers(names.guidance, signature.guidance > 0, {n, signature.guidance}));
  ITO_TRY(numbers(names.latent, signature.latent > 0, {n, signature.latent}));
  if (!gradients) return {};
  return numbers(kTarget, true,
                 signature.image_out ? Shape{n, signature.out_channels, nchw[2], nchw[3]}
                                     : Shape{n, signature.out_channels});
}

}  // namespace

Status check_forward_inputs(const Model& model, const TensorFile& inputs, bool gradients,
                            std::string_view where) {
  return ForwardCheck(model, inputs, where).run(gradients);
}

std::vector<std::string> unused_forward_inputs(const TensorFile& inputs, bool gradients) {
  std::vector<std::string_view> read = {kSample,
                                        kTimestep,
                                        kLatent,
                                        kConditioning.classes,
                                        kConditioning.context,
                                        kConditioning.guidance};
  if (gradients) read.emplace_back(kTarget);
  std::vector<std::string> unused;
  const auto look = [&](const std::string& name) {
    if (std::find(read.begin(), read.end(), name) == read.end()) unused.push_back(name);
  };
  for (const auto& [name, tensor] : inputs.tensors) look(name);
  for (const auto& [name, type] : inputs.unread) look(name);
  return unused;
}

int64_t context_length_of(const TensorFile& inputs) {
  const auto found = inputs.tensors.find(kConditioning.context);
  if (found == inputs.tensors.end() || found->second.shape.rank() != 3) return 0;
  return found->second.shape[1];
}

}  // namespace ito
