// Runs chains on a device: initial noise, initial states and all steps in one memory, without the
// host between steps; and the statistics of many chains.
#pragma once

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "diffusion/method.h"
#include "graph/compile.h"
#include "runtime/executor.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {

struct MethodSetup {
  Shape shape;                        // of x
  double initial_std = 1;             // x starts at N(0, initial_std²), or
  std::vector<float> initial_x = {};  // here if not empty
  uint32_t replays = 0;               // 0: Method::steps
  std::vector<uint32_t> seeds = {};   // per image; empty: 0, 1, 2, ...
  double divergence_limit = 1e8;
};

class DeviceMethod : public VulkanTest {
 protected:
  static Result<std::unique_ptr<Executor>> executor_for(const Program& program) {
    ITO_ASSIGN(Plan plan, compile(program, device().caps()));
    return Executor::create(device(), std::move(plan), ExecutorOptions{.canary = true});
  }

  static Status write_seeds(Executor& executor, std::vector<uint32_t> seeds) {
    if (executor.plan().find_external("key") < 0) return {};
    ITO_TRY(executor.write("key", std::vector<uint32_t>{7, 11}));
    return executor.write("image", seeds);
  }

  // The executor after its run, for reading any state.
  static Result<std::unique_ptr<Executor>> run_method(const Method& chain,
                                                      const MethodSetup& setup) {
    std::vector<uint32_t> seeds = setup.seeds;
    if (seeds.empty()) {
      seeds.resize(static_cast<size_t>(setup.shape[0]));
      std::iota(seeds.begin(), seeds.end(), 0);
    }
    const MethodOptions options{.shape = setup.shape, .divergence_limit = setup.divergence_limit};
    ITO_ASSIGN(auto loop, executor_for(method_program(chain, options)));
    ITO_TRY(write_seeds(*loop, seeds));
    ITO_ASSIGN(const DeviceTensor x, loop->tensor("x"));
    if (!setup.initial_x.empty()) {
      ITO_TRY(loop->write("x", setup.initial_x));
    } else {
      ITO_ASSIGN(auto noise, executor_for(initial_noise_program(setup.shape, setup.initial_std)));
      ITO_TRY(noise->bind("x", x));
      ITO_TRY(write_seeds(*noise, seeds));
      ITO_TRY(noise->run());
      ITO_TRY(noise->wait());
    }
    if (chain.start) {
      ITO_ASSIGN(auto start, executor_for(method_start_program(chain, setup.shape)));
      ITO_TRY(start->bind("x", x));
      for (const MethodState& state : chain.states) {
        const auto name = sampling_ports::kHistory[state.name];
        ITO_ASSIGN(const DeviceTensor values, loop->tensor(name));
        ITO_TRY(start->bind(name, values));
      }
      ITO_TRY(start->run());
      ITO_TRY(start->wait());
    }
    ITO_TRY(loop->run(setup.replays > 0 ? setup.replays : static_cast<uint32_t>(chain.steps)));
    return loop;
  }

  // x after the run, which must not have diverged.
  static Result<std::vector<float>> sample(const Method& chain, const MethodSetup& setup) {
    ITO_ASSIGN(const auto loop, run_method(chain, setup));
    ITO_ASSIGN(const auto divergence, loop->read(sampling_ports::kDivergence));
    ITO_TRY(check_divergence(divergence, chain.name));
    return loop->read<float>("x");
  }
};

// Mean of f over rows x [n, d] of samples, and the standard error of that mean.
struct Estimate {
  double mean = 0;
  double error = 0;
};

template <typename Function>
Estimate estimate(const std::vector<float>& samples, size_t dimensions, Function f) {
  const size_t n = samples.size() / dimensions;
  double sum = 0, squares = 0;
  for (size_t i = 0; i < n; ++i) {
    const double value = f(samples.data() + i * dimensions);
    sum += value;
    squares += value * value;
  }
  const double count = static_cast<double>(n), mean = sum / count;
  return {.mean = mean, .error = std::sqrt((squares / count - mean * mean) / (count - 1))};
}

// |estimate - truth| within 4 standard errors.
#define EXPECT_WITHIN_4_SE(found, truth)                                                          \
  do {                                                                                            \
    const ::ito::test::Estimate ito_estimate = (found);                                           \
    EXPECT_NEAR(ito_estimate.mean, truth, 4 * ito_estimate.error)                                 \
        << "off by " << (ito_estimate.mean - (truth)) / ito_estimate.error << " standard errors"; \
  } while (false)

}  // namespace ito::test
