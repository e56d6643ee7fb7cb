#include "diffusion/bound_program.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <numeric>
#include <random>
#include <unordered_map>

#include "diffusion/sampling_program.h"
#include "graph/builder.h"
#include "graph/interpret.h"

namespace ito {
namespace {

using Values = std::vector<double>;
using Inputs = std::unordered_map<std::string, HostValue>;

constexpr int kT = 12;
constexpr double kMu = 0.2, kS = 0.4;

NoiseSchedule schedule() {
  SchedulerConfig config;
  config.num_train_timesteps = kT;
  config.beta_start = 0.01;
  config.beta_end = 0.5;
  return make_schedule(config, Arithmetic::kDouble).value();
}

// ε and the variance of the exact reverse step of N(μ, s²).
Tensor exact(Tensor x, Tensor t) {
  Values table;
  const NoiseSchedule chain = schedule();
  for (int i = 0; i < kT; ++i) {
    const double a2 = chain.alpha_bar(i), rest = 1 - a2, total = a2 * kS * kS + rest;
    const Posterior q = posterior(chain, i, i - 1);
    const double slope = std::sqrt(rest) / total;
    table.insert(table.end(), {slope, slope * std::sqrt(a2) * kMu,
                               q.variance + q.on_x0 * q.on_x0 * kS * kS * rest / total});
  }
  const Tensor row = gather(constant(x.graph(), {kT, 3}, table), cast(t, DType::kU32));
  const auto column = [&](int64_t i) { return slice_axis(row, 1, i, i + 1); };
  return concat({column(0) * x - column(1), column(2)}, 1);
}

// All states after strata.count() replays, and the output.
Inputs run(const Values& x0, const BoundStrata& strata) {
  const int64_t n = static_cast<int64_t>(x0.size()), N = strata.count();
  const Program program =
      bound_program({n, 1}, schedule(), exact, {.variance = VarianceType::kLearned}, strata);
  Values images(x0.size());
  std::iota(images.begin(), images.end(), 0);
  Inputs values = {{bound_ports::kX0.name, {.shape = {n, 1}, .data = x0}},
                   {sampling_ports::kKey.name, {.shape = {2}, .data = {7, 0}}},
                   {sampling_ports::kImage.name, {.shape = {n}, .data = images}},
                   {sampling_ports::kStep.name, {.shape = {}, .data = {0}}}};
  for (const char* name : {bound_ports::kTerms.name, bound_ports::kErrors.name})
    values[name] = {.shape = {n, N}, .data = Values(x0.size() * static_cast<size_t>(N), 0)};
  std::vector<Tensor> results;
  for (const ProgramOutput& output : program.outputs) results.push_back(output.value);
  for (int64_t k = 0; k < N; ++k) {
    const auto found = interpret(results, values);
    EXPECT_TRUE(found.ok());
    for (size_t i = 0; i < results.size(); ++i) values[program.outputs[i].name] = (*found)[i];
  }
  return values;
}

// The sum of image i's terms from the stratum `from` on.
double terms_from(const Inputs& found, size_t i, size_t from, const BoundStrata& strata) {
  const size_t N = static_cast<size_t>(strata.count());
  const Values& terms = found.at(bound_ports::kTerms.name).data;
  return std::accumulate(terms.begin() + static_cast<ptrdiff_t>(i * N + from),
                         terms.begin() + static_cast<ptrdiff_t>((i + 1) * N), 0.0);
}

// With the exact reverse chain L_T + Σ L_t, t >= 1, is what x_1 tells of x_0 and what the prior is
// off (variational_bound_test.cpp); strata keep that expectation.
TEST(BoundProgram, RateOfGaussianDataIsTheInformationInTheFirstStep) {
  constexpr size_t kImages = 4000;
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  Values x0;
  for (size_t i = 0; i < kImages; ++i) x0.push_back(kMu + kS * normal(random));
  const NoiseSchedule chain = schedule();
  const double last = chain.alpha_bar(kT - 1), first = chain.alpha_bar(0);
  const double excess = last * (kS * kS - 1);
  const double expected = (0.5 * std::log1p(kS * kS * first / (1 - first)) +
                           0.5 * (last * kMu * kMu + excess - std::log1p(excess))) *
                          std::numbers::log2e;
  for (const int terms : {kT, 5}) {
    const BoundStrata strata = bound_strata(kT, terms).value();
    const Inputs found = run(x0, strata);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < kImages; ++i) {
      const double rate =
          terms_from(found, i, 1, strata) + found.at(bound_ports::kPrior.name).data[i];
      sum += rate / kImages;
      squares += rate * rate / kImages;
    }
    const double error = std::sqrt((squares - sum * sum) / kImages);
    EXPECT_NEAR(sum, expected, 4 * error) << terms;
    EXPECT_LT(error, 0.1 * expected);
  }
}

// An image's terms do not depend on the others, and the same picture with another image's noise has
// others.
TEST(BoundProgram, AnImagesTermsAreItsOwn) {
  const BoundStrata strata = bound_strata(kT, 4).value();
  const Inputs found = run({0.1, -0.4, 0.3, 0.3}, strata), alone = run({0.1}, strata);
  const auto column = [](const Inputs& values, const char* name, size_t i, size_t k) {
    return values.at(name).data[i * 4 + k];
  };
  for (const char* name : {bound_ports::kTerms.name, bound_ports::kErrors.name})
    for (size_t k = 0; k < 4; ++k) {
      EXPECT_GT(column(found, name, 0, k), 0) << name << k;
      EXPECT_EQ(column(alone, name, 0, k), column(found, name, 0, k)) << name << k;
      EXPECT_NE(column(found, name, 2, k), column(found, name, 3, k)) << name << k;
    }
}

TEST(BoundStrata, CoverEveryTimestepOnce) {
  for (const int terms : {2, 3, 7, kT, 1000}) {
    const BoundStrata strata = bound_strata(kT, terms).value();
    EXPECT_EQ(strata.count(), std::min(terms, kT));
    int next = 0;
    for (int k = 0; k < strata.count(); ++k) {
      EXPECT_EQ(strata.first[static_cast<size_t>(k)], next);
      next += strata.width[static_cast<size_t>(k)];
    }
    EXPECT_EQ(next, kT);
    EXPECT_EQ(strata.width[0], 1);
  }
  EXPECT_FALSE(bound_strata(kT, 1).ok());
}

}  // namespace
}  // namespace ito
