// Contexts without a queue: the host submits everything.
#include "tests/embed/support/engine.h"

namespace ito::test {
namespace {

void without_a_queue(ItoHostDevice& device, ItoContextInfo&) { device.queue = VK_NULL_HANDLE; }

// What a job gives on a device with a queue.
struct Expected {
  std::vector<float> images;
  std::vector<uint8_t> pixels;
};
Expected expected_of_a_queue(bool hidden_memory) {
  Engine engine;
  if (hidden_memory) engine.witness.hide_device_memory();
  const ItoApi& ito = engine.ito;
  const Loaded loaded(engine);
  EXPECT_ITO(loaded.result);
  EXPECT_ITO(engine.restart(loaded.job));
  EXPECT_ITO(engine.record_all(loaded.job));
  return {engine.images(loaded.job), engine.pixels(loaded.job)};
}

void expect_that_nothing_was_submitted(const Engine& engine) {
  EXPECT_EQ(
      engine.witness.count({Call::vkQueueSubmit, Call::vkWaitForFences, Call::vkWaitSemaphores,
                            Call::vkDeviceWaitIdle, Call::vkCreateFence}),
      0u);
}

// Records all uploads, about so many microseconds a frame; gives the number of frames.
int upload(Engine& engine, ItoContext context, uint32_t microseconds) {
  const ItoApi& ito = engine.ito;
  ItoBudget budget;
  ITO_INIT(budget, BUDGET);
  budget.gpu_microseconds = microseconds;
  ItoResult result = ITO_NOT_READY;
  int frames = 0;
  while (result == ITO_NOT_READY && frames < 10000) {
    engine.frame([&] { result = ito.record_uploads(context, engine.commands, &budget); });
    ++frames;
  }
  EXPECT_ITO(result);
  return frames;
}

TEST(PortableRecordOnly, MemoryThatTheHostSeesNeedsNoUploads) {
  const Expected expected = expected_of_a_queue(false);
  Engine engine;
  const ItoApi& ito = engine.ito;
  {
    const Loaded loaded(engine, without_a_queue);
    ASSERT_ITO_OK(loaded.result);
    ASSERT_ITO_OK(engine.restart(loaded.job));
    ItoBudget budget;
    ITO_INIT(budget, BUDGET);
    ASSERT_ITO_OK(ito.record_uploads(loaded.context, engine.commands, &budget));
    EXPECT_EQ(ito.submit_slice(loaded.job, &budget, nullptr), ITO_ERROR_UNSUPPORTED);
    EXPECT_NE(std::string(ito.last_error()).find("record_slice"), std::string::npos);
    ASSERT_ITO_OK(engine.record_all(loaded.job));
    EXPECT_EQ(engine.images(loaded.job), expected.images);
    EXPECT_EQ(engine.pixels(loaded.job), expected.pixels);
    ItoContextProperties properties;
    ITO_INIT(properties, CONTEXT_PROPERTIES);
    ASSERT_ITO_OK(ito.get_context_properties(loaded.context, &properties));
    EXPECT_EQ(properties.queue_family, engine.host->family);
  }
  expect_that_nothing_was_submitted(engine);
}

TEST(PortableRecordOnly, WeightsTravelInTheHostsCommandBuffersWhereTheHostDoesNotSeeTheMemory) {
  const Expected expected = expected_of_a_queue(true);
  EXPECT_EQ(expected.images, expected_of_a_queue(false).images);
  Engine engine;
  engine.witness.hide_device_memory();
  const ItoApi& ito = engine.ito;
  {
    const Loaded loaded(engine, without_a_queue);
    ASSERT_ITO_OK(loaded.result);
    ASSERT_ITO_OK(engine.restart(loaded.job));
    EXPECT_EQ(engine.record_all(loaded.job), ITO_NOT_READY) << "before the uploads";
    EXPECT_GT(upload(engine, loaded.context, 1), 3) << "in pieces";
    const uint64_t buffers = engine.witness.alive().count("vkAllocateMemory");
    ASSERT_ITO_OK(ito.release_uploads(loaded.context));
    EXPECT_LT(engine.witness.alive().count("vkAllocateMemory"), buffers);
    for (int run = 0; run < 2; ++run) {
      ASSERT_ITO_OK(engine.restart(loaded.job));
      ASSERT_ITO_OK(engine.record_all(loaded.job));
      EXPECT_EQ(engine.images(loaded.job), expected.images);
      EXPECT_EQ(engine.pixels(loaded.job), expected.pixels);
    }
  }
  expect_that_nothing_was_submitted(engine);
}

TEST(PortableRecordOnly, UploadsOfWhatIsDestroyedAreForgotten) {
  const Expected expected = expected_of_a_queue(true);
  Engine engine;
  engine.witness.hide_device_memory();
  const ItoApi& ito = engine.ito;
  ItoContext context = nullptr;
  ASSERT_ITO_OK(engine.create_context(&context, without_a_queue));
  ItoModel model = nullptr;
  ASSERT_ITO_OK(engine.load_model(context, &model));
  ItoJob dropped = nullptr, job = nullptr;
  ASSERT_ITO_OK(engine.create_job(model, &dropped));
  ito.destroy_job(dropped);
  ASSERT_ITO_OK(engine.create_job(model, &job));
  upload(engine, context, 0);
  ASSERT_ITO_OK(engine.restart(job));
  ASSERT_ITO_OK(engine.record_all(job));
  EXPECT_EQ(engine.images(job), expected.images);
  ito.destroy_job(job);
  ito.destroy_model(model);
  ito.destroy_context(context);
}

}  // namespace
}  // namespace ito::test
