#include "diffusion/likelihood.h"

#include <cmath>
#include <numbers>
#include <span>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "diffusion/choices.h"
#include "diffusion/divergence.h"
#include "diffusion/sampling_program.h"
#include "diffusion/streams.h"
#include "graph/builder.h"

namespace ito {
namespace {

struct DivergenceRow {
  Name name;
  Divergence divergence;
};
constexpr DivergenceRow kDivergences[] = {
    {{"rademacher", "estimated along independent signs", "Hutchinson 1990", ""},
     Divergence::kRademacher},
    {{"gaussian", "estimated along standard normals", "Grathwohl et al. 2019, eq. 7", ""},
     Divergence::kGaussian},
    {{"exact", "the whole trace, for images of at most 128 numbers", "Chen et al. 2018", ""},
     Divergence::kExact},
};

using namespace likelihood_ports;

// Keeps increments of 1e-9 nats/dim; holds 2^18 nats/dim.
constexpr double kDeltaQuantum = 1.0 / 64;

// The unit vector e_i in every image.
Tensor unit_vector(Graph& graph, const Shape& shape, int64_t i) {
  Shape one = shape;
  one[0] = 1;
  std::vector<double> values(static_cast<size_t>(one.numel()), 0.0);
  values[static_cast<size_t>(i)] = 1;
  return broadcast_to(constant(graph, one, std::move(values)), shape);
}

// [n, columns]: estimates of tr(J).
Tensor score_divergence(Tensor score, Tensor x, const LikelihoodOptions& options) {
  Graph& graph = x.graph();
  const int64_t n = x.dim(0);
  if (options.divergence == Divergence::kExact) {
    Tensor total;
    for (int64_t i = 0; i < x.shape().numel() / n; ++i) {
      const Tensor form = quadratic_form(score, x, unit_vector(graph, x.shape(), i));
      total = total ? total + form : form;
    }
    return reshape(total, {n, 1});
  }
  std::vector<Tensor> forms;
  for (int k = 0; k < options.probes; ++k) {
    const Tensor v = input(graph, kProbe[k], x.shape());
    forms.push_back(reshape(quadratic_form(score, x, v), {n, 1}));
  }
  return concat(std::move(forms), 1);
}

struct Draw {
  Tensor key, image;
};
Draw draw_inputs(Graph& graph, const Shape& shape) {
  return {input(graph, sampling_ports::kKey, {2}),
          input(graph, sampling_ports::kImage, {shape[0]})};
}

}  // namespace

std::vector<Name> divergence_choices() { return names_of(kDivergences); }

Result<Divergence> divergence_from_name(const std::string& name) {
  ITO_ASSIGN(const DivergenceRow* row,
             row_called(std::span<const DivergenceRow>(kDivergences), name, "--probe"));
  return row->divergence;
}

Status check_likelihood(const LikelihoodOptions& options, const Shape& shape) {
  const int64_t elements = shape.numel() / shape[0];
  if (options.divergence == Divergence::kExact) {
    if (elements > kMaxExactElements)
      return invalid_argument(
          "an exact divergence takes images of at most {} elements, these have {}; use probes",
          kMaxExactElements, elements);
    return {};
  }
  if (options.probes < 1)
    return invalid_argument("the number of probes is {}, expected at least 1", options.probes);
  return {};
}

OdeSystem likelihood_system(const ProbabilityFlow& flow, const Shape& shape,
                            const LikelihoodOptions& options) {
  OdeSystem system;
  system.name = "likelihood";
  system.components = {
      {.name = kFlowComponent, .shape = shape},
      {.name = kDeltaComponent, .shape = {shape[0], options.columns()}, .quantum = kDeltaQuantum}};
  system.f = [flow, options](Tensor t, const std::vector<Tensor>& y) {
    const Tensor x = y[0];
    const int64_t n = x.dim(0);
    const double dimensions = static_cast<double>(x.shape().numel() / n);
    const ReverseDrift<Tensor> linear = flow.drift(t);
    const Tensor score = flow.score(x, t);
    const Tensor trace = score_divergence(score, x, options);
    return std::vector<Tensor>{
        flow.velocity(x, t, score),
        per_image(linear.on_x, 2) + per_image(linear.on_score, 2) * trace * (1 / dimensions)};
  };
  return system;
}

Program probe_program(const Shape& shape, const LikelihoodOptions& options) {
  CHECK(options.divergence != Divergence::kExact, "an exact divergence has no probes");
  Program program;
  program.name = "probes";
  Graph& graph = *program.graph;
  const Draw draw = draw_inputs(graph, shape);
  for (int k = 0; k < options.probes; ++k) {
    const Tensor index = scalar(graph, k, DType::kU32);
    Tensor v;
    if (options.divergence == Divergence::kGaussian) {
      v = random_normal(shape, draw.key, draw.image, index, kStreamProbe);
    } else {
      const Tensor u = random_uniform(shape, draw.key, draw.image, index, kStreamProbe);
      v = select(less(u, full(graph, shape, 0.5)), full(graph, shape, -1), full(graph, shape, 1));
    }
    program.update(input(graph, kProbe[k], shape), v);
  }
  return program;
}

Program dequantisation_program(const Shape& shape) {
  Program program;
  program.name = "dequantise";
  Graph& graph = *program.graph;
  const Draw draw = draw_inputs(graph, shape);
  const Tensor u = random_uniform(shape, draw.key, draw.image, scalar(graph, 0, DType::kU32),
                                  kStreamDequantisation);
  const Tensor pixels = input(graph, kPixels, shape);
  program.update(input(graph, flow_ports::kState, shape), (pixels + u) * (1.0 / 128) - 1.0);
  return program;
}

double gaussian_log_density(std::span<const float> z, double std) {
  double squares = 0;
  for (const float value : z) squares += static_cast<double>(value) * value;
  return -0.5 * (squares / (std * std) +
                 static_cast<double>(z.size()) * std::log(2 * std::numbers::pi * std * std));
}

double bits_per_dim(double log_density, int64_t dimensions) {
  return -log_density / (static_cast<double>(dimensions) * std::numbers::ln2);
}

OdeSystem line_system(const ScoreFunction& score, const Shape& shape) {
  OdeSystem system;
  system.name = "line";
  system.components = {{.name = kDifferenceComponent, .shape = {shape[0]}}};
  system.f = [score, shape](Tensor s, const std::vector<Tensor>&) {
    Graph& graph = s.graph();
    const Tensor from = input(graph, kLineFrom, shape);
    const Tensor step = input(graph, kLineTo, shape) - from;
    const Tensor at = from + per_image(s, shape.rank()) * step;
    const Tensor t = input(graph, kLineTime, {shape[0]});
    return std::vector<Tensor>{sum_per_image(score(at, t) * step)};
  };
  return system;
}

}  // namespace ito
