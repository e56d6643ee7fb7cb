#include "tests/golden_runner/autoencoder.h"

#include "base/error.h"
#include "graph/builder.h"
#include "tests/golden_runner/program_run.h"

namespace ito::golden {
namespace {

constexpr double kLimit = 2e-5;  // the README's row "unet out"

}  // namespace

Result<Outcome> run_autoencoder(vk::Device& device, const Case& golden, const Component& model) {
  const Network& network = model.network;
  const Autoencoder& autoencoder = *network.autoencoder();
  const std::vector<int> order = channels_last_order(4);
  Program program;
  Graph& graph = *program.graph;
  HostValues values;
  const auto image_input = [&](const char* name) -> Result<Tensor> {
    ITO_ASSIGN(const Array array, golden.array(name));
    if (array.shape.rank() != 4)
      return corrupt("{} has shape {}, expected an image", name, array.shape.to_string());
    values[name] = to_value(permuted(array, order));
    return input(graph, name, values[name].shape);
  };
  const Tensor params = input(graph, "params", {network.set().size()});
  values["params"] = {params.shape(), {model.weights.begin(), model.weights.end()}};
  ITO_ASSIGN(const Tensor x, image_input("x"));
  ITO_ASSIGN(const Tensor eps, image_input("eps"));
  ITO_ASSIGN(const Tensor latent, image_input("latent"));
  ITO_TRY(network.check_size(x.dim(1), x.dim(2)));

  const Scope scope(network.set(), params);
  const Tensor moments = autoencoder.encode(scope, x);
  const LatentGaussian gaussian = latent_gaussian(moments);
  program.output("moments", moments);
  program.output("mean", gaussian.mean);
  program.output("std", gaussian.std);
  program.output("z_sampled", gaussian.mean + gaussian.std * eps);
  program.output("decoded", autoencoder.decode(scope, latent));
  ITO_ASSIGN(const HostValues results, run_on_device(device, program, values));

  Comparison comparison;
  for (const char* name : {"moments", "mean", "std", "z_sampled", "decoded"}) {
    ITO_ASSIGN(const Array expected, golden.array(name));
    comparison.relative(name, to_array(result_of(results, name), order), expected, kLimit);
  }
  return comparison.outcome();
}

}  // namespace ito::golden
