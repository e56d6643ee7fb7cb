// Golden family sde: marginals of the SDEs, and the way to the other kinds of
// case of this family.
#include "base/error.h"
#include "diffusion/score.h"
#include "diffusion/sde_discrete.h"
#include "graph/builder.h"
#include "tests/golden_runner/families.h"
#include "tests/golden_runner/program_run.h"
#include "tests/golden_runner/sde_case.h"

namespace ito::golden {
namespace {

// The README's row "sde".
constexpr double kLimit = 1e-5;

// Inputs of the file as externals of a program.
struct Inputs {
  const Case& golden;
  Program program;
  HostValues values;

  Result<Tensor> input(const std::string& name, int rank) {
    ITO_ASSIGN(const Array array, golden.array(name));
    if (array.shape.rank() != rank || array.integer)
      return corrupt("{} has shape {}, expected floats of rank {}", name, array.shape.to_string(),
                     rank);
    values[name] = to_value(array);
    return ito::input(*program.graph, name, array.shape);
  }
};

// Every output of the program that the file holds under the same name.
Status compare_outputs(vk::Device& device, const Inputs& work, Comparison& comparison) {
  ITO_ASSIGN(const HostValues values, run_on_device(device, work.program, work.values));
  for (const ProgramOutput& output : work.program.outputs) {
    ITO_ASSIGN(const Array expected, work.golden.array(output.name));
    comparison.relative(output.name, to_array(result_of(values, output.name)), expected, kLimit);
  }
  return {};
}

Array list(const std::vector<double>& values) {
  return {.shape = {static_cast<int64_t>(values.size())}, .data = values};
}

// Times and the noised data at them; what every case here begins with.
struct Noised {
  Tensor t, x0, z, std, x_t;
};

Result<Noised> noised(Inputs& work, const Sde& sde) {
  Noised made;
  ITO_ASSIGN(made.t, work.input("t", 1));
  ITO_ASSIGN(made.x0, work.input("x0", 2));
  ITO_ASSIGN(made.z, work.input("z", 2));
  if (made.z.shape() != made.x0.shape() || made.t.dim(0) != made.x0.dim(0))
    return corrupt("the shapes of t, x0 and z do not fit");
  made.std = sde.std(made.t);
  made.x_t = per_image(sde.mean(made.t), 2) * made.x0 + per_image(made.std, 2) * made.z;
  return made;
}

Result<Outcome> run_marginal(vk::Device& device, const Case& golden) {
  ITO_ASSIGN(const Sde sde, sde_of(golden));
  ITO_ASSIGN(const int64_t steps, integer(golden.json, "N"));
  Inputs work{.golden = golden, .program = {}, .values = {}};
  ITO_ASSIGN(const Noised at, noised(work, sde));
  work.program.output("mean_coef", sde.mean(at.t));
  work.program.output("std", at.std);
  work.program.output("diffusion", sde.diffusion(at.t));
  work.program.output("x_t", at.x_t);
  work.program.output("drift", per_image(sde.drift(at.t), 2) * at.x_t);

  Comparison comparison;
  ITO_TRY(compare_outputs(device, work, comparison));
  const bool ve = sde.kind == Sde::Kind::kVe;
  const std::string table = ve ? "discrete_sigmas" : "discrete_betas";
  ITO_ASSIGN(const Array expected, golden.array(table));
  const int n = static_cast<int>(steps);
  comparison.relative(table, list(ve ? discrete_sigmas(sde, n) : discrete_betas(sde, n)), expected,
                      kLimit);
  return comparison.outcome();
}

}  // namespace

Result<Outcome> run_sde(vk::Device& device, const Case& golden) {
  const std::string name = Path(golden.name).filename().string();
  if (name.find("_pfode_") != std::string::npos) return run_pfode(device, golden);
  if (name.find("_traj_") != std::string::npos) return run_sde_trajectory(device, golden);
  if (name.starts_with("edm_")) return run_edm(device, golden);
  if (name.ends_with("_marginal")) return run_marginal(device, golden);
  if (name.ends_with("_dsm")) return run_dsm(device, golden);
  return skipped("no runner for this kind of sde case");
}

}  // namespace ito::golden
