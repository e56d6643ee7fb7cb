// Every sampler on a mixture with its exact score. On the host: the law of the discretised sampler
// tends to the mixture as its steps are refined. On the device: 100,000 chains have the mean,
// covariance and weights of that law, bias included, within 4 standard errors and nothing else.
#include "tests/diffusion/sampler_law.h"

#include <functional>

#include "api/ode_solver.h"
#include "diffusion/langevin.h"
#include "diffusion/samplers.h"
#include "tests/diffusion/mixture_denoiser.h"
#include "tests/diffusion/mixture_statistics.h"

namespace ito::test {
namespace {

// A sampler at several numbers of steps: refinement r has r times as many. `replays` of `program`
// move the state `state`.
struct Subject {
  std::string name;
  GaussianMixture start;  // what the device's chains are drawn from, and the law begins at
  std::function<Program(int refinement)> program;
  int replays = 0;
  std::string state = sampling_ports::kX.name;
  std::function<PlaneLaw(int refinement)> law;
  PlaneMoments limit;  // of the law for ever smaller steps, but for `floor`:
  double floor = 0;    // what no number of steps removes
  int coarsest = 4;    // the refinement at which the limit is sought, with 2 and 4 times as many
};

// Errors of the laws' grid.
constexpr double kGrid = 1e-5;

const Sde kClean{.kind = Sde::Kind::kEdm, .sigma_min = 0.002, .sigma_max = 80};  // data at time 0

Subject chain_method(std::string name, std::function<Result<Method>(int refinement)> chain) {
  Subject method;
  method.name = std::move(name);
  method.replays = chain(1).value().steps;
  method.program = [chain = std::move(chain)](int refinement) {
    return method_program(chain(refinement).value(), {.shape = {kChains, 2}});
  };
  return method;
}

void start_at_data(Subject& method, double a, double s) {
  method.start = noised(equal_modes().mixture(), a, s);
}

void start_at_noise(Subject& method, double deviation) {
  const double variance = deviation * deviation;
  method.start = {{1.0}, {{0.0, 0.0}}, {{variance, variance}}};
}

double largest_difference(const PlaneMoments& a, const PlaneMoments& b) {
  double largest = 0;
  for (size_t i = 0; i < a.values().size(); ++i)
    largest = std::max(largest, std::fabs(a.values()[i] - b.values()[i]));
  return largest;
}

// From the exact marginal at the end to the data. Correctors have a signal-to-noise ratio r that
// falls as N^-½, so that r² N, how far they go in all, stays.
Subject with_predictor(const Sde& sde, Predictor predictor, Corrector corrector) {
  const auto chain = [=](int refinement) {
    return predictor_corrector(sde, mixture_score(equal_modes().mixture(), sde),
                               {.predictor = predictor,
                                .corrector = corrector,
                                .steps = 20 * refinement,
                                .snr = 0.2 / std::sqrt(refinement),
                                .end_time = sde.kind == Sde::Kind::kEdm ? 0 : 1e-5,
                                .denoise = false,
                                .norm_over = NormOver::kBatch});
  };
  const double a = sde.mean(sde.end()), s = sde.std(sde.end());
  Subject method = chain_method(chain(1).value().name, chain);
  start_at_data(method, a, s);
  method.law = [=](int refinement) {
    PlaneLaw law = PlaneLaw::noised_data(equal_modes(), a, s);
    follow_predictor_corrector(law, chain(refinement).value(), sde, predictor, corrector);
    return law;
  };
  method.limit = PlaneLaw::noised_data(equal_modes(), 1, 0).moments();
  // VE and EDM end with a step of length σ_min, however many there are.
  method.floor = sde.mean(sde.end()) < 1 ? 0 : 2 * sde.sigma_min * sde.sigma_min;
  method.coarsest = 2;
  return method;
}

// A corrector alone: from too wide a Gaussian to the marginal at the end, where it stays. Its bias
// is of order r², which falls as 1/N.
Subject corrector_alone(const Sde& sde, Corrector corrector) {
  const double end_time = 0.9999 * sde.end(), wide = 2;
  const auto chain = [=](int refinement) {
    return predictor_corrector(sde, mixture_score(equal_modes().mixture(), sde),
                               {.predictor = Predictor::kNone,
                                .corrector = corrector,
                                .steps = 60 * refinement,
                                .snr = 0.4 / std::sqrt(refinement),
                                .end_time = end_time,
                                .denoise = false,
                                .norm_over = NormOver::kBatch});
  };
  Subject method = chain_method(chain(1).value().name, chain);
  start_at_noise(method, wide);
  method.law = [=](int refinement) {
    PlaneLaw law = PlaneLaw::noise(equal_modes(), wide);
    follow_predictor_corrector(law, chain(refinement).value(), sde, Predictor::kNone, corrector);
    return law;
  };
  method.limit =
      PlaneLaw::noised_data(equal_modes(), sde.mean(end_time), sde.std(end_time)).moments();
  // How far the marginal moves on the way.
  method.floor = largest_difference(
      PlaneLaw::noised_data(equal_modes(), sde.mean(sde.end()), sde.std(sde.end())).moments(),
      method.limit);
  method.coarsest = 2;
  return method;
}

std::vector<Subject> predictor_corrector_methods() {
  std::vector<Subject> methods;
  for (const Sde::Kind kind :
       {Sde::Kind::kVe, Sde::Kind::kVp, Sde::Kind::kSubVp, Sde::Kind::kEdm}) {
    const Sde sde{
        .kind = kind, .beta_min = 0.1, .beta_max = 2.5, .sigma_min = 0.01, .sigma_max = 1};
    for (const Corrector corrector : {Corrector::kNone, Corrector::kLangevin, Corrector::kAld}) {
      if (corrector != Corrector::kNone) methods.push_back(corrector_alone(sde, corrector));
      for (const Predictor predictor : {Predictor::kEulerMaruyama, Predictor::kReverseDiffusion,
                                        Predictor::kReverseDiffusionOde, Predictor::kAncestral})
        if (predictor != Predictor::kAncestral || kind != Sde::Kind::kSubVp)
          methods.push_back(with_predictor(sde, predictor, corrector));
    }
  }
  return methods;
}

Subject edm_method(bool heun, double churn) {
  const Sde sde{.kind = Sde::Kind::kEdm, .sigma_min = 0.01, .sigma_max = 5};
  const auto options = [=](int refinement) {
    return EdmSamplerOptions{.steps = 16 * refinement, .heun = heun, .s_churn = churn};
  };
  Subject method = chain_method(
      std::string("edm ") + (heun ? "heun" : "euler") + (churn > 0 ? ", churn" : ""),
      [=](int refinement) {
        return edm_sampler(sde, mixture_score(equal_modes().mixture(), sde), options(refinement));
      });
  start_at_data(method, 1, sde.sigma_max);
  method.law = [=](int refinement) {
    PlaneLaw law = PlaneLaw::noised_data(equal_modes(), 1, sde.sigma_max);
    follow_edm(law, sde, options(refinement));
    return law;
  };
  method.limit = PlaneLaw::noised_data(equal_modes(), 1, 0).moments();
  method.floor = 2 * sde.sigma_min * sde.sigma_min;  // the last step's length
  return method;
}

Subject unadjusted_langevin() {
  const double eta = 0.2;
  const int steps = 300;
  Subject method = chain_method("unadjusted langevin", [=](int refinement) {
    return langevin(mixture_score(equal_modes().mixture(), kClean),
                    {.step_size = eta / refinement, .steps = steps * refinement});
  });
  start_at_noise(method, 1);
  method.law = [=](int refinement) {
    PlaneLaw law = PlaneLaw::noise(equal_modes(), 1);
    follow_langevin(law, 0, eta / refinement / 2, steps * refinement);
    return law;
  };
  method.limit = PlaneLaw::noised_data(equal_modes(), 1, 0).moments();
  method.coarsest = 2;
  return method;
}

Subject annealed(AnnealedForm form, bool denoise) {
  const std::vector<double> sigmas = {2.0, 1.2, 0.7};
  const bool ncsn = form == AnnealedForm::kNcsn;
  const auto options = [=](int refinement) {
    return AnnealedLangevinOptions{.form = form,
                                   .epsilon = 0.25 / refinement,
                                   .steps_per_level = (ncsn ? 72 : 36) * refinement,
                                   .denoise = denoise};
  };
  Subject method = chain_method(
      std::string(ncsn ? "ncsn" : "ncsnv2") + (denoise ? ", denoised" : ""), [=](int refinement) {
        const Sde sde{.kind = Sde::Kind::kEdm, .sigma_min = 0.7, .sigma_max = 2};
        return annealed_langevin(sigmas, sigmas, mixture_score(equal_modes().mixture(), sde),
                                 options(refinement));
      });
  start_at_noise(method, 2);
  const auto law_of = [=](const AnnealedLangevinOptions& chosen) {
    PlaneLaw law = PlaneLaw::noise(equal_modes(), 2);
    follow_annealed_langevin(law, sigmas, chosen);
    if (denoise) follow_denoising(law, sigmas.back());
    return law;
  };
  method.law = [=](int refinement) { return law_of(options(refinement)); };
  PlaneLaw limit = PlaneLaw::noised_data(equal_modes(), 1, sigmas.back());
  if (denoise) follow_denoising(limit, sigmas.back());
  method.limit = limit.moments();
  // How far the levels' finite time leaves the law from its rest: what twice the time changes.
  AnnealedLangevinOptions longer = options(1);
  longer.steps_per_level *= 2;
  method.floor = largest_difference(law_of(options(1)).moments(), law_of(longer).moments());
  method.coarsest = 2;
  return method;
}

// DDPM with the small or the large variance, or DDIM.
Subject discrete_chain(const std::string& variance, double eta) {
  const bool ddim = variance.empty();
  SchedulerConfig config;
  config.clip_sample = false;
  if (!ddim) config.variance_type = variance;
  const NoiseSchedule schedule = make_schedule(config).value();
  const auto sampler = [=](int refinement) {
    return make_solver(ddim ? "ddim" : "ddpm", config, {.steps = 25 * refinement, .eta = eta})
        .value();
  };
  const auto alpha_bars = [=](int refinement) {
    std::vector<double> values;
    for (const double t : sampler(refinement).timesteps())
      values.push_back(schedule.alpha_bar(static_cast<int>(t)));
    values.push_back(1);
    return values;
  };
  const double first = alpha_bars(1)[0];
  Subject method;
  method.name = ddim ? "ddim, eta " + std::to_string(eta) : "ddpm, " + variance;
  method.replays = sampler(1).steps();
  start_at_data(method, std::sqrt(first), std::sqrt(1 - first));
  method.program = [=](int refinement) {
    return method_program(
        solver_method(sampler(refinement),
                      mixture_denoiser(equal_modes().mixture(), schedule, Prediction::kEpsilon)),
        {.shape = {kChains, 2}});
  };
  method.law = [=](int refinement) {
    const std::vector<double> levels = alpha_bars(refinement);
    PlaneLaw law =
        PlaneLaw::noised_data(equal_modes(), std::sqrt(levels[0]), std::sqrt(1 - levels[0]));
    if (ddim)
      follow_ddim(law, levels, eta);
    else
      follow_ddpm(law, levels, variance == "fixed_large");
    return law;
  };
  method.limit = PlaneLaw::noised_data(equal_modes(), 1, 0).moments();
  method.floor = 2 * (1 - schedule.alpha_bar(0));  // the last step's length
  method.coarsest = 10;                            // up to all of the 1000 timesteps
  return method;
}

std::vector<Subject> other_methods() {
  std::vector<Subject> methods = {edm_method(true, 0), edm_method(true, 4), edm_method(false, 0),
                                  edm_method(false, 4), unadjusted_langevin()};
  for (const AnnealedForm form : {AnnealedForm::kNcsn, AnnealedForm::kNcsnV2})
    for (const bool denoise : {false, true}) methods.push_back(annealed(form, denoise));
  methods.push_back(discrete_chain("fixed_small", 0));
  methods.push_back(discrete_chain("fixed_large", 0));
  methods.push_back(discrete_chain("", 0));
  methods.push_back(discrete_chain("", 1));
  return methods;
}

// The moments T(N) of N steps, extrapolated to R(N) = 2 T(2N) - T(N), whose error is of second
// order in 1/N: it falls to a quarter or less when N doubles, so the difference of two such
// extrapolations bounds that of the finer one. The bound is less than one standard error of 100,000
// chains.
void expect_limit(const Subject& method) {
  SCOPED_TRACE(method.name);
  std::vector<std::array<double, 5>> moments;
  for (const int factor : {1, 2, 4})
    moments.push_back(method.law(factor * method.coarsest).moments().values());
  const std::array<double, 5> truth = method.limit.values(), error = method.limit.errors(kChains);
  for (size_t i = 0; i < truth.size(); ++i) {
    const double coarse = 2 * moments[1][i] - moments[0][i];
    const double fine = 2 * moments[2][i] - moments[1][i];
    const double bound = std::fabs(fine - coarse) + method.floor + kGrid;
    EXPECT_NEAR(fine, truth[i], bound) << "moment " << i;
    EXPECT_LT(bound, error[i]) << "moment " << i << ", " << fine - truth[i];
  }
}

TEST(SamplerLaw, OfEveryPredictorAndCorrectorTendsToTheMixture) {
  for (const Subject& method : predictor_corrector_methods()) expect_limit(method);
}
TEST(SamplerLaw, OfEveryOtherSamplerTendsToItsLimit) {
  for (const Subject& method : other_methods()) expect_limit(method);
}

class SamplerChains : public DeviceMethod {
 protected:
  static Result<std::vector<float>> run(const Subject& method) {
    ITO_ASSIGN(auto loop, executor_for(method.program(1)));
    std::vector<uint32_t> seeds(kChains);
    std::iota(seeds.begin(), seeds.end(), 0);
    ITO_TRY(write_seeds(*loop, seeds));
    ITO_TRY(loop->write(method.state, exact_samples(method.start)));
    ITO_TRY(loop->run(static_cast<uint32_t>(method.replays)));
    return loop->read<float>(method.state);
  }

  static void expect_chains_have_their_law(const std::vector<Subject>& methods) {
    for (const Subject& method : methods) {
      SCOPED_TRACE(method.name);
      ASSERT_OK_AND_ASSIGN(const std::vector<float> x, run(method));
      expect_law(x, method.law(1));
    }
  }
};

TEST_F(SamplerChains, OfEveryPredictorAndCorrectorHaveTheirLaw) {
  expect_chains_have_their_law(predictor_corrector_methods());
}
TEST_F(SamplerChains, OfEveryOtherSamplerHaveTheirLaw) {
  expect_chains_have_their_law(other_methods());
}

// The adaptive solver keeps its tolerance of 1e-5, a hundredth of a standard error, in each of its
// some dozens of steps: it has no bias to speak of, and takes the marginal at the end to the one at
// the start.
TEST_F(SamplerChains, OfTheAdaptiveProbabilityFlowHaveTheMixturesMoments) {
  for (const Sde::Kind kind :
       {Sde::Kind::kVe, Sde::Kind::kVp, Sde::Kind::kSubVp, Sde::Kind::kEdm}) {
    const Sde sde{
        .kind = kind, .beta_min = 0.1, .beta_max = 2.5, .sigma_min = 0.05, .sigma_max = 1};
    SCOPED_TRACE(sde_name(kind));
    const ProbabilityFlow flow = probability_flow(sde, mixture_score(two_modes(), sde));
    ASSERT_OK_AND_ASSIGN(auto solver,
                         OdeSolver::create(device(), flow_system(flow, {kChains, 2}), {}));
    ASSERT_OK(
        solver->write(flow_ports::kState,
                      exact_samples(noised(two_modes(), sde.mean(flow.end), sde.std(flow.end)))));
    ASSERT_OK(solver->solve(flow.end, flow.start, 10'000));
    ASSERT_OK_AND_ASSIGN(const std::vector<float> x, solver->read(flow_ports::kState));
    expect_mixture(x, noised(two_modes(), sde.mean(flow.start), sde.std(flow.start)));
  }
}

}  // namespace
}  // namespace ito::test
