// How close slices come to their budgets, by time marks of the host's around them. What it prints
// is what docs/embedding.md says; who shares the processors of a CPU driver sees other figures.
// ITO_SLICE_MODEL: another model's folder; ITO_SLICES: how many per budget; ITO_SLICE_CACHE: a
// folder for compiled shaders.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "tests/embed/support/engine.h"

namespace ito::test {
namespace {

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

// Two time marks of the host's.
class Stopwatch {
 public:
  explicit Stopwatch(Engine& engine) : engine_(engine) {
    VkQueryPoolCreateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO;
    info.queryType = VK_QUERY_TYPE_TIMESTAMP;
    info.queryCount = 2;
    EXPECT_EQ(engine.fn().vkCreateQueryPool(engine.host->device, &info, nullptr, &pool_),
              VK_SUCCESS);
    VkPhysicalDeviceProperties properties;
    engine.host->instance->functions().vkGetPhysicalDeviceProperties(engine.host->physical,
                                                                     &properties);
    period_ns_ = static_cast<double>(properties.limits.timestampPeriod);
  }
  ~Stopwatch() { engine_.fn().vkDestroyQueryPool(engine_.host->device, pool_, nullptr); }
  void start() {
    engine_.fn().vkCmdResetQueryPool(engine_.commands, pool_, 0, 2);
    engine_.fn().vkCmdWriteTimestamp(engine_.commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pool_,
                                     0);
  }
  void stop() {
    engine_.fn().vkCmdWriteTimestamp(engine_.commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pool_,
                                     1);
  }
  double milliseconds() const {
    uint64_t ticks[2] = {};
    EXPECT_EQ(engine_.fn().vkGetQueryPoolResults(engine_.host->device, pool_, 0, 2, sizeof ticks,
                                                 ticks, sizeof ticks[0], VK_QUERY_RESULT_64_BIT),
              VK_SUCCESS);
    return static_cast<double>(ticks[1] - ticks[0]) * period_ns_ * 1e-6;
  }

 private:
  Engine& engine_;
  VkQueryPool pool_ = VK_NULL_HANDLE;
  double period_ns_ = 1;
};

struct Adherence {
  size_t slices = 0;
  double within = 0, worst = 0, median = 0;  // the last two over the budget
};

// Times of slices of a job that is begun again and again.
std::vector<double> slice_times(Engine& engine, ItoJob job, const ItoBudget& budget,
                                size_t slices) {
  const ItoApi& ito = engine.ito;
  Stopwatch watch(engine);
  std::vector<double> times;
  EXPECT_ITO(engine.restart(job));
  while (times.size() < slices && !::testing::Test::HasFailure()) {
    ItoProgress progress;
    ITO_INIT(progress, PROGRESS);
    engine.frame([&] {
      watch.start();
      EXPECT_ITO(ito.record_slice(job, engine.commands, &budget, &progress));
      watch.stop();
    });
    times.push_back(watch.milliseconds());
    if (progress.recorded) {
      EXPECT_ITO(engine.restart(job));
    }
  }
  return times;
}

Adherence adherence(std::vector<double> times, double budget_ms) {
  Adherence out;
  out.slices = times.size();
  std::sort(times.begin(), times.end());
  for (const double ms : times) out.within += ms <= budget_ms;
  out.within /= static_cast<double>(times.size());
  out.worst = times.back() / budget_ms;
  out.median = times[times.size() / 2] / budget_ms;
  return out;
}

TEST(PortableSliceBudgets, MostSlicesAreWithinTheirBudgetAndFillIt) {
  Engine engine;
  const ItoApi& ito = engine.ito;
  const char* model_folder = std::getenv("ITO_SLICE_MODEL");
  const char* wanted_slices = std::getenv("ITO_SLICES");
  const auto slices =
      static_cast<size_t>(wanted_slices != nullptr ? std::atoi(wanted_slices) : 150);
  for (const bool queue : {true, false}) {
    ItoContext context = nullptr;
    ItoModel model = nullptr;
    ItoJob job = nullptr;
    const auto start = std::chrono::steady_clock::now();
    const char* cache_folder = std::getenv("ITO_SLICE_CACHE");
    ASSERT_ITO_OK(engine.create_context(&context, [&](ItoHostDevice& device, ItoContextInfo& info) {
      if (!queue) device.queue = VK_NULL_HANDLE;
      info.cache_folder = cache_folder;
    }));
    const double context_ms = milliseconds_since(start);
    ASSERT_ITO_OK(engine.load_model(context, &model, model_folder != nullptr ? model_folder : ""));
    const auto before = std::chrono::steady_clock::now();
    ASSERT_ITO_OK(engine.create_job(model, &job, 4));
    std::printf("%s: context %.1f ms, job %.0f ms\n", queue ? "a queue" : "no queue", context_ms,
                milliseconds_since(before));
    // So long is the longest dispatch: the smallest budget holds it.
    ItoBudget budget;
    ITO_INIT(budget, BUDGET);
    budget.max_dispatches = 1;
    std::vector<double> single = slice_times(engine, job, budget, 150);
    std::sort(single.begin(), single.end());
    const double longest = single[single.size() * 99 / 100];
    const double scale = std::max(1.0, longest / 0.5);
    std::printf("  longest dispatch %.3f ms: budgets are %.2f times 0.5, 2 and 8 ms\n", longest,
                scale);
    budget.max_dispatches = 0;
    for (const double ms : {0.5, 2.0, 8.0}) {
      budget.gpu_microseconds = static_cast<uint32_t>(std::ceil(ms * scale * 1e3));
      const Adherence seen =
          adherence(slice_times(engine, job, budget, slices), budget.gpu_microseconds * 1e-3);
      std::printf("  %8.3f ms: %5.1f%% of %zu slices within, median %.2f, worst %.2f\n",
                  budget.gpu_microseconds * 1e-3, 100 * seen.within, seen.slices, seen.median,
                  seen.worst);
      // The estimates follow what the machine does, whoever else works on it.
      EXPECT_LT(seen.median, 1.0);
      EXPECT_GT(seen.within, 0.5);
    }
    ito.destroy_job(job);
    ito.destroy_model(model);
    ito.destroy_context(context);
  }
}

}  // namespace
}  // namespace ito::test
