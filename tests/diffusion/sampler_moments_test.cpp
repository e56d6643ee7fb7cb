// Every sampler that has a name, as sessions make it, with the exact network of normal data:
// 200,000 chains on the device have the moments of the law of their discretisation within 5
// standard errors, and that law has the data's moments but for the bias that the row states, which
// falls as the steps become more. A row a sampler; a sampler without one fails. Also the closed
// forms of tests/golden/analytic. On mixtures, and with the Langevin corrector, whose step is not
// affine: sampler_law_test.cpp.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "api/ode_solver.h"
#include "base/philox.h"
#include "diffusion/langevin.h"
#include "io/file.h"
#include "io/json.h"
#include "tests/diffusion/affine_law.h"
#include "tests/diffusion/exact_model.h"
#include "tests/diffusion/method_device.h"
#include "tests/diffusion/mixture_denoiser.h"
#include "tests/support/folders.h"

namespace ito::test {
namespace {

constexpr int64_t kManyChains = 200'000;
constexpr double kStandardErrors = 5;

// Narrow and wide, near and far: N(0.5, 0.25²), as in tests/golden/analytic, and N(-1, 1.5²).
const AxisNormals kData{{0.5, -1}, {0.0625, 2.25}};

DiffusionModel discrete() { return exact_model(kData.mixture(), ProcessKind::kDiscrete); }
DiffusionModel ve() { return exact_model(kData.mixture(), ProcessKind::kVe); }
DiffusionModel vp() { return exact_model(kData.mixture(), ProcessKind::kVp); }
DiffusionModel sub_vp() { return exact_model(kData.mixture(), ProcessKind::kSubVp); }
DiffusionModel edm() { return exact_model(kData.mixture(), ProcessKind::kEdm); }
DiffusionModel flow() { return exact_model(kData.mixture(), ProcessKind::kFlow); }
DiffusionModel cosine() {
  DiffusionModel model = discrete();
  model.config.beta_schedule = "squaredcos_cap_v2";
  model.config.variance_type = "fixed_small_log";
  model.network = exact_chain(kData.mixture(), model.config);
  return model;
}
DiffusionModel consistency() { return exact_consistency_model(kData); }
DiffusionModel latent_consistency() { return exact_latent_consistency_model(kData); }
DiffusionModel generator() { return exact_generator(kData, 4); }

struct MomentsCase {
  SamplerOptions options;
  DiffusionModel (*model)();
  // Largest of |mean - μ|/√v and |variance/v - 1| over the axes.
  double bias;
  // Of it, what more steps do not remove: the prior's mean is 0 and that of x_T is √ᾱ_T μ, which
  // the probability flow carries to the end.
  double floor = 0;
};
constexpr double kChainPrior = 0.0064, kEdmPrior = 0.0126;  // for μ = -1

// Biases are those of one run in double, rounded up: of order h^p for methods of order p, and
// largest on the narrow axis. Steps of DDPM and DDIM divide the chain's thousand. VP and sub-VP end
// at 1e-5: where they end at 1e-3, reverse diffusion and ancestral sampling ask for the score up to
// 1e-3 later than their tables of β are, as published, which leaves a bias of 0.016 whatever the
// steps.
const std::vector<MomentsCase> kCases = {
    {{.sampler = "ddpm", .steps = 250, .spacing = "trailing"}, discrete, 0.102},
    {{.sampler = "ddpm", .steps = 250, .spacing = "trailing", .variance = "fixed_large"},
     discrete,
     0.039},
    {{.sampler = "ddim", .steps = 250, .spacing = "trailing"}, discrete, 0.046, kChainPrior},
    {{.sampler = "ddim", .steps = 250, .eta = 1, .spacing = "trailing"}, discrete, 0.102},
    {{.sampler = "ddim-inverse", .steps = 100, .spacing = "trailing"}, discrete, 0.052},
    {{.sampler = "pndm", .steps = 50}, discrete, 0.0078, kChainPrior},
    {{.sampler = "plms", .steps = 50}, discrete, 0.0078, kChainPrior},
    {{.sampler = "dpm-multistep", .steps = 120, .spacing = "linspace"},
     discrete,
     0.0083,
     kChainPrior},
    {{.sampler = "dpm-multistep",
      .steps = 120,
      .spacing = "linspace",
      .final_sigma = "sigma_min",
      .algorithm = "dpmsolver"},
     discrete,
     0.029,
     kChainPrior},
    {{.sampler = "dpm++1", .steps = 200, .spacing = "linspace"}, discrete, 0.058, kChainPrior},
    {{.sampler = "dpm++2m", .steps = 60, .spacing = "linspace", .sigmas = "karras"},
     discrete,
     0.0125,
     kChainPrior},
    {{.sampler = "dpm++2m-sde", .steps = 60, .spacing = "linspace", .sigmas = "karras"},
     discrete,
     0.031},
    {{.sampler = "dpm++3m", .steps = 120, .spacing = "linspace"}, discrete, 0.026, kChainPrior},
    {{.sampler = "dpm-singlestep", .steps = 120}, discrete, 0.045, kChainPrior},
    {{.sampler = "dpm++2s", .steps = 120}, discrete, 0.045, kChainPrior},
    {{.sampler = "unipc", .steps = 120, .spacing = "linspace"}, discrete, 0.014, kChainPrior},
    {{.sampler = "deis", .steps = 120, .spacing = "linspace"}, discrete, 0.018, kChainPrior},
    {{.sampler = "unclip", .steps = 200}, cosine, 0.068},
    {{.sampler = "lcm", .steps = 4}, latent_consistency, 0.0002},
    {{.sampler = "euler", .steps = 200, .spacing = "linspace"}, discrete, 0.052, kChainPrior},
    {{.sampler = "euler", .steps = 200, .spacing = "linspace", .sigmas = "karras", .churn = 40},
     discrete,
     0.14},
    {{.sampler = "euler-ancestral", .steps = 200, .spacing = "linspace"}, discrete, 0.12},
    {{.sampler = "heun", .steps = 60, .spacing = "linspace", .sigmas = "karras"},
     discrete,
     0.01,
     kChainPrior},
    {{.sampler = "kdpm2", .steps = 60, .spacing = "linspace", .sigmas = "karras"},
     discrete,
     0.0064,
     kChainPrior},
    {{.sampler = "kdpm2-ancestral", .steps = 60, .spacing = "linspace", .sigmas = "karras"},
     discrete,
     0.029},
    {{.sampler = "lms", .steps = 60, .spacing = "linspace", .sigmas = "karras"},
     discrete,
     0.0064,
     kChainPrior},
    {{.sampler = "ipndm", .steps = 60, .spacing = "linspace", .sigmas = "karras"},
     discrete,
     0.0064,
     kChainPrior},
    {{.sampler = "dpm-sde", .steps = 60, .spacing = "linspace", .sigmas = "karras"},
     discrete,
     0.013},
    {{.sampler = "edm-euler", .steps = 100}, edm, 0.062, kEdmPrior},
    {{.sampler = "edm-dpm", .steps = 60}, edm, 0.0126, kEdmPrior},
    {{.sampler = "flow-euler", .steps = 100}, flow, 0.043},
    {{.sampler = "flow-heun", .steps = 30}, flow, 0.0044},
    {{.sampler = "consistency", .steps = 3}, consistency, 0.0019},
    {{.sampler = "gan"}, generator, 0.0001},
    {{.sampler = "em", .steps = 200, .eps = 1e-5}, vp, 0.0037},
    {{.sampler = "em", .steps = 200, .eps = 1e-5}, sub_vp, 0.011},
    {{.sampler = "reverse-diffusion", .steps = 200, .eps = 1e-5}, vp, 0.0156},
    {{.sampler = "reverse-diffusion", .steps = 200}, ve, 0.039},
    {{.sampler = "ancestral", .steps = 200, .eps = 1e-5}, vp, 0.0115},
    {{.sampler = "ancestral", .steps = 200}, ve, 0.039},
    {{.sampler = "pc", .steps = 100, .corrector = "ald", .snr = 0.16}, ve, 0.04},
    {{.sampler = "ald", .steps = 40, .snr = 0.2, .corrector_steps = 12}, ve, 0.27},
    {{.sampler = "ode"}, vp, 0.0067},
    {{.sampler = "edm", .steps = 40}, edm, 0.0242, kEdmPrior},
    {{.sampler = "edm", .steps = 40, .churn = 8}, vp, 0.057, kChainPrior},
};

std::string title(const MomentsCase& c) {
  std::string text = c.options.sampler;
  for (const std::string* choice : {&c.options.sigmas, &c.options.variance, &c.options.algorithm})
    if (!choice->empty()) text += " " + *choice;
  if (c.options.eta > 0) text += " eta";
  if (c.options.churn > 0) text += " churn";
  return text;
}

TEST(SamplerMoments, OfEverySamplerAreInTheTable) {
  std::set<std::string> tested;
  for (const MomentsCase& c : kCases) tested.insert(c.options.sampler);
  const std::vector<std::string> names = sampler_names();
  EXPECT_EQ(tested, std::set<std::string>(names.begin(), names.end()));
}

std::vector<AxisMoments> data_moments() {
  std::vector<AxisMoments> data;
  for (size_t j = 0; j < kData.means.size(); ++j)
    data.push_back({kData.means[j], kData.variances[j]});
  return data;
}

// Data become noise: where it begins and where it should end.
bool inverts(const MomentsCase& c) { return c.options.sampler == "ddim-inverse"; }

std::vector<AxisMoments> beginning(const MomentsCase& c, const Sampling& sampling) {
  if (inverts(c)) return data_moments();
  return std::vector<AxisMoments>(kData.means.size(),
                                  {.mean = 0, .variance = sampling.start_std * sampling.start_std});
}

std::vector<AxisMoments> aim(const MomentsCase& c) {
  std::vector<AxisMoments> moments = data_moments();
  if (!inverts(c)) return moments;
  const double alpha_bar = make_schedule(c.model().config).value().alphas_cumprod.back();
  for (AxisMoments& axis : moments)
    axis = {std::sqrt(alpha_bar) * axis.mean, alpha_bar * axis.variance + 1 - alpha_bar};
  return moments;
}

// The probability flow moves x - a μ by the ratio of deviations.
std::vector<AxisMoments> flowed(const Sampling& sampling, const Sde& sde,
                                std::vector<AxisMoments> start) {
  for (size_t j = 0; j < start.size(); ++j) {
    const auto variance = [&](double t) {
      const double a = sde.mean(t), s = sde.std(t);
      return a * a * kData.variances[j] + s * s;
    };
    const double from = sampling.flow->end,
                 ratio = std::sqrt(variance(sampling.to) / variance(from));
    start[j] = {sde.mean(sampling.to) * kData.means[j] +
                    ratio * (start[j].mean - sde.mean(from) * kData.means[j]),
                start[j].variance * ratio * ratio};
  }
  return start;
}

// Of x at the end. A generator that draws x_0 from its posterior leaves every level's law as it is,
// and the last x is x_0: the data, but for the prior in place of x_T.
std::vector<AxisMoments> law_of(const MomentsCase& c, const Sampling& sampling) {
  if (c.options.sampler == "gan") return data_moments();
  if (sampling.flow)
    return flowed(sampling, scheduler_sde(c.model().config).value(), beginning(c, sampling));
  return affine_law(*sampling.method, beginning(c, sampling));
}

double bias_of(const std::vector<AxisMoments>& law, const std::vector<AxisMoments>& truth) {
  double largest = 0;
  for (size_t j = 0; j < law.size(); ++j) {
    const double variance = truth[j].variance;
    largest = std::max({largest, std::fabs(law[j].mean - truth[j].mean) / std::sqrt(variance),
                        std::fabs(law[j].variance / variance - 1)});
  }
  return largest;
}

// Drawn on the host.
std::vector<float> normals(const std::vector<AxisMoments>& axes) {
  std::vector<float> x;
  for (uint32_t i = 0; i < kManyChains; ++i) {
    const std::array<double, 4> z = philox_normal({i, 2, 0, 0}, {3, 5});
    for (size_t j = 0; j < axes.size(); ++j)
      x.push_back(static_cast<float>(axes[j].mean + std::sqrt(axes[j].variance) * z[j]));
  }
  return x;
}

// Correctors then take moves that are so much smaller that they go as far in all; annealed
// dynamics, of whose bias most is that its moves at one level are too few to forget the level
// before, does not.
MomentsCase with_twice_the_steps(MomentsCase c) {
  c.options.steps *= 2;
  if (c.options.corrector_steps == 0) c.options.snr /= std::sqrt(2);
  return c;
}

class SamplerMoments : public DeviceMethod, public testing::WithParamInterface<MomentsCase> {
 protected:
  // Chains from the moments given, seeds 0, 1, 2, ...
  static Result<std::vector<float>> chains(const MomentsCase& c, const Sampling& sampling) {
    const Shape shape{kManyChains, static_cast<int64_t>(kData.means.size())};
    if (sampling.flow) {
      ITO_ASSIGN(auto solver, OdeSolver::create(device(), flow_system(*sampling.flow, shape), {}));
      ITO_TRY(solver->write(flow_ports::kState, normals(beginning(c, sampling))));
      ITO_TRY(solver->solve(sampling.flow->end, sampling.to, 10'000));
      return solver->read(flow_ports::kState);
    }
    MethodSetup setup{.shape = shape, .initial_std = sampling.start_std};
    if (inverts(c)) setup.initial_x = normals(beginning(c, sampling));
    return sample(*sampling.method, setup);
  }
};

// Mean, variance and fourth moment of each axis, and that the axes are independent.
void expect_moments(const std::vector<float>& x, const std::vector<AxisMoments>& law) {
  const auto expect = [&](const char* what, double truth, auto f) {
    const Estimate found = estimate(x, law.size(), f);
    EXPECT_NEAR(found.mean, truth, kStandardErrors * found.error)
        << what << " off by " << (found.mean - truth) / found.error << " standard errors";
  };
  const auto standard = [&](const float* p, size_t j) {
    return (p[j] - law[j].mean) / std::sqrt(law[j].variance);
  };
  for (size_t j = 0; j < law.size(); ++j) {
    SCOPED_TRACE("axis " + std::to_string(j));
    expect("mean", 0, [&](const float* p) { return standard(p, j); });
    expect("variance", 1, [&](const float* p) { return std::pow(standard(p, j), 2); });
    expect("fourth moment", 3, [&](const float* p) { return std::pow(standard(p, j), 4); });
  }
  if (law.size() > 1)
    expect("covariance", 0, [&](const float* p) { return standard(p, 0) * standard(p, 1); });
}

TEST_P(SamplerMoments, AreThoseOfTheDataButForTheBiasOfItsSteps) {
  const MomentsCase& c = GetParam();
  ASSERT_OK_AND_ASSIGN(const Sampling sampling, sampled_by(c.model(), c.options));
  const std::vector<AxisMoments> law = law_of(c, sampling), truth = aim(c);
  const double bias = bias_of(law, truth);
  EXPECT_LE(bias, c.bias);
  if (c.options.steps > 10) {
    const MomentsCase finer = with_twice_the_steps(c);
    ASSERT_OK_AND_ASSIGN(const Sampling more, sampled_by(finer.model(), finer.options));
    // A half at first order.
    EXPECT_LE(bias_of(law_of(finer, more), truth), 0.6 * bias + c.floor);
  }
  ASSERT_OK_AND_ASSIGN(const std::vector<float> x, chains(c, sampling));
  expect_moments(x, law);
}

INSTANTIATE_TEST_SUITE_P(Samplers, SamplerMoments, testing::ValuesIn(kCases), [](const auto& info) {
  std::string name = std::to_string(info.index) + "_";
  for (const char c : title(info.param))
    name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

// N(μ, s²) in one dimension, and what was computed of it independently in double.
class AnalyticMoments : public DeviceMethod {
 protected:
  static Json golden() {
    return read_json(source_folder() + "/tests/golden/analytic/closed_form.json").value();
  }
  static AxisMoments moments(const Json& json) {
    return json.is_array()
               ? AxisMoments{json.at(0).get<double>(), json.at(1).get<double>()}
               : AxisMoments{json.at("mean").get<double>(), json.at("var").get<double>()};
  }

  // The chain's steps one after another; looks at x after each timestep that `expected` names
  // "t100" and so on, and at the end.
  static void follow(const Method& method, const std::vector<double>& timesteps,
                     const std::map<std::string, AxisMoments>& expected, const AxisMoments& end) {
    const MethodSetup setup{.shape = {kManyChains, 1}, .replays = 1};
    ASSERT_OK_AND_ASSIGN(const auto loop, run_method(method, setup));
    uint32_t waiting = 0;
    size_t seen = 0;
    for (size_t i = 0; i < timesteps.size(); ++i) {
      const auto found = expected.find(fmt::format("t{:.0f}", timesteps[i]));
      const bool last = i + 1 == timesteps.size();
      if (i > 0) ++waiting;
      if (found == expected.end() && !last) continue;
      if (waiting > 0) {
        ASSERT_OK(loop->run(std::exchange(waiting, 0)));
      }
      ASSERT_OK_AND_ASSIGN(const std::vector<float> x, loop->read(sampling_ports::kX));
      SCOPED_TRACE(timesteps[i]);
      if (found != expected.end()) {
        expect_moments(x, {found->second});
        ++seen;
      }
      if (last) expect_moments(x, {end});
    }
    EXPECT_EQ(seen, expected.size());
  }
};

TEST_F(AnalyticMoments, AreThoseOfDdpmAndDdimWithEveryScheduleAndVariance) {
  const Json golden = AnalyticMoments::golden();
  const double mu = golden.at("mu").get<double>(), s = golden.at("s").get<double>();
  size_t rows = 0;
  for (const char* schedule : {"linear", "cosine"}) {
    for (const auto& [key, expected] : golden.at(schedule).items()) {
      const bool ddpm = key.starts_with("ddpm_");
      if (!ddpm && !key.starts_with("ddim_")) continue;
      SCOPED_TRACE(std::string(schedule) + " " + key);
      SchedulerConfig config;
      config.clip_sample = false;
      if (schedule == std::string("cosine")) config.beta_schedule = "squaredcos_cap_v2";
      SolverOptions options{.steps = config.num_train_timesteps};
      if (ddpm) {
        config.variance_type = key.substr(5);
      } else {
        options.steps = key.find("_50_") != std::string::npos ? 50 : 10;
        options.eta = key.find("eta1") != std::string::npos ? 1 : 0;
        config.timestep_spacing = key.substr(key.rfind('_') + 1);
      }
      ASSERT_OK_AND_ASSIGN(const Solver solver,
                           make_solver(ddpm ? "ddpm" : "ddim", config, options));
      const Method method = solver_method(
          solver, mixture_denoiser({{1.0}, {{mu}}, {{s * s}}}, make_schedule(config).value(),
                                   Prediction::kEpsilon));
      std::map<std::string, AxisMoments> after;
      if (ddpm)
        for (const auto& [t, values] : expected.at("after_step_t").items())
          after.emplace(t, moments(values));
      follow(method, solver.timesteps(), after, moments(expected));
      ++rows;
    }
  }
  EXPECT_EQ(rows, 20u);
}

// Unadjusted Langevin with x + h s + √(2h) z and x + h/2 s + √h z from N(μ, s²), as often as it
// takes to forget but a millionth of how far that is from the chain's own variance.
TEST_F(AnalyticMoments, AreThoseThatLangevinStepsLeaveUnchanged) {
  const Json golden = AnalyticMoments::golden();
  const double mu = golden.at("mu").get<double>(), s = golden.at("s").get<double>();
  const ScoreFunction score = [=](Tensor x, Tensor) { return (x - mu) * (-1 / (s * s)); };
  for (const Json& row : golden.at("ula")) {
    const double h = row.at("h").get<double>();
    for (const auto& [key, step] :
         {std::pair{"stationary_var_h_sqrt2h", 2 * h}, {"stationary_var_halfh_sqrth", h}}) {
      SCOPED_TRACE(std::string(key) + " " + std::to_string(h));
      const double kept = 1 - step / 2 / (s * s);
      const int steps = static_cast<int>(std::ceil(std::log(1e-3) / std::log(std::fabs(kept))));
      ASSERT_OK_AND_ASSIGN(const Method chain,
                           langevin(score, {.step_size = step, .steps = steps}));
      ASSERT_OK_AND_ASSIGN(
          const std::vector<float> x,
          sample(chain, {.shape = {kManyChains, 1}, .initial_x = normals({{mu, s * s}})}));
      expect_moments(x, {{mu, row.at(key).get<double>()}});
    }
  }
}

}  // namespace
}  // namespace ito::test
