// Golden family analytic: Gaussian data N(μ, s²) in one dimension, where everything is known in
// closed form. Losses are evaluated at the points μ ± s and ±1, whose first two moments are those
// of the Gaussians, so that means of squares are exact; samplers move a mean and one point per
// independent source of randomness, which for the exact denoiser of a Gaussian, a linear function,
// carries mean and variance without drawing anything.
#include <cmath>
#include <map>
#include <vector>

#include "base/error.h"
#include "diffusion/edm.h"
#include "diffusion/langevin.h"
#include "diffusion/loss.h"
#include "diffusion/samplers.h"
#include "diffusion/sampling_program.h"
#include "diffusion/score_matching.h"
#include "graph/builder.h"
#include "graph/compile.h"
#include "runtime/executor.h"
#include "tests/golden_runner/families.h"
#include "tests/golden_runner/method_run.h"
#include "tests/golden_runner/program_run.h"

namespace ito::golden {
namespace {

constexpr double kDouble = 1e-9;  // host arithmetic in double
constexpr double kFloat = 1e-5;   // one float32 evaluation
constexpr double kPath = 1e-3;    // moments after up to 1000 steps in float32, tables included

struct Data {
  double mu = 0, s = 1;
};

// What the network should say of x_t: E[c x_0 + e ε | x_t], which is c μ + k (x_t - a μ), formed
// from x_0 and ε without a detour over either.
Denoiser exact(const NoiseSchedule& schedule, const Data& data, Prediction prediction) {
  return [=](Tensor x, Tensor t) {
    std::vector<double> table;
    for (const double product : schedule.alphas_cumprod) {
      const double a = std::sqrt(product), s = std::sqrt(1 - product);
      const bool is_v = prediction == Prediction::kV;
      const double c = prediction == Prediction::kSample ? 1 : is_v ? -s : 0;
      const double e = prediction == Prediction::kEpsilon ? 1 : is_v ? a : 0;
      const double k = (c * a * data.s * data.s + e * s) / (a * a * data.s * data.s + s * s);
      table.insert(table.end(), {k, (c - k * a) * data.mu});
    }
    const Tensor rows = gather(constant(x.graph(), {schedule.num_timesteps(), 2}, std::move(table)),
                               cast(t, DType::kU32));
    return slice_axis(rows, 1, 0, 1) * x + slice_axis(rows, 1, 1, 2);
  };
}

class Analytic {
 public:
  Analytic(vk::Device& device, const Case& golden) : device_(device), golden_(golden) {}

  Result<Outcome> run() {
    ITO_ASSIGN(data_.mu, number(golden_.json, "mu"));
    ITO_ASSIGN(data_.s, number(golden_.json, "s"));
    for (const char* name : {"linear", "cosine"}) {
      ITO_ASSIGN(const Json expected, object(golden_.json, name));
      ITO_TRY(chain(name, expected));
    }
    ITO_TRY(edm());
    ITO_TRY(score_losses());
    ITO_TRY(unadjusted_langevin());
    return comparison_.outcome();
  }

 private:
  void compare(const std::string& name, double found, double expected, double limit) {
    comparison_.measured(name, std::abs(found - expected) / std::max(std::abs(expected), 1e-2),
                         limit);
  }

  // Everything the file says of one discrete chain.
  Status chain(const std::string& name, const Json& expected) {
    SchedulerConfig config;
    ITO_ASSIGN(const int64_t T, integer(golden_.json, "T"));
    config.num_train_timesteps = static_cast<int>(T);
    if (name == "cosine") config.beta_schedule = "squaredcos_cap_v2";
    config.clip_sample = false;
    ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(config, Arithmetic::kDouble));
    ITO_ASSIGN(const Json products, object(expected, "alphas_cumprod_at"));
    for (const auto& [t, unused] : products.items()) {
      ITO_ASSIGN(const double product, number(products, t));
      const double found = schedule.alpha_bar(std::stoi(t));
      comparison_.measured(name + ".alphas_cumprod_at." + t, std::abs(found / product - 1),
                           kDouble);
    }
    ITO_ASSIGN(const double kl, number(expected, "kl_qT_to_standard_normal"));
    const double last = schedule.alpha_bar(schedule.num_timesteps() - 1);
    const double excess = last * (data_.s * data_.s - 1);  // of the variance over 1
    comparison_.measured(
        name + ".kl_qT",
        std::abs(0.5 * (last * data_.mu * data_.mu + excess - std::log1p(excess)) / kl - 1), 1e-6);
    ITO_TRY(optimal_losses(name, schedule, expected));
    for (const auto& [key, value] : expected.items()) {
      if (key.starts_with("ddpm_") || key.starts_with("ddim_"))
        ITO_TRY(moments(name + "." + key, key, config, expected));
    }
    return {};
  }

  // Means over the data of the training loss of the exact denoiser, at every timestep.
  Status optimal_losses(const std::string& name, const NoiseSchedule& schedule,
                        const Json& expected) {
    constexpr size_t kPoints = 4;
    const int T = schedule.num_timesteps();
    std::vector<double> x0, noise, timestep;
    for (int t = 0; t < T; ++t)
      for (size_t k = 0; k < kPoints; ++k) {
        timestep.push_back(t);
        x0.push_back(data_.mu + (k % 2 == 0 ? data_.s : -data_.s));
        noise.push_back(k < 2 ? 1 : -1);
      }
    const int64_t n = static_cast<int64_t>(x0.size());
    Program program;
    Graph& graph = *program.graph;
    const TrainingDraw draw{.timestep = constant(graph, {n}, timestep, DType::kU32),
                            .noise = input(graph, "noise", {n, 1})};
    const Tensor images = input(graph, "x0", {n, 1});
    for (const auto& [key, prediction] : {std::pair{"eps", Prediction::kEpsilon},
                                          {"x0", Prediction::kSample},
                                          {"v", Prediction::kV}}) {
      const Denoiser denoiser = exact(schedule, data_, prediction);
      program.output(
          std::string("mse.") + key,
          denoising_loss(images, draw, schedule, denoiser, {.prediction = prediction}).per_image);
    }
    ITO_ASSIGN(const HostValues results, run_on_device(device_, program,
                                                       {{"noise", {.shape = {n, 1}, .data = noise}},
                                                        {"x0", {.shape = {n, 1}, .data = x0}}}));
    const auto at = [&](const char* key, int t) {
      const std::vector<double>& each = result_of(results, std::string("mse.") + key).data;
      double sum = 0;
      for (size_t k = 0; k < kPoints; ++k) sum += each[static_cast<size_t>(t) * kPoints + k];
      return sum / kPoints;
    };
    const auto over_time = [&](const char* key) {
      double sum = 0;
      for (int t = 0; t < T; ++t) sum += at(key, t);
      return sum / T;
    };
    for (const auto& [list, key] :
         {std::pair{"optimal_eps_mse_at", "eps"}, {"optimal_x0_mse_at", "x0"}}) {
      ITO_ASSIGN(const Json values, object(expected, list));
      for (const auto& [t, unused] : values.items()) {
        ITO_ASSIGN(const double value, number(values, t));
        compare(name + "." + list + "." + t, at(key, std::stoi(t)), value, kFloat);
      }
    }
    ITO_ASSIGN(const double simple, number(expected, "optimal_L_simple_mean_over_t"));
    compare(name + ".optimal_L_simple_mean_over_t", over_time("eps"), simple, kFloat);
    ITO_ASSIGN(const double v, number(expected, "optimal_v_mse_mean_over_t"));
    compare(name + ".optimal_v_mse_mean_over_t", over_time("v"), v, kFloat);
    return {};
  }

  // Mean and variance of what a sampler draws, and after some of DDPM's steps.
  Status moments(const std::string& name, const std::string& key, SchedulerConfig config,
                 const Json& parent) {
    const bool ddpm = key.starts_with("ddpm_");
    ITO_ASSIGN(const Json expected, object(parent, key));
    SolverOptions options;
    if (ddpm) {
      config.variance_type = key.substr(5);
      options.steps = config.num_train_timesteps;
    } else {
      options.steps = key.find("_50_") != std::string::npos ? 50 : 10;
      options.eta = key.find("eta1") != std::string::npos ? 1 : 0;
      config.timestep_spacing = key.substr(key.rfind('_') + 1);
    }
    ITO_ASSIGN(const Solver solver, make_solver(ddpm ? "ddpm" : "ddim", config, options));
    ITO_ASSIGN(const NoiseSchedule schedule, make_schedule(config));
    // Point 0 is the mean's path; point 1 starts at one deviation; point 2 + k has step k's noise.
    const int64_t n = solver.steps() + 2;
    const Method method = solver_method(solver, exact(schedule, data_, Prediction::kEpsilon));
    ITO_ASSIGN(Plan plan, compile(method_program(method, {.shape = {n, 1}, .noise_input = true}),
                                  device_.caps()));
    ITO_ASSIGN(const auto executor, Executor::create(device_, std::move(plan)));
    std::vector<float> x(static_cast<size_t>(n), 0.0f);
    x[1] = static_cast<float>(solver.init_noise_sigma);
    ITO_TRY(executor->write(sampling_ports::kX, x));
    Json after = Json::object();
    if (ddpm) {
      ITO_ASSIGN(after, object(expected, "after_step_t"));
    }
    double mean = 0, variance = 0;
    for (int64_t k = 0; k < solver.steps(); ++k) {
      if (solver.needs_noise()) {
        std::vector<float> noise(static_cast<size_t>(n), 0.0f);
        noise[static_cast<size_t>(k) + 2] = 1;
        ITO_TRY(executor->enqueue_write(method_ports::kNoise[0], noise));
      }
      ITO_TRY(executor->run());
      const std::string t = fmt::format("t{:.0f}", solver.rows[static_cast<size_t>(k)].t);
      if (!after.contains(t) && k + 1 < solver.steps()) continue;
      ITO_ASSIGN(const auto points, executor->read(sampling_ports::kX));
      mean = points[0];
      variance = 0;
      for (const float point : points) variance += (point - mean) * (point - mean);
      if (!after.contains(t)) continue;
      const Json& pair = after[t];
      if (!pair.is_array() || pair.size() != 2 || !pair[0].is_number() || !pair[1].is_number())
        return corrupt("{} at {} holds no mean and variance", name, t);
      compare(name + " mean after " + t, mean, pair[0].get<double>(), kPath);
      compare(name + " variance after " + t, variance, pair[1].get<double>(), kPath);
    }
    ITO_ASSIGN(const double expected_mean, number(expected, "mean"));
    ITO_ASSIGN(const double expected_variance, number(expected, "var"));
    compare(name + " mean", mean, expected_mean, kPath);
    compare(name + " variance", variance, expected_variance, kPath);
    return {};
  }

  Status edm() {
    ITO_ASSIGN(const Json levels, array(golden_.json, "edm"));
    for (const Json& level : levels) {
      ITO_ASSIGN(const double sigma, number(level, "sigma"));
      ITO_ASSIGN(const double sigma_data, number(level, "sigma_data"));
      const EdmPreconditioning c{.sigma_data = sigma_data};
      const std::string at = fmt::format("edm sigma {}: ", sigma);
      const double out = c.c_out(sigma), skip = c.c_skip(sigma);
      // Variance of the network's target (y - c_skip (y + σ n))/c_out, which the scales keep at 1.
      const double target =
          ((1 - skip) * (1 - skip) * sigma_data * sigma_data + skip * skip * sigma * sigma) /
          (out * out);
      for (const auto& [key, found] :
           std::map<const char*, double>{{"c_in", c.c_in(sigma)},
                                         {"c_noise", c.c_noise(sigma)},
                                         {"c_out", out},
                                         {"c_skip", skip},
                                         {"weight", c.weight(sigma)},
                                         {"target_variance", target},
                                         {"weight_times_c_out_sq", c.weight(sigma) * out * out}}) {
        ITO_ASSIGN(const double value, number(level, key));
        comparison_.measured(at + key, std::abs(found / value - 1), kDouble);
      }
    }
    return {};
  }

  Status score_losses() {
    Program program;
    Graph& graph = *program.graph;
    const double mu = data_.mu, s = data_.s;
    const auto linear = [](double centre, double variance) -> ScoreFunction {
      return [=](Tensor x, Tensor) { return (x - centre) * (-1 / variance); };
    };
    ITO_ASSIGN(const Json dsm, object(golden_.json, "dsm_optimum"));
    ITO_ASSIGN(const double sigma, number(dsm, "sigma"));
    const Tensor x0 = input(graph, "x0", {4, 1}), z = input(graph, "z", {4, 1});
    const Tensor none = full(graph, {4}, 0);
    program.output("dsm", ladder_score_matching(x0, none, z, full(graph, {4}, sigma),
                                                linear(mu, s * s + sigma * sigma))
                              .loss);
    ITO_ASSIGN(const Json ism, object(golden_.json, "ism_linear"));
    ITO_ASSIGN(const double b, number(ism, "b"));
    ITO_ASSIGN(const double c, number(ism, "c"));
    const ScoreFunction model = linear(b, c), truth = linear(mu, s * s);
    program.output("ism", implicit_score_matching(x0, none, model).loss);
    program.output("fisher_half", fisher_divergence(x0, none, model, truth).loss);
    const ScoreFunction nothing = [](Tensor x, Tensor) { return full(x.graph(), x.shape(), 0); };
    program.output("constant", fisher_divergence(x0, none, nothing, truth).loss);
    ITO_ASSIGN(const HostValues results,
               run_on_device(device_, program,
                             {{"x0", {.shape = {4, 1}, .data = {mu + s, mu - s, mu + s, mu - s}}},
                              {"z", {.shape = {4, 1}, .data = {1, 1, -1, -1}}}}));
    ITO_ASSIGN(const double best, number(dsm, "min_half_dsm_sigma2_weighted"));
    compare("dsm_optimum", result_of(results, "dsm").data[0], best, kFloat);
    for (const char* key : {"ism", "fisher_half", "constant"}) {
      ITO_ASSIGN(const double value, number(ism, key));
      compare(std::string("ism_linear.") + key, result_of(results, key).data[0], value, kFloat);
    }
    return {};
  }

  // x' = A x + B + C z has the stationary variance C²/(1-A²).
  Status unadjusted_langevin() {
    ITO_ASSIGN(const Json steps, array(golden_.json, "ula"));
    for (const Json& each : steps) {
      ITO_ASSIGN(const double h, number(each, "h"));
      for (const auto& [key, step] :
           {std::pair{"stationary_var_h_sqrt2h", 2 * h}, {"stationary_var_halfh_sqrth", h}}) {
        const Data data = data_;
        const ScoreFunction score = [data](Tensor x, Tensor) {
          return (x - data.mu) * (-1 / (data.s * data.s));
        };
        ITO_ASSIGN(const Method chain, langevin(score, {.step_size = step, .steps = 1}));
        const Array x{.shape = {3, 1}, .data = {0, 1, 0}};
        const RecordedNoise noise{.noise = {.shape = {1, 3, 1}, .data = {0, 0, 1}},
                                  .row_of_replay = {0}};
        ITO_ASSIGN(const golden::Trajectory moved, follow_chain(device_, chain, x, {noise}));
        const std::vector<double>& y = moved.at("x").data;
        const double slope = y[1] - y[0], spread = y[2] - y[0];
        ITO_ASSIGN(const double expected, number(each, key));
        // 1 - A² loses two digits where the step is small.
        compare(fmt::format("ula h {} {}", h, key), spread * spread / (1 - slope * slope), expected,
                kPath);
      }
    }
    return {};
  }

  vk::Device& device_;
  const Case& golden_;
  Data data_;
  Comparison comparison_;
};

}  // namespace

Result<Outcome> run_analytic(vk::Device& device, const Case& golden) {
  return Analytic(device, golden).run();
}

}  // namespace ito::golden
