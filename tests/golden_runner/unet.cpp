// Golden family unet, the io cases: a network's output, loss and all gradients in one program.
#include <cmath>

#include "base/error.h"
#include "graph/builder.h"
#include "tests/golden_runner/autoencoder.h"
#include "tests/golden_runner/families.h"
#include "tests/golden_runner/networks.h"
#include "tests/golden_runner/program_run.h"

namespace ito::golden {
namespace {

constexpr ConditioningNames kNames = {.classes = "class_labels",
                                      .context = "encoder_hidden_states",
                                      .guidance = "timestep_cond",
                                      .latent = nullptr};

// The README's rows "unet".
struct Limits {
  double value = 2e-5;     // out, d_sample, loss; relative
  double gradient = 5e-5;  // times grad_max_abs
};

// Of a network that multiplies in 16 bits: its value alone.
constexpr double kHalfValue = 1e-2;

Limits limits_of(const Signature& signature) {
  // Fourier features of hundreds of radians.
  if (signature.time == TimeInput::kSigma) return {.value = 3e-4, .gradient = 5e-4};
  return {};
}

// Compares every parameter's gradient with what the case says of it: all or every stride-th
// element, and over all elements the norm and the dot product with cos(i). Elements within `limit`
// of the right ones move either by no more than sqrt(n) times it, unless they err together.
Status compare_gradients(const Case& golden, const ParameterSet& set,
                         const ForeignTensors& gradients, double limit, Comparison& comparison) {
  ITO_ASSIGN(const Json table, object(golden.json, "grad"));
  for (const auto& [name, gradient] : gradients) {
    if (!set.find(name)->spec.trainable) continue;  // frozen: the Fourier frequencies
    if (!table.contains(name)) return corrupt("no gradient of {}", name);
    ITO_ASSIGN(const Json entry, object(table, name));
    ITO_ASSIGN(const int64_t stride, integer_or(entry, "stride", 1));
    if (stride < 1) return corrupt("{}: stride {}", name, stride);
    ITO_ASSIGN(const double norm, number(entry, "norm"));
    ITO_ASSIGN(const double dot, number(entry, "dot"));
    ITO_ASSIGN(const Array expected, golden.array("grad." + name));
    comparison.absolute("grad." + name, sampled(gradient, stride), expected, limit);
    const double spread = limit * std::sqrt(static_cast<double>(gradient.data.size()));
    comparison.measured("norm of grad." + name, std::fabs(norm_of(gradient) - norm), spread);
    comparison.measured("dot of grad." + name, std::fabs(dot_of(gradient) - dot), spread);
  }
  for (const auto& [name, entry] : table.items())
    if (gradients.count(name) == 0) return corrupt("the network has no parameter {}", name);
  return {};
}

}  // namespace

Result<Outcome> run_unet(vk::Device& device, const Case& golden) {
  std::string reason;
  ITO_ASSIGN(const std::optional<Component> model,
             read_network((golden.folder / golden.name).parent_path(), reason));
  if (!model) return skipped("later: " + reason);
  const Network& network = model->network;
  const bool halves = golden.multiply != DType::kF32;
  if (network.autoencoder() != nullptr) {
    if (halves) return skipped("autoencoders are computed in fp32");
    return run_autoencoder(device, golden, *model);
  }
  const Signature& signature = network.signature();
  const Limits limits = limits_of(signature);

  ITO_ASSIGN(const Array sample, golden.array("sample"));
  ITO_ASSIGN(const Array timestep, golden.array("timestep"));
  ITO_ASSIGN(const Array noise, golden.array("noise"));
  ITO_ASSIGN(const double grad_max_abs, number(golden.json, "grad_max_abs"));
  if (sample.shape.rank() != 4 || sample.shape[1] != signature.in_channels)
    return corrupt("sample has shape {}, expected [n,{},h,w]", sample.shape.to_string(),
                   signature.in_channels);
  if (noise.shape.rank() != 4)
    return corrupt("noise has shape {}, expected an image", noise.shape.to_string());
  if (timestep.shape != Shape{sample.shape[0]}) return corrupt("expected one timestep per sample");
  ITO_TRY(network.check_size(sample.shape[2], sample.shape[3]));
  const std::vector<int> order = channels_last_order(4);
  const Array x_values = permuted(sample, order), noise_values = permuted(noise, order);

  Program program;
  program.multiply = golden.multiply;
  Graph& graph = *program.graph;
  HostValues values;
  const Tensor params = input(graph, "params", {network.set().size()});
  const Tensor x = input(graph, "sample", x_values.shape);
  const Tensor t =
      input(graph, "timestep", timestep.shape, timestep.integer ? DType::kU32 : DType::kF32);
  const Tensor target = input(graph, "noise", noise_values.shape);
  values["params"] = {params.shape(), {model->weights.begin(), model->weights.end()}};
  values["sample"] = to_value(x_values);
  values["timestep"] = to_value(timestep);
  values["noise"] = to_value(noise_values);
  int64_t context_length = 0;
  for (const char* name : {kNames.classes, kNames.context, kNames.guidance}) {
    if (!golden.has(name)) continue;
    ITO_ASSIGN(const Array array, golden.array(name));
    if (name == kNames.context) context_length = array.shape[1];
    values[name] = to_value(array);
  }
  const Conditioning conditioning = conditioning_inputs(
      graph, network.with_context(context_length).signature(), sample.shape[0], kNames);
  const Tensor out = network.build(params, x, t, conditioning);
  if (out.shape() != noise_values.shape)
    return corrupt("the network gives {}, but noise has shape {} (channels last)",
                   out.shape().to_string(), noise_values.shape.to_string());
  const Tensor loss = mean_all(square(out - target));
  program.output("out", out);
  program.output("loss", loss);
  if (halves) {
    ITO_ASSIGN(const HostValues results, run_on_device(device, program, values));
    ITO_ASSIGN(const Array expected, golden.array("out"));
    Comparison comparison;
    comparison.relative("out", to_array(result_of(results, "out"), order), expected, kHalfValue);
    return comparison.outcome();
  }
  const bool with_context = golden.has("d_encoder_hidden_states");
  program.output("d_sample", grad(loss, {x})[0]);
  if (with_context)
    program.output("d_encoder_hidden_states", grad(loss, {conditioning.context})[0]);
  program.output("grad", flat_gradient(network.set(), params, loss));
  ITO_ASSIGN(const HostValues results, run_on_device(device, program, values));

  Comparison comparison;
  for (const char* name : {"out", "d_sample"}) {
    ITO_ASSIGN(const Array expected, golden.array(name));
    comparison.relative(name, to_array(result_of(results, name), order), expected, limits.value);
  }
  if (with_context) {
    const std::string name = "d_encoder_hidden_states";
    ITO_ASSIGN(const Array expected, golden.array(name));
    comparison.relative(name, to_array(result_of(results, name)), expected, limits.value);
  }
  ITO_ASSIGN(const double expected_loss, number(golden.json, "loss"));
  comparison.relative("loss", to_array(result_of(results, "loss")),
                      {.shape = {}, .data = {expected_loss}}, limits.value);
  const HostValue& flat = result_of(results, "grad");
  const std::vector<float> floats(flat.data.begin(), flat.data.end());
  ITO_TRY(compare_gradients(golden, network.set(), unpack_parameters(network.set(), floats),
                            limits.gradient * grad_max_abs, comparison));
  return comparison.outcome();
}

}  // namespace ito::golden
