// Golden family second_order: score-matching losses of a small score or energy network, whose
// parameter gradients are gradients of gradients (exact and sliced traces), and for the energy
// network once more. Everything the case holds is one program.
#include <functional>
#include <map>
#include <optional>

#include "base/error.h"
#include "diffusion/divergence.h"
#include "diffusion/score_matching.h"
#include "graph/builder.h"
#include "tests/golden_runner/families.h"
#include "tests/golden_runner/program_run.h"

namespace ito::golden {
namespace {

// Parameters by name, in our layout.
using Parameters = std::map<std::string, Tensor>;
using Network = std::function<Tensor(Tensor x)>;

std::vector<int> parameter_order(const Shape& shape) {
  if (shape.rank() == 4) return convolution_order();
  if (shape.rank() == 2) return matrix_order();
  return {0};
}

struct SecondOrderCase {
  const Case& golden;
  Program program;
  HostValues values;
  Tensor x;
  Tensor time;  // [b]: the networks here do not look at it
  double sigma = 0;

  Graph& graph() { return *program.graph; }

  // A tensor of the file, permuted to our layout, as an input.
  Result<Tensor> input(const std::string& name, const std::vector<int>& order) {
    ITO_ASSIGN(const Array array, golden.array(name));
    if (array.integer) return corrupt("{} must hold floats", name);
    if (array.shape.rank() != static_cast<int>(order.size()))
      return corrupt("{} has rank {}, expected {}", name, array.shape.rank(), order.size());
    const Array ours = permuted(array, order);
    values[name] = to_value(ours);
    return ito::input(graph(), name, ours.shape);
  }
  // A tensor shaped like x.
  Result<Tensor> like_x(const std::string& name) {
    ITO_ASSIGN(const Tensor tensor, input(name, channels_last_order(x.rank())));
    if (tensor.shape() != x.shape()) return corrupt("{} has not the shape of x", name);
    return tensor;
  }
  // Projections [m, (x's shape)].
  Result<Tensor> projections(const std::string& name) {
    std::vector<int> order = {0};
    for (int axis : channels_last_order(x.rank())) order.push_back(axis + 1);
    ITO_ASSIGN(const Tensor v, input(name, order));
    std::vector<int64_t> dims = v.shape().dims();
    dims.erase(dims.begin());
    if (Shape(dims) != x.shape()) return corrupt("{} has not the shape of x", name);
    return v;
  }
  Result<Parameters> parameters(const std::string& prefix) {
    Parameters parameters;
    for (const std::string& name : golden.tensor_names()) {
      if (!name.starts_with(prefix)) continue;
      ITO_ASSIGN(const Array array, golden.array(name));
      ITO_ASSIGN(parameters[name.substr(prefix.size())], input(name, parameter_order(array.shape)));
    }
    return parameters;
  }
};

Result<Tensor> parameter(const Parameters& parameters, const std::string& name) {
  const auto found = parameters.find(name);
  if (found == parameters.end()) return corrupt("parameter {} is missing", name);
  return found->second;
}

Result<std::function<Tensor(Tensor)>> activation_of(const std::string& name) {
  if (name == "tanh") return std::function<Tensor(Tensor)>(tanh);
  if (name == "softplus") return std::function<Tensor(Tensor)>(softplus);
  if (name == "silu") return std::function<Tensor(Tensor)>(silu);
  if (name == "relu") return std::function<Tensor(Tensor)>(relu);
  if (name == "gelu") return std::function<Tensor(Tensor)>(gelu);
  return unsupported("unknown activation '{}'", name);
}

// fc1, fc2, ... with the activation between.
Result<Network> mlp_network(const Json& net, const Parameters& parameters) {
  ITO_ASSIGN(const std::string act, text(net, "act"));
  ITO_ASSIGN(const auto activation, activation_of(act));
  std::vector<std::pair<Tensor, Tensor>> layers;
  for (int i = 1; parameters.count(fmt::format("fc{}.weight", i)) != 0; ++i) {
    ITO_ASSIGN(const Tensor weight, parameter(parameters, fmt::format("fc{}.weight", i)));
    ITO_ASSIGN(const Tensor bias, parameter(parameters, fmt::format("fc{}.bias", i)));
    if (weight.rank() != 2 || bias.shape() != Shape{weight.dim(1)} ||
        (!layers.empty() && layers.back().first.dim(1) != weight.dim(0)))
      return corrupt("the shape of fc{} does not fit", i);
    layers.push_back({weight, bias});
  }
  if (layers.empty()) return corrupt("parameter fc1.weight is missing");
  return Network([layers, activation](Tensor x) {
    for (size_t i = 0; i < layers.size(); ++i) {
      if (i > 0) x = activation(x);
      x = linear(x, layers[i].first, layers[i].second);
    }
    return x;
  });
}

// conv1-norm1-SiLU-conv2-norm2-SiLU-conv3, 3x3 with pad 1.
Result<Network> conv_network(const Json& net, const Parameters& parameters) {
  ITO_ASSIGN(const std::string act, text(net, "act"));
  ITO_ASSIGN(const auto activation, activation_of(act));
  ITO_ASSIGN(const std::vector<int64_t> groups, integers(net, "groups"));
  ITO_ASSIGN(const double eps, number_or(net, "eps", 1e-5));
  struct Layer {
    Tensor weight, bias, gamma, beta;  // the last two empty for the last layer
    int64_t groups = 1;
  };
  std::vector<Layer> layers;
  for (size_t i = 1; i <= groups.size() + 1; ++i) {
    Layer layer;
    ITO_ASSIGN(layer.weight, parameter(parameters, fmt::format("conv{}.weight", i)));
    ITO_ASSIGN(layer.bias, parameter(parameters, fmt::format("conv{}.bias", i)));
    const int64_t channels = layer.weight.rank() == 4 ? layer.weight.dim(3) : -1;
    bool fits = channels >= 0 && layer.weight.dim(0) == 3 && layer.weight.dim(1) == 3 &&
                layer.bias.shape() == Shape{channels} &&
                (layers.empty() || layers.back().weight.dim(3) == layer.weight.dim(2));
    if (i <= groups.size()) {
      ITO_ASSIGN(layer.gamma, parameter(parameters, fmt::format("norm{}.weight", i)));
      ITO_ASSIGN(layer.beta, parameter(parameters, fmt::format("norm{}.bias", i)));
      layer.groups = groups[i - 1];
      fits = fits && layer.groups > 0 && channels % layer.groups == 0 &&
             layer.gamma.shape() == Shape{channels} && layer.beta.shape() == Shape{channels};
    }
    if (!fits) return corrupt("the shapes of conv{} and norm{} do not fit", i, i);
    layers.push_back(layer);
  }
  return Network([layers, activation, eps](Tensor x) {
    for (const Layer& layer : layers) {
      x = conv2d(x, layer.weight, ConvAttr{.pad = {1, 1, 1, 1}}) + layer.bias;
      if (layer.gamma) x = activation(group_norm(x, layer.gamma, layer.beta, layer.groups, eps));
    }
    return x;
  });
}

Result<Network> network(const Json& net, const Parameters& parameters) {
  ITO_ASSIGN(const std::string type, text(net, "type"));
  if (type == "mlp") return mlp_network(net, parameters);
  if (type == "conv") return conv_network(net, parameters);
  return unsupported("unknown net type '{}'", type);
}

// f(x) [b] of the energy network: the output itself (mlp), or -1/2 |x - h(x)|² (conv).
Result<Network> energy_function(const Json& net, const Network& h) {
  ITO_ASSIGN(const std::string type, text(net, "type"));
  if (type == "mlp") return Network([h](Tensor x) { return sum_per_image(h(x)); });
  return Network([h](Tensor x) { return sum_per_image(square(x - h(x))) * -0.5; });
}

// The loss named `tag`, a scalar.
Result<Tensor> loss_of(SecondOrderCase& work, const std::string& tag, const ScoreFunction& score,
                       const ScoreFunction& energy_score) {
  const Tensor x = work.x, t = work.time;
  if (tag == "ism") return implicit_score_matching(x, t, score).loss;
  if (tag == "dsm" || tag == "ebm_dsm") {
    ITO_ASSIGN(const Tensor z, work.like_x("z"));
    return denoising_score_matching(x, t, z, work.sigma, tag == "dsm" ? score : energy_score).loss;
  }
  if (tag == "dsm_multi") {
    ITO_ASSIGN(const Tensor z, work.like_x("z"));
    ITO_ASSIGN(const Tensor sigma, work.input("sigma_b", {0}));
    if (sigma.dim(0) != x.dim(0)) return corrupt("sigma_b has not one value per sample");
    const ScoreFunction scaled = [&](Tensor at, Tensor time) {
      return score(at, time) / per_image(sigma, at.rank());
    };
    return ladder_score_matching(x, t, z, sigma, scaled).loss;
  }
  if (tag == "ssm" || tag == "ssm_rademacher" || tag == "ssm_vr" || tag == "ebm_ssm") {
    ITO_ASSIGN(const Tensor v, work.projections(tag == "ssm_rademacher" ? "v_rademacher" : "v"));
    return sliced_score_matching(x, t, v, tag == "ssm_vr", tag == "ebm_ssm" ? energy_score : score)
        .loss;
  }
  if (tag == "hutchinson_mean") {
    ITO_ASSIGN(const Tensor eps, work.like_x("eps_hutchinson"));
    return mean_all(quadratic_form(score(x, t), x, eps));
  }
  return unsupported("unknown loss '{}'", tag);
}

// What is compared, and under which row of torch_fp32_err.
struct Compared {
  std::string tensor;
  std::string floor;
  std::vector<int> order;
  bool is_loss = false;
};

}  // namespace

Result<Outcome> run_second_order(vk::Device& device, const Case& golden) {
  SecondOrderCase work{.golden = golden, .program = {}, .values = {}, .x = {}, .time = {}};
  ITO_ASSIGN(const Json net, object(golden.json, "net"));
  ITO_ASSIGN(work.sigma, number_or(golden.json, "sigma", 1));
  ITO_ASSIGN(const Array x, golden.array("x"));
  if (x.shape.rank() != 2 && x.shape.rank() != 4) return corrupt("x must have rank 2 or 4");
  ITO_ASSIGN(work.x, work.input("x", channels_last_order(x.shape.rank())));
  work.time = full(work.graph(), {work.x.dim(0)}, 0);
  ITO_ASSIGN(const Parameters params, work.parameters("param."));
  ITO_ASSIGN(const Parameters energy_params, work.parameters("energy_param."));
  ITO_ASSIGN(const Network score_network, network(net, params));
  const ScoreFunction score = [&](Tensor at, Tensor) { return score_network(at); };
  EnergyFunction energy;
  ScoreFunction energy_score;
  if (!energy_params.empty()) {
    ITO_ASSIGN(const Network h, network(net, energy_params));
    ITO_ASSIGN(const Network f, energy_function(net, h));
    energy = [f](Tensor at, Tensor) { return f(at); };
    energy_score = ito::energy_score(energy);
  }

  const std::vector<int> batch_order = {0};
  const std::vector<int> x_order = channels_last_order(work.x.rank());
  std::vector<Compared> results;
  auto output = [&](const std::string& tensor, Tensor value, const std::vector<int>& order) {
    work.program.output(tensor, value);
    results.push_back({tensor, tensor, order});
  };
  if (golden.has("score")) output("score", score(work.x, work.time), x_order);
  if (golden.has("div")) output("div", exact_divergence(work.x, work.time, score), batch_order);
  if (golden.has("hutchinson")) {
    ITO_ASSIGN(const Tensor eps, work.like_x("eps_hutchinson"));
    output("hutchinson", quadratic_form(score(work.x, work.time), work.x, eps), batch_order);
  }
  for (const std::string& tensor : golden.tensor_names()) {
    const bool of_energy = tensor.starts_with("ebm");
    if (of_energy && energy_params.empty()) return corrupt("{} without energy_param", tensor);
    if (tensor == "ebm.energy") output(tensor, energy(work.x, work.time), batch_order);
    if (tensor == "ebm.score") output(tensor, energy_score(work.x, work.time), x_order);
    if (!tensor.ends_with(".loss")) continue;
    const std::string tag = tensor.substr(0, tensor.size() - 5);
    ITO_ASSIGN(const Tensor loss, loss_of(work, tag, score, energy_score));
    work.program.output(tensor, reshape(loss, {1}));
    results.push_back({tensor, tensor, batch_order, true});
    std::vector<Tensor> wrt;
    std::vector<std::string> names;
    for (const auto& [name, parameter] : of_energy ? energy_params : params) {
      names.push_back(name);
      wrt.push_back(parameter);
    }
    const std::vector<Tensor> gradients = grad(loss, wrt);
    for (size_t i = 0; i < names.size(); ++i) {
      const std::string gradient = tag + ".grad." + names[i];
      work.program.output(gradient, gradients[i]);
      results.push_back({gradient, tag, parameter_order(gradients[i].shape())});
    }
  }

  ITO_ASSIGN(const HostValues values, run_on_device(device, work.program, work.values));
  Comparison comparison;
  for (const Compared& result : results) {
    ITO_ASSIGN(const Array expected, golden.array(result.tensor));
    ITO_ASSIGN(const double floor, noise_floor(golden, result.floor));
    const double limit = std::max(2e-5, 5 * floor);
    const Array actual = to_array(result_of(values, result.tensor), result.order);
    // A loss whose terms nearly cancel is compared absolutely.
    if (result.is_loss && largest_magnitude(expected.data) < 0.1)
      comparison.absolute(result.tensor, actual, expected, 2e-5);
    else
      comparison.relative(result.tensor, actual, expected, limit);
  }
  return comparison.outcome();
}

}  // namespace ito::golden
