// Making a job on the host's terms: its threads, its pipeline cache, its memory, its priorities.
#include <thread>

#include "runtime/vk/occupancy_priority.h"
#include "tests/embed/support/engine.h"

namespace ito::test {
namespace {

// A host with a few threads, and what it was told.
struct Workshop {
  std::atomic<uint32_t> jobs = 0, told = 0, done = 0, total = 0;
  std::atomic<uint32_t> stop_at = UINT32_MAX;
  bool idle = false;

  static void ITO_CALL run(void* user, uint32_t count, void(ITO_CALL* job)(void*, uint32_t),
                           void* data) {
    auto& self = *static_cast<Workshop*>(user);
    if (self.idle) return;
    std::vector<std::thread> threads;
    for (uint32_t t = 0; t < 3; ++t)
      threads.emplace_back([&, t] {
        for (uint32_t i = t; i < count; i += 3) {
          job(data, i);
          ++self.jobs;
        }
      });
    for (std::thread& thread : threads) thread.join();
  }
  static VkBool32 ITO_CALL progress(void* user, uint32_t done, uint32_t total) {
    auto& self = *static_cast<Workshop*>(user);
    ++self.told;
    self.total = total;
    uint32_t seen = self.done;
    while (seen < done && !self.done.compare_exchange_weak(seen, done)) {
    }
    return done < self.stop_at ? VK_TRUE : VK_FALSE;
  }
  ChangeContext change() {
    return [this](ItoHostDevice&, ItoContextInfo& info) {
      info.run_jobs = run;
      info.progress = progress;
      info.user = this;
    };
  }
};

TEST(PortablePrewarm, KernelsAreMadeOnTheHostsThreadsAndItIsToldHowManyAreDone) {
  Engine engine;
  const ItoApi& ito = engine.ito;
  Workshop workshop;
  const Loaded loaded(engine, workshop.change());
  ASSERT_ITO_OK(loaded.result);
  EXPECT_GT(workshop.total, 10u);
  EXPECT_EQ(workshop.done, workshop.total);
  EXPECT_EQ(workshop.told, workshop.total + 1) << "once before, and after each";
  EXPECT_EQ(workshop.jobs, workshop.total);
  EXPECT_EQ(engine.witness.count(Call::vkCreateComputePipelines), workshop.total);
  // All are alive: a second job makes none.
  ItoJob second = nullptr;
  ASSERT_ITO_OK(engine.create_job(loaded.model, &second));
  EXPECT_EQ(engine.witness.count(Call::vkCreateComputePipelines), workshop.total);
  ito.destroy_job(second);
}

TEST(PortablePrewarm, ItIsCancelledByTheHostAndMayBeBegunAgain) {
  Engine engine;
  const ItoApi& ito = engine.ito;
  Workshop workshop;
  workshop.stop_at = 4;
  ItoContext context = nullptr;
  ItoModel model = nullptr;
  ItoJob job = nullptr;
  ASSERT_ITO_OK(engine.create_context(&context, workshop.change()));
  ASSERT_ITO_OK(engine.load_model(context, &model));
  EXPECT_EQ(engine.create_job(model, &job), ITO_ERROR_CANCELLED);
  EXPECT_EQ(job, nullptr);
  EXPECT_LT(engine.witness.count(Call::vkCreateComputePipelines), workshop.total.load());
  workshop.stop_at = UINT32_MAX;
  workshop.idle = true;
  EXPECT_EQ(engine.create_job(model, &job), ITO_ERROR_INVALID_ARGUMENT);
  EXPECT_NE(std::string(ito.last_error()).find("run_jobs"), std::string::npos) << ito.last_error();
  workshop.idle = false;
  ASSERT_ITO_OK(engine.create_job(model, &job));
  ito.destroy_job(job);
  ito.destroy_model(model);
  ito.destroy_context(context);
}

TEST(PortablePrewarm, TheHostsPipelineCacheIsUsedAndNoOther) {
  Engine engine;
  const ItoApi& ito = engine.ito;
  VkPipelineCacheCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
  VkPipelineCache cache = VK_NULL_HANDLE;
  ASSERT_EQ(engine.fn().vkCreatePipelineCache(engine.host->device, &info, nullptr, &cache),
            VK_SUCCESS);
  {
    const Loaded loaded(
        engine, [&](ItoHostDevice& device, ItoContextInfo&) { device.pipeline_cache = cache; });
    ASSERT_ITO_OK(loaded.result);
    EXPECT_EQ(engine.witness.newest_pipeline_cache(), cache);
  }
  EXPECT_EQ(engine.witness.count({Call::vkCreatePipelineCache, Call::vkDestroyPipelineCache,
                                  Call::vkGetPipelineCacheData}),
            0u);
  engine.fn().vkDestroyPipelineCache(engine.host->device, cache, nullptr);
}

TEST(PortablePrewarm, TheHostsMemoryBudgetIsKept) {
  Engine engine;
  const ItoApi& ito = engine.ito;
  const auto bytes = [&](ItoContext context) {
    ItoStatistics statistics;
    ITO_INIT(statistics, STATISTICS);
    EXPECT_ITO(ito.get_statistics(context, &statistics));
    return statistics.device_bytes;
  };
  uint64_t of_model = 0, of_all = 0;
  {
    ItoContext context = nullptr;
    ItoModel model = nullptr;
    ItoJob job = nullptr;
    ASSERT_ITO_OK(engine.create_context(&context));
    ASSERT_ITO_OK(engine.load_model(context, &model));
    of_model = bytes(context);
    ASSERT_ITO_OK(engine.create_job(model, &job));
    of_all = bytes(context);
    ito.destroy_job(job);
    ito.destroy_model(model);
    ito.destroy_context(context);
  }
  ASSERT_LT(of_model + 4096, of_all);
  for (const uint64_t budget : {of_model / 2, of_all - 4096}) {
    const Loaded loaded(engine,
                        [&](ItoHostDevice&, ItoContextInfo& info) { info.memory_budget = budget; });
    EXPECT_EQ(loaded.result, ITO_ERROR_OUT_OF_MEMORY);
    EXPECT_EQ(loaded.job, nullptr);
    EXPECT_EQ(loaded.model != nullptr, budget > of_model) << "what fits is loaded";
    EXPECT_NE(std::string(ito.last_error()).find("budget"), std::string::npos) << ito.last_error();
  }
}

TEST(PortablePrewarm, SlicesHaveThePriorityThatWasAskedForWhereItCanBeSet) {
  VkPhysicalDeviceComputeOccupancyPriorityFeaturesNV feature = {};
  feature.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COMPUTE_OCCUPANCY_PRIORITY_FEATURES_NV;
  feature.computeOccupancyPriority = VK_TRUE;
  const char* const extension = VK_NV_COMPUTE_OCCUPANCY_PRIORITY_EXTENSION_NAME;
  for (const bool enabled : {false, true}) {
    Engine engine;
    const ItoApi& ito = engine.ito;
    if (enabled) engine.witness.enable_occupancy_priority();
    for (const float asked : {0.0f, 0.25f}) {
      const Loaded loaded(engine, [&](ItoHostDevice& device, ItoContextInfo& info) {
        feature.pNext = const_cast<void*>(device.enabled_features);
        if (enabled) {
          device.enabled_features = &feature;
          device.enabled_extensions = &extension;
          device.enabled_extension_count = 1;
        }
        info.occupancy_priority = asked;
      });
      ASSERT_ITO_OK(loaded.result);
      ASSERT_ITO_OK(engine.restart(loaded.job));
      EXPECT_TRUE(engine.witness.take_priorities().empty());
      ASSERT_ITO_OK(engine.record_all(loaded.job, 1000000));
      const std::vector<float> wanted =
          enabled && asked > 0 ? std::vector<float>{asked, 0.5f} : std::vector<float>{};
      EXPECT_EQ(engine.witness.take_priorities(), wanted);
    }
  }
  Engine engine;
  ItoContext context = nullptr;
  EXPECT_EQ(
      engine.create_context(
          &context, [](ItoHostDevice&, ItoContextInfo& info) { info.occupancy_priority = 2; }),
      ITO_ERROR_INVALID_ARGUMENT);
}

TEST(PortablePrewarm, AQueueOfItsOwnHasThePriorityThatIsPermitted) {
  for (const bool permitted : {false, true}) {
    Witness witness;
    witness.offer_queue_priorities(permitted);
    ValidationLog log;
    vk::DeviceOptions options = device_options(log);
    int warnings = 0;
    options.log = [&](LogLevel, std::string_view text) {
      warnings += text.find("priority") != std::string_view::npos;
    };
    options.loader = witness.loader();
    {
      ASSERT_OK_AND_ASSIGN(const auto device, vk::Device::create(options));
      EXPECT_TRUE(witness.take_queue_priorities().empty()) << "not asked for";
    }
    options.queue_priority = VK_QUEUE_GLOBAL_PRIORITY_LOW_KHR;
    ASSERT_OK_AND_ASSIGN(const auto device, vk::Device::create(options));
    EXPECT_EQ(witness.take_queue_priorities(), std::vector{VK_QUEUE_GLOBAL_PRIORITY_LOW_KHR});
    EXPECT_EQ(warnings, permitted ? 0 : 1);
  }
}

}  // namespace
}  // namespace ito::test
