// Likelihoods and encodings along the probability flow of Gaussian mixtures, whose densities are
// known at every time.
#include "diffusion/likelihood.h"

#include <cmath>
#include <numeric>

#include "api/ode_solver.h"
#include "diffusion/sampling_program.h"
#include "graph/builder.h"
#include "tests/support/run_program.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

constexpr OdeOptions kTight{.rtol = 1e-6, .atol = 1e-6};
constexpr int64_t kMost = 10'000;

GaussianMixture mixture() {
  return {.weights = {0.3, 0.7},
          .means = {{-0.8, 0.5, 0.1}, {0.6, -0.4, 0.9}},
          .variances = {{0.04, 0.2, 0.1}, {0.1, 0.05, 0.3}}};
}

// Points around and between the components, [8, 3].
std::vector<float> points() {
  std::vector<float> x;
  for (int i = 0; i < 8; ++i)
    for (int d = 0; d < 3; ++d) x.push_back(static_cast<float>(std::sin(2.3 * i + 1.7 * d)));
  return x;
}

// ε of `mixture()` at fractional timesteps: ln(s/a) is linear between them.
Denoiser continuous_denoiser(const NoiseSchedule& schedule, Prediction prediction) {
  return [=](Tensor x, Tensor t) {
    std::vector<double> levels;
    for (const double a : schedule.alphas_cumprod) levels.push_back(std::log((1 - a) / a));
    Graph& graph = x.graph();
    const Tensor table = constant(graph, {schedule.num_timesteps()}, levels);
    const Tensor below = minimum(floor(t), full(graph, t.shape(), schedule.num_timesteps() - 2));
    const Tensor low = gather(table, cast(below, DType::kU32));
    const Tensor high = gather(table, cast(below + 1.0, DType::kU32));
    const Tensor tau = low + (t - below) * (high - low);
    const Tensor a = sqrt(sigmoid(-tau)), s = sqrt(sigmoid(tau));
    const MixturePosterior best = mixture_posterior(mixture(), x, a, s);
    return prediction_target(prediction, best.x0, best.epsilon, per_image(a, x.rank()),
                             per_image(s, x.rank()));
  };
}

class LikelihoodOnDevice : public VulkanTest {
 protected:
  struct Encoded {
    std::vector<double> z;      // [n, d]
    std::vector<double> delta;  // [n, columns], nats
    OdeReport report;
  };

  // probes: from "key" and these seeds of the images.
  Result<Encoded> encode(const ProbabilityFlow& flow, const Shape& shape,
                         const std::vector<float>& x, const LikelihoodOptions& options,
                         const std::vector<uint32_t>& seeds = {}) {
    const OdeSystem system = likelihood_system(flow, shape, options);
    ITO_ASSIGN(auto solver, OdeSolver::create(device(), system, kTight));
    if (options.divergence != Divergence::kExact) {
      ITO_ASSIGN(Plan plan, compile(probe_program(shape, options), device().caps()));
      ITO_ASSIGN(auto probes, Executor::create(device(), std::move(plan)));
      ITO_TRY(probes->write("key", std::vector<uint32_t>{3, 4}));
      ITO_TRY(probes->write("image", seeds));
      for (int k = 0; k < options.probes; ++k) {
        const auto name = likelihood_ports::kProbe[k];
        ITO_ASSIGN(DeviceTensor tensor, solver->tensor(name));
        ITO_TRY(probes->bind(name, std::move(tensor)));
      }
      ITO_TRY(probes->run());
      ITO_TRY(probes->wait());
    }
    ITO_TRY(solver->write(flow_ports::kState, x));
    ITO_TRY(
        solver->write(likelihood_ports::kDelta,
                      std::vector<float>(static_cast<size_t>(shape[0] * options.columns()), 0.0f)));
    Encoded result;
    ITO_ASSIGN(result.report, solver->solve(flow.start, flow.end, kMost));
    ITO_ASSIGN(result.z, solver->value(kFlowComponent));
    ITO_ASSIGN(result.delta, solver->value(kDeltaComponent));
    for (double& value : result.delta) value *= static_cast<double>(shape.numel() / shape[0]);
    return result;
  }

  // ln p of the points by the flow, the exact density at the end being the prior, against the exact
  // density at the start: what is integrated is then the only source of error.
  void expect_exact_density(const ProbabilityFlow& flow, double a0, double s0, double a1, double s1,
                            const std::string& what) {
    const std::vector<float> x = points();
    ASSERT_OK_AND_ASSIGN(const Encoded found,
                         encode(flow, {8, 3}, x, {.divergence = Divergence::kExact}));
    for (size_t i = 0; i < 8; ++i) {
      const std::vector<double> start(x.begin() + static_cast<ptrdiff_t>(3 * i),
                                      x.begin() + static_cast<ptrdiff_t>(3 * i + 3));
      const std::vector<double> end(found.z.begin() + static_cast<ptrdiff_t>(3 * i),
                                    found.z.begin() + static_cast<ptrdiff_t>(3 * i + 3));
      EXPECT_NEAR(mixture_log_density(mixture(), end, a1, s1) + found.delta[i],
                  mixture_log_density(mixture(), start, a0, s0), 1e-3)
          << what << ", point " << i;
    }
  }
};

TEST_F(LikelihoodOnDevice, LogDensityOfSdesIsExact) {
  for (const Sde::Kind kind :
       {Sde::Kind::kVe, Sde::Kind::kVp, Sde::Kind::kSubVp, Sde::Kind::kEdm}) {
    Sde sde;
    sde.kind = kind;
    const ProbabilityFlow flow = probability_flow(sde, mixture_score(mixture(), sde));
    expect_exact_density(flow, sde.mean(flow.start), sde.std(flow.start), sde.mean(flow.end),
                         sde.std(flow.end), sde_name(kind));
  }
}

// As a user gets it, the end being the model's prior. The processes end noisier than usual, so that
// the prior is the data's last density to 1e-4 nats.
TEST_F(LikelihoodOnDevice, LogDensityByThePriorIsTheClosedForm) {
  for (const Sde& sde :
       {Sde{.kind = Sde::Kind::kVe, .sigma_max = 1e5}, Sde{.kind = Sde::Kind::kVp, .beta_max = 48},
        Sde{.kind = Sde::Kind::kSubVp, .beta_max = 48}}) {
    SCOPED_TRACE(sde_name(sde.kind));
    const ProbabilityFlow flow = probability_flow(sde, mixture_score(mixture(), sde));
    const std::vector<float> x = points();
    ASSERT_OK_AND_ASSIGN(const Encoded found,
                         encode(flow, {8, 3}, x, {.divergence = Divergence::kExact}));
    for (size_t i = 0; i < 8; ++i) {
      const std::vector<double> start(x.data() + 3 * i, x.data() + 3 * i + 3);
      const std::vector<double> end(found.z.data() + 3 * i, found.z.data() + 3 * i + 3);
      const std::vector<float> z(end.begin(), end.end());
      const double prior = gaussian_log_density(z, flow.prior_std);
      EXPECT_NEAR(prior, mixture_log_density(mixture(), end, sde.mean(flow.end), sde.std(flow.end)),
                  1e-4);
      EXPECT_NEAR(prior + found.delta[i],
                  mixture_log_density(mixture(), start, sde.mean(flow.start), sde.std(flow.start)),
                  1e-3)
          << "point " << i;
    }
  }
}

TEST_F(LikelihoodOnDevice, LogDensityOfDiscreteChainsIsExact) {
  struct Case {
    const char* schedule;
    Prediction prediction;
  };
  for (const Case& c :
       {Case{"squaredcos_cap_v2", Prediction::kEpsilon}, Case{"linear", Prediction::kV}}) {
    SchedulerConfig config;
    config.beta_schedule = c.schedule;
    const NoiseSchedule schedule = make_schedule(config).value();
    ASSERT_OK_AND_ASSIGN(
        const ProbabilityFlow flow,
        probability_flow(schedule, c.prediction, continuous_denoiser(schedule, c.prediction)));
    const double first = schedule.alpha_bar(0), last = schedule.alpha_bar(999);
    expect_exact_density(flow, std::sqrt(first), std::sqrt(1 - first), std::sqrt(last),
                         std::sqrt(1 - last), c.schedule);
  }
}

// All images are the same point, so that the estimates are a sample of one distribution.
TEST_F(LikelihoodOnDevice, HutchinsonEstimatesTheTrace) {
  Sde sde;
  const ProbabilityFlow flow = probability_flow(sde, mixture_score(mixture(), sde));
  const std::vector<float> point = {-0.2f, 0.3f, 0.6f};
  ASSERT_OK_AND_ASSIGN(const Encoded exact,
                       encode(flow, {1, 3}, point, {.divergence = Divergence::kExact}));
  const int64_t n = 64;
  std::vector<float> x;
  std::vector<uint32_t> seeds;
  for (uint32_t i = 0; i < n; ++i) {
    x.insert(x.end(), point.begin(), point.end());
    seeds.push_back(i);
  }
  std::vector<double> variances;
  for (const Divergence divergence : {Divergence::kRademacher, Divergence::kGaussian}) {
    ASSERT_OK_AND_ASSIGN(const Encoded found,
                         encode(flow, {n, 3}, x, {.divergence = divergence, .probes = 4}, seeds));
    const double count = static_cast<double>(found.delta.size());
    ASSERT_EQ(count, 256);
    const double mean = std::accumulate(found.delta.begin(), found.delta.end(), 0.0) / count;
    double squares = 0;
    for (const double value : found.delta) squares += (value - mean) * (value - mean);
    const double variance = squares / (count - 1);
    SCOPED_TRACE(static_cast<int>(divergence));
    EXPECT_GT(variance, 1e-6);
    EXPECT_NEAR(mean, exact.delta[0], 4 * std::sqrt(variance / count));
    variances.push_back(variance);
  }
  EXPECT_LT(variances[0], variances[1]);
}

TEST_F(LikelihoodOnDevice, AnImageDoesNotDependOnItsBatch) {
  Sde sde;
  sde.kind = Sde::Kind::kVe;
  const ProbabilityFlow flow = probability_flow(sde, mixture_score(mixture(), sde));
  const LikelihoodOptions options{.divergence = Divergence::kRademacher, .probes = 2};
  const std::vector<float> x = points();
  ASSERT_OK_AND_ASSIGN(const Encoded whole,
                       encode(flow, {8, 3}, x, options, {5, 6, 7, 8, 9, 10, 11, 12}));
  ASSERT_OK_AND_ASSIGN(
      const Encoded part,
      encode(flow, {2, 3}, std::vector<float>(x.begin() + 9, x.begin() + 15), options, {8, 9}));
  EXPECT_EQ(part.z, std::vector<double>(whole.z.begin() + 9, whole.z.begin() + 15));
  EXPECT_EQ(part.delta, std::vector<double>(whole.delta.begin() + 6, whole.delta.begin() + 10));
  EXPECT_EQ(part.report.evaluations,
            (std::vector<uint32_t>{whole.report.evaluations[3], whole.report.evaluations[4]}));
}

// A point between the components is moved far by a small change of its latent, so the error of the
// way there and back is measured by that: it is less than what a change of z by 2e-5 of itself
// does, which is what some dozens of steps of 1e-6 add up to.
TEST_F(LikelihoodOnDevice, DecodingUndoesEncoding) {
  for (const Sde::Kind kind :
       {Sde::Kind::kVe, Sde::Kind::kVp, Sde::Kind::kSubVp, Sde::Kind::kEdm}) {
    Sde sde;
    sde.kind = kind;
    const ProbabilityFlow flow = probability_flow(sde, mixture_score(mixture(), sde));
    ASSERT_OK_AND_ASSIGN(auto solver,
                         OdeSolver::create(device(), flow_system(flow, {8, 3}), kTight));
    const auto follow = [&](const std::vector<float>& from, double t0,
                            double t1) -> Result<std::vector<float>> {
      ITO_TRY(solver->write(flow_ports::kState, from));
      ITO_TRY(solver->solve(t0, t1, kMost));
      return solver->read(flow_ports::kState);
    };
    const std::vector<float> x = points();
    ASSERT_OK_AND_ASSIGN(std::vector<float> z, follow(x, flow.start, flow.end));
    ASSERT_OK_AND_ASSIGN(const std::vector<float> back, follow(z, flow.end, flow.start));
    for (float& value : z) value *= 1 + 2e-5f;
    ASSERT_OK_AND_ASSIGN(const std::vector<float> moved, follow(z, flow.end, flow.start));
    for (size_t i = 0; i < 8; ++i) {
      double error = 0, change = 0;
      for (size_t e = 3 * i; e < 3 * i + 3; ++e) {
        error = std::max(error, std::fabs(static_cast<double>(back[e]) - x[e]));
        change = std::max(change, std::fabs(static_cast<double>(moved[e]) - back[e]));
      }
      EXPECT_LT(error, change) << sde_name(kind) << ", point " << i;
      EXPECT_LT(error, 1e-3) << sde_name(kind) << ", point " << i;
    }
  }
}

// And back from the other end, where the steps choose other points: what the two differ by is what
// the integral is off by, to a factor of three and the rounding of float32.
TEST_F(LikelihoodOnDevice, LineIntegralsGiveLogDensityDifferencesBothWays) {
  const std::vector<float> x = points();
  const std::vector<float> times = {0.001f, 0.01f, 0.05f, 0.1f, 0.3f, 0.6f, 1.0f};
  for (const Sde::Kind kind : {Sde::Kind::kVe, Sde::Kind::kVp, Sde::Kind::kSubVp}) {
    Sde sde;
    sde.kind = kind;
    const ScoreFunction score = mixture_score(mixture(), sde);
    const auto density = [&](size_t k, double time) {
      const std::vector<double> at(x.begin() + static_cast<ptrdiff_t>(3 * k),
                                   x.begin() + static_cast<ptrdiff_t>(3 * k + 3));
      return mixture_log_density(mixture(), at, sde.mean(time), sde.std(time));
    };
    for (const double tolerance : {kTight.rtol, 1e-4}) {
      ASSERT_OK_AND_ASSIGN(auto solver, OdeSolver::create(device(), line_system(score, {7, 3}),
                                                          {.rtol = tolerance, .atol = tolerance}));
      ASSERT_OK(
          solver->write(likelihood_ports::kLineFrom, std::vector<float>(x.begin(), x.end() - 3)));
      ASSERT_OK(
          solver->write(likelihood_ports::kLineTo, std::vector<float>(x.begin() + 3, x.end())));
      ASSERT_OK(solver->write(likelihood_ports::kLineTime, times));
      const auto integral = [&](double from, double to) -> Result<std::vector<double>> {
        ITO_TRY(solver->write(likelihood_ports::kDifference, std::vector<float>(7, 0.0f)));
        ITO_TRY(solver->solve(from, to, kMost));
        return solver->value("difference");
      };
      ASSERT_OK_AND_ASSIGN(const std::vector<double> there, integral(0, 1));
      ASSERT_OK_AND_ASSIGN(const std::vector<double> back, integral(1, 0));
      for (size_t i = 0; i < 7; ++i) {
        const double off = std::fabs(there[i] - (density(i + 1, times[i]) - density(i, times[i])));
        EXPECT_LE(off, 3 * std::fabs(there[i] + back[i]) + 2e-4)
            << sde_name(kind) << ", time " << times[i] << ", tolerance " << tolerance;
        if (tolerance == kTight.rtol) {
          EXPECT_LE(off, 1e-4) << sde_name(kind) << ", time " << times[i];
        }
      }
    }
  }
}

// u of (b + u)/128 - 1 in 32 images of 64x64 bytes.
class Dequantisation : public VulkanTest {
 protected:
  static constexpr int64_t kImages = 32, kPixels = 64 * 64;

  static std::vector<double> draw(double first_key) {
    const Shape shape{kImages, 64, 64, 1};
    HostValue pixels{shape, {}}, images{{kImages}, {}};
    for (int64_t i = 0; i < kImages * kPixels; ++i)
      pixels.data.push_back(static_cast<double>(i * 7 % 256));
    for (int64_t i = 0; i < kImages; ++i) images.data.push_back(static_cast<double>(100 + i));
    const auto results =
        run_on_device(device(), dequantisation_program(shape),
                      {{"pixels", pixels}, {"key", {{2}, {first_key, 2}}}, {"image", images}});
    EXPECT_TRUE(results.ok());
    std::vector<double> u = results->at("y.x").data;
    for (size_t i = 0; i < u.size(); ++i) u[i] = (u[i] + 1) * 128 - pixels.data[i];
    return u;
  }

  // Of uniform numbers, in standard errors of what independence gives.
  static double correlation(const std::vector<double>& u, const std::vector<double>& v,
                            size_t offset) {
    double sum = 0;
    const size_t count = u.size() - offset;
    for (size_t i = 0; i < count; ++i) sum += (u[i] - 0.5) * (v[i + offset] - 0.5) * 12;
    return sum / std::sqrt(static_cast<double>(count));
  }
};

TEST_F(Dequantisation, IsUniformOverTheBytesCube) {
  const std::vector<double> u = draw(1);
  const double count = static_cast<double>(u.size());
  double mean = 0, square = 0;
  std::vector<double> bins(16, 0);
  for (const double value : u) {
    ASSERT_GE(value, 0);
    ASSERT_LE(value, 1);
    mean += value / count;
    square += (value - 0.5) * (value - 0.5) / count;
    ++bins[std::min<size_t>(static_cast<size_t>(value * 16), 15)];
  }
  EXPECT_NEAR(mean, 0.5, 4 * std::sqrt(1 / (12 * count)));
  EXPECT_NEAR(square, 1.0 / 12, 4 * std::sqrt(1 / (180 * count)));
  double chi_square = 0;
  for (const double bin : bins) chi_square += std::pow(bin - count / 16, 2) / (count / 16);
  EXPECT_LT(chi_square, 44.26);  // the 0.9999 quantile for 15 degrees of freedom
}

TEST_F(Dequantisation, IsIndependentOverPixelsImagesAndSeeds) {
  const std::vector<double> u = draw(1), v = draw(2);
  EXPECT_LT(std::fabs(correlation(u, u, 1)), 4) << "neighbouring pixels";
  EXPECT_LT(std::fabs(correlation(u, u, 64)), 4) << "neighbouring rows";
  EXPECT_LT(std::fabs(correlation(u, u, kPixels)), 4) << "images";
  EXPECT_LT(std::fabs(correlation(u, v, 0)), 4) << "seeds";
  EXPECT_EQ(u, draw(1));
}

TEST(Likelihood, BitsPerDimOfUniformBytesIsEight) {
  // The uniform density on [-1, 1)^D.
  EXPECT_NEAR(bits_per_dim(-5 * std::log(2.0), 5) + kByteBits, 8, 1e-12);
  const std::vector<float> z = {0.5f, -2.0f};
  EXPECT_NEAR(gaussian_log_density(z, 3), -0.5 * (4.25 / 9) - std::log(2 * M_PI * 9), 1e-12);
}

TEST(Likelihood, MixtureLogDensityIsTheGaussians) {
  const GaussianMixture one{.weights = {1}, .means = {{0.5, -1}}, .variances = {{0.25, 4}}};
  const std::vector<double> x = {1, 2};
  const double v0 = 0.04 * 0.25 + 0.09, v1 = 0.04 * 4 + 0.09;
  EXPECT_NEAR(mixture_log_density(one, x, 0.2, 0.3),
              -0.5 * (0.81 / v0 + 4.84 / v1 + std::log(4 * M_PI * M_PI * v0 * v1)), 1e-12);
}

TEST(Likelihood, BadRequestsAreNamed) {
  EXPECT_FALSE(check_likelihood({.divergence = Divergence::kRademacher, .probes = 0}, {2, 3}).ok());
  const Status large = check_likelihood({.divergence = Divergence::kExact}, {2, 28, 28, 1});
  ASSERT_FALSE(large.ok());
  EXPECT_NE(large.error().message.find("784"), std::string::npos);
  EXPECT_FALSE(divergence_from_name("sobol").ok());
  EXPECT_EQ(divergence_from_name("exact").value(), Divergence::kExact);
  EXPECT_EQ(divergence_from_name("rademacher").value(), Divergence::kRademacher);
  EXPECT_EQ(divergence_from_name("gaussian").value(), Divergence::kGaussian);
  NoiseSchedule flat{.betas = {0.1, 0.1}, .alphas_cumprod = {0.9, 0.9}};
  EXPECT_FALSE(probability_flow(flat, Prediction::kEpsilon, {}).ok());
  NoiseSchedule gone{.betas = {0.1, 1}, .alphas_cumprod = {0.9, 0}};
  EXPECT_FALSE(probability_flow(gone, Prediction::kEpsilon, {}).ok());
}

}  // namespace
}  // namespace ito::test
