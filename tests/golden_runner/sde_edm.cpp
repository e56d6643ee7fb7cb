// Golden family sde, edm_*: preconditioning, and Euler and Heun trajectories with the exact score
// of a Gaussian mixture.
#include "base/error.h"
#include "diffusion/edm.h"
#include "diffusion/edm_sampler.h"
#include "graph/builder.h"
#include "tests/golden_runner/families.h"
#include "tests/golden_runner/method_run.h"
#include "tests/golden_runner/program_run.h"
#include "tests/golden_runner/sde_case.h"

namespace ito::golden {
namespace {

// The README's rows.
constexpr double kLimit = 1e-5;
constexpr double kTrajectoryLimit = 1e-3;

Result<Outcome> run_preconditioning(vk::Device& device, const Case& golden) {
  EdmPreconditioning preconditioning;
  ITO_ASSIGN(preconditioning.sigma_data, number(golden.json, "sigma_data"));
  ITO_ASSIGN(const std::string network, text(golden.json, "network"));
  if (network != "F(x) = tanh(x)") return unsupported("network {}", network);

  Program program;
  HostValues inputs;
  std::map<std::string, Tensor> tensors;
  for (const char* name : {"y", "n", "sigma"}) {
    ITO_ASSIGN(const Array array, golden.array(name));
    tensors[name] = input(*program.graph, name, array.shape);
    inputs[name] = to_value(array);
  }
  const Tensor y = tensors["y"], n = tensors["n"], sigma = tensors["sigma"];
  if (y.rank() != 2 || n.shape() != y.shape() || sigma.shape() != Shape{y.dim(0)})
    return corrupt("the shapes of y, n and sigma do not fit");
  // The file's n is a standard normal.
  Tensor seen_x, seen_f;
  const EdmDenoiser denoiser = edm_denoiser(
      [&](Tensor x, Tensor) {
        seen_x = x;
        seen_f = tanh(x);
        return seen_f;
      },
      preconditioning);
  const Tensor noise = n * per_image(sigma, 2);
  const Tensor loss = edm_loss(denoiser, preconditioning, y, noise, sigma);
  program.output("D", denoiser(y + noise, sigma));
  program.output("F", seen_f);
  program.output("x_in", seen_x);
  program.output("c_skip", preconditioning.c_skip(sigma));
  program.output("c_out", preconditioning.c_out(sigma));
  program.output("c_in", preconditioning.c_in(sigma));
  program.output("c_noise", preconditioning.c_noise(sigma));
  program.output("weight", preconditioning.weight(sigma));
  program.output("loss_per_sample_sum", loss);
  program.output("loss_mean", mean_all(loss) / static_cast<double>(y.dim(1)));

  ITO_ASSIGN(const HostValues values, run_on_device(device, program, inputs));
  Comparison comparison;
  for (const ProgramOutput& output : program.outputs) {
    Array expected;
    if (output.name == "loss_mean") {
      ITO_ASSIGN(const double mean, number(golden.json, output.name));
      expected = {.shape = {}, .data = {mean}};
    } else {
      ITO_ASSIGN(expected, golden.array(output.name));
    }
    comparison.relative(output.name, to_array(result_of(values, output.name)), expected, kLimit);
  }
  return comparison.outcome();
}

// Rows of `all` that are the last replay of each step.
Array ends_of_steps(const Array& all, const std::vector<double>& step_of_replay) {
  Array ends{.shape = all.shape, .data = {}};
  ends.shape[0] = 0;
  for (size_t i = 0; i < step_of_replay.size(); ++i) {
    if (i + 1 < step_of_replay.size() && step_of_replay[i + 1] == step_of_replay[i]) continue;
    const Array end = row(all, static_cast<int64_t>(i));
    ends.data.insert(ends.data.end(), end.data.begin(), end.data.end());
    ++ends.shape[0];
  }
  return ends;
}

Result<Outcome> run_trajectory(vk::Device& device, const Case& golden) {
  Sde sde{.kind = Sde::Kind::kEdm};
  ITO_ASSIGN(sde.sigma_min, number(golden.json, "sigma_min"));
  ITO_ASSIGN(sde.sigma_max, number(golden.json, "sigma_max"));
  EdmSamplerOptions options;
  ITO_ASSIGN(const int64_t steps, integer(golden.json, "N"));
  options.steps = static_cast<int>(steps);
  ITO_ASSIGN(options.heun, boolean(golden.json, "second_order"));
  ITO_ASSIGN(options.rho, number(golden.json, "rho"));
  ITO_ASSIGN(options.s_churn, number(golden.json, "S_churn"));
  ITO_ASSIGN(options.s_min, number(golden.json, "S_min"));
  ITO_ASSIGN(options.s_max, number(golden.json, "S_max"));
  ITO_ASSIGN(options.s_noise, number(golden.json, "S_noise"));
  ITO_ASSIGN(const GaussianMixture mixture, mixture_of(golden));
  ITO_ASSIGN(const Method chain, edm_sampler(sde, mixture_score(mixture, sde), options));

  const std::vector<double> step_of_replay = chain.column("step");
  std::vector<RecordedNoise> noises;
  if (chain.draws > 0) {
    ITO_ASSIGN(const Array noise, golden.array("noise"));
    if (noise.shape.rank() != 3 || noise.shape[0] != steps)
      return corrupt("noise has shape {}, expected {} steps", noise.shape.to_string(), steps);
    noises.push_back({noise, {step_of_replay.begin(), step_of_replay.end()}});
  }
  ITO_ASSIGN(const Array x_T, golden.array("x_T"));
  ITO_ASSIGN(const Trajectory trajectory, follow_chain(device, chain, x_T, noises));

  Comparison comparison;
  ITO_ASSIGN(const Array t_steps, golden.array("t_steps"));
  ITO_ASSIGN(const std::vector<double> times,
             edm_time_steps(sde.sigma_min, sde.sigma_max, options.rho, options.steps));
  comparison.relative("t_steps", {.shape = {static_cast<int64_t>(times.size())}, .data = times},
                      t_steps, kLimit);
  ITO_ASSIGN(const Array expected, golden.array("samples"));
  const Array actual = ends_of_steps(trajectory.at("x"), step_of_replay);
  comparison.relative("samples", actual, expected, kTrajectoryLimit);
  // Samples shrink from σ_max to 1; the last one counts on its own scale as well.
  if (actual.shape == expected.shape)
    comparison.relative("samples (last)", row(actual, steps - 1), row(expected, steps - 1),
                        kTrajectoryLimit);
  return comparison.outcome();
}

}  // namespace

Result<Outcome> run_edm(vk::Device& device, const Case& golden) {
  return golden.name.ends_with("edm_precond") ? run_preconditioning(device, golden)
                                              : run_trajectory(device, golden);
}

}  // namespace ito::golden
