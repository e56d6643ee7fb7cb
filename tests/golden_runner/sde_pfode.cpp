// Golden family sde, *_pfode_*: end points of the probability-flow ODE in both directions and the
// log-densities along it, by the adaptive method in float32: the README's limit for trajectories.
#include <cmath>

#include "api/ode_solver.h"
#include "base/error.h"
#include "diffusion/likelihood.h"
#include "tests/golden_runner/families.h"
#include "tests/golden_runner/sde_case.h"

namespace ito::golden {
namespace {

constexpr double kTrajectoryLimit = 1e-3;
constexpr double kDoubleLimit = 1e-5;
constexpr OdeOptions kTolerance{.rtol = 1e-6, .atol = 1e-6};
constexpr int64_t kMaxEvaluations = 10'000;

std::vector<float> floats(const Array& array) { return {array.data.begin(), array.data.end()}; }

Array list(std::vector<double> values) {
  return {.shape = {static_cast<int64_t>(values.size())}, .data = std::move(values)};
}

Result<Array> decoded(vk::Device& device, const ProbabilityFlow& flow, const Array& x_T) {
  ITO_ASSIGN(auto solver, OdeSolver::create(device, flow_system(flow, x_T.shape), kTolerance));
  ITO_TRY(solver->write(flow_ports::kState, floats(x_T)));
  ITO_TRY(solver->solve(flow.end, flow.start, kMaxEvaluations));
  ITO_ASSIGN(const std::vector<double> x, solver->value(kFlowComponent));
  return Array{.shape = x_T.shape, .data = x};
}

struct Encoded {
  Array z;
  Array delta;  // nats
};

Result<Encoded> encoded(vk::Device& device, const ProbabilityFlow& flow, const Array& x) {
  const int64_t n = x.shape[0], dimensions = x.shape[1];
  const LikelihoodOptions options{.divergence = Divergence::kExact};
  ITO_ASSIGN(auto solver,
             OdeSolver::create(device, likelihood_system(flow, x.shape, options), kTolerance));
  ITO_TRY(solver->write(flow_ports::kState, floats(x)));
  ITO_TRY(
      solver->write(likelihood_ports::kDelta, std::vector<float>(static_cast<size_t>(n), 0.0f)));
  ITO_TRY(solver->solve(flow.start, flow.end, kMaxEvaluations));
  ITO_ASSIGN(const std::vector<double> z, solver->value(kFlowComponent));
  ITO_ASSIGN(std::vector<double> delta, solver->value(kDeltaComponent));
  for (double& value : delta) value *= static_cast<double>(dimensions);
  return Encoded{.z = {.shape = x.shape, .data = z}, .delta = list(std::move(delta))};
}

}  // namespace

Result<Outcome> run_pfode(vk::Device& device, const Case& golden) {
  ITO_ASSIGN(const Sde sde, sde_of(golden));
  ITO_ASSIGN(const GaussianMixture mixture, mixture_of(golden));
  ITO_ASSIGN(const Array x_T, golden.array("x_T"));
  ITO_ASSIGN(const Array x_data, golden.array("x_data"));
  for (const Array* x : {&x_T, &x_data})
    if (x->shape.rank() != 2 || x->shape[1] != static_cast<int64_t>(mixture.means[0].size()))
      return corrupt("x_T and x_data must be [n,d] with d as the mixture's");
  ProbabilityFlow flow = probability_flow(sde, mixture_score(mixture, sde));
  ITO_ASSIGN(flow.start, number(golden.json, "eps"));
  ITO_ASSIGN(flow.end, number(golden.json, "T"));

  Comparison comparison;
  const auto compare = [&](const std::string& name, const Array& actual, double limit) -> Status {
    ITO_ASSIGN(const Array expected, golden.array(name));
    comparison.relative(name, actual, expected, limit);
    return {};
  };
  ITO_ASSIGN(const Array x_eps, decoded(device, flow, x_T));
  ITO_TRY(compare("x_eps", x_eps, kTrajectoryLimit));
  ITO_ASSIGN(const Encoded encoding, encoded(device, flow, x_data));
  ITO_TRY(compare("z_T", encoding.z, kTrajectoryLimit));
  ITO_TRY(compare("delta_logp", encoding.delta, kTrajectoryLimit));

  std::vector<double> log_density, bits, exact;
  for (int64_t i = 0; i < x_data.shape[0]; ++i) {
    log_density.push_back(gaussian_log_density(floats(row(encoding.z, i)), flow.prior_std) +
                          encoding.delta.data[static_cast<size_t>(i)]);
    bits.push_back(bits_per_dim(log_density.back(), x_data.shape[1]));
    exact.push_back(mixture_log_density(mixture, row(x_data, i).data, sde.mean(flow.start),
                                        sde.std(flow.start)));
  }
  ITO_TRY(compare("logp_ode_standard_prior", list(log_density), kTrajectoryLimit));
  ITO_TRY(compare("bits_per_dim", list(bits), kTrajectoryLimit));
  ITO_TRY(compare("logp_exact_at_eps", list(exact), kDoubleLimit));
  return comparison.outcome();
}

}  // namespace ito::golden
