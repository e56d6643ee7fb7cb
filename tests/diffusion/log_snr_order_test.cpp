#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <string>

#include "diffusion/samplers.h"
#include "tests/diffusion/solver_host.h"

namespace ito::test {
namespace {
struct Run { double span = 0, error = 0; };
Run measure(const std::string& name, const SchedulerConfig& config, int steps, double end) {
  SolverOptions options{.steps = steps};
  options.arithmetic = Arithmetic::kDouble;
  const Result<Solver> made = make_solver(name, config, options);
  if (!made.ok()) { printf("%s\n", made.error().message.c_str()); return {}; }
  Solver solver = *made;
  size_t count = 0;
  while (count + 1 < solver.rows.size() && solver.rows[count].t > end) ++count;
  solver.rows.resize(count + 1);
  const GaussianData data;
  const SolverRow &first = solver.rows.front(), &last = solver.rows[count];
  const double x = first.mean * data.mean + 1.3 * data.deviation(first.mean, first.std);
  return {double(count), std::fabs(follow_to_last_row(solver, data.denoiser(), x) - data.flow(x, first, last))};
}
void order(const char* tag, const std::string& name, const SchedulerConfig& config, int steps, double end = -1) {
  const Run a = measure(name, config, steps, end), b = measure(name, config, end < 0 ? 2 * steps - 1 : 2 * steps, end);
  printf("%-32s %-16s %4d %.3e %.3e %.3f\n", tag, name.c_str(), steps, a.error, b.error, std::log(a.error / b.error) / std::log(b.span / a.span));
}
SchedulerConfig cfg(int o, const char* a, const char* t, int spacing) {
  SchedulerConfig config;
  config.timestep_spacing = "linspace";
  (spacing ? config.use_karras_sigmas : config.use_exponential_sigmas) = true;
  config.final_sigmas_type = "sigma_min";
  config.lower_order_final = false;
  config.solver_order = o;
  config.algorithm_type = a;
  config.solver_type = t;
  return config;
}
TEST(Explore, DISABLED_All) {
  for (int sp : {0, 1})
  for (int n : {19, 37, 73, 145, 289}) {
    for (int o : {1, 2, 3})
      for (const char* a : {"dpmsolver++", "dpmsolver"})
        for (const char* t : {"midpoint", "heun"}) {
          const std::string tag = std::to_string(sp) + " " + std::to_string(o) + " " + a + " " + t;
          order(tag.c_str(), "dpm-multistep", cfg(o, a, t, sp), n);
          order(tag.c_str(), "dpm-singlestep", cfg(o, a, t, sp), n);
        }
    for (int o : {1, 2, 3}) {
      for (const char* t : {"bh1", "bh2"})
        for (bool x0 : {true, false}) {
          SchedulerConfig c = cfg(o, "dpmsolver++", t, sp);
          c.predict_x0 = x0;
          const std::string tag = std::to_string(sp) + " " + std::to_string(o) + " " + t + " " + std::to_string(x0);
          order(tag.c_str(), "unipc", c, n);
        }
      order((std::to_string(sp) + " " + std::to_string(o)).c_str(), "deis", cfg(o, "deis", "logrho", sp), n);
    }
  }
  SchedulerConfig c;
  c.clip_sample = false;
  c.num_train_timesteps = 1 << 16;
  c.beta_start = 1e-4 * 1000 / (1 << 16);
  c.beta_end = .02 * 1000 / (1 << 16);
  for (int n : {16, 32, 64, 128, 256}) {
    const double end = (1 << 16) / 4.0;
    for (const char* s : {"ddim", "pndm", "plms"}) order("", s, c, n, end);
  }
}
}  // namespace
}  // namespace ito::test
