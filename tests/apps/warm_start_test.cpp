// A second start of a training compiles no shader and gives the driver its own cache back.
#include <gtest/gtest.h>

#include "api/training.h"
#include "tests/api/saved_state.h"
#include "tests/apps/run_ito.h"
#include "tests/runtime/loader_hook.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

ImageDataset few_images() {
  ImageDataset data;
  data.count = 4;
  data.h = data.w = 8;
  data.c = 1;
  data.labels = std::vector<int32_t>{0, 1, 0, 1};
  for (int i = 0; i < 4 * 64; ++i) data.pixels.push_back(static_cast<uint8_t>(i));
  return data;
}

struct WarmStart {
  vk::Counters counters;
  size_t driver_cache_bytes = 0;  // given to vkCreatePipelineCache
  TensorFile state;               // after one step
};

// A device and a training session with this cache folder, and one step.
void start(const std::string& cache, WarmStart& result) {
  ValidationLog log;
  LoaderHook hook;
  vk::DeviceOptions options = device_options(log);
  options.cache_dir = cache;
  options.loader = hook.loader();
  ASSERT_OK_AND_ASSIGN(const auto device, vk::Device::create(options));
  TrainingOptions training;
  training.channels = {8};
  training.batch = 2;
  const ImageDataset data = few_images();
  ASSERT_OK_AND_ASSIGN(const TrainingTask task, make_task(training, data));
  ASSERT_OK_AND_ASSIGN(const auto session, TrainingSession::create(*device, task, data, 1));
  ASSERT_OK(session->advance());
  result.state = saved_state(*session);
  result.counters = device->counters();
  result.driver_cache_bytes = hook.pipeline_cache_bytes();
  EXPECT_EQ(log.take(), std::vector<std::string>{});
}

TEST(TrainingWarmStart, CompilesNothingAndUsesTheDriversCache) {
  const Scratch scratch;
  const std::string cache = (scratch / "cache").string();
  WarmStart cold, warm;
  start(cache, cold);
  start(cache, warm);
  if (HasFatalFailure()) return;
  EXPECT_GT(cold.counters.glsl_compilations, 20u);
  EXPECT_EQ(cold.counters.shader_cache_hits, 0u);
  EXPECT_EQ(cold.driver_cache_bytes, 0u);
  EXPECT_EQ(warm.counters.glsl_compilations, 0u);
  EXPECT_EQ(warm.counters.shader_cache_hits, cold.counters.glsl_compilations);
  EXPECT_EQ(warm.counters.pipelines_created, cold.counters.pipelines_created);
  // What lavapipe gives to keep is its cache's header alone.
  EXPECT_GE(warm.driver_cache_bytes, sizeof(VkPipelineCacheHeaderVersionOne));
  EXPECT_EQ(warm.state, cold.state);
}

}  // namespace
}  // namespace ito::test
