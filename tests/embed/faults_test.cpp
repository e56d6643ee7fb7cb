// What goes wrong below: memory that is not there, and devices that are lost, at every call at
// which it can happen. Nothing crashes, nothing is left behind, and what can go on does. Hundreds of
// contexts, jobs and models: not for implementations that compile slowly.
#include <mutex>
#include <thread>

#include "tests/embed/support/engine.h"

namespace ito::test {
namespace {

// Compiled shaders are kept, and one after the other, so that the n-th call is the same each time.
ChangeContext quickly(const Engine& engine) {
  return [folder = engine.cache_folder()](ItoHostDevice&, ItoContextInfo& info) {
    static std::string kept;
    kept = folder;
    info.cache_folder = kept.c_str();
    info.compile_threads = 1;
  };
}

// Lets the n-th of `calls` fail, for n from 1 on in growing strides, until none is left; gives how
// many failures there were.
int refuse_in_turn(Engine& engine, const std::vector<Call>& calls, uint64_t stride,
                   bool ever_after) {
  const ItoApi& ito = engine.ito;
  int failures = 0;
  for (uint64_t n = 1;; n += stride) {
    engine.witness.fail(calls, n, VK_ERROR_OUT_OF_DEVICE_MEMORY, ever_after);
    ItoResult result;
    {
      const Loaded loaded(engine, quickly(engine));
      result = loaded.result;
      const bool refused = engine.witness.failed() > 0;
      engine.witness.fail({}, 0, VK_SUCCESS);
      if (result == ITO_OK) {
        // It may have done with a smaller piece, and then works as ever.
        EXPECT_ITO(engine.restart(loaded.job));
        EXPECT_ITO(engine.record_all(loaded.job, 1000000));
        EXPECT_EQ(engine.images(loaded.job).size(), 64u);
        if (!refused) return failures;
      } else {
        EXPECT_EQ(result, ITO_ERROR_OUT_OF_MEMORY) << ito.last_error();
        EXPECT_GT(std::string(ito.last_error()).size(), 20u);
        // The context is not broken: what failed succeeds now.
        ItoModel model = nullptr;
        if (loaded.context != nullptr) {
          EXPECT_ITO(engine.load_model(loaded.context, &model));
          ito.destroy_model(model);
        }
      }
    }
    ++failures;
    const auto alive = engine.witness.alive();
    EXPECT_TRUE(alive.empty()) << n << ": " << alive.size() << " left, as of " << *alive.begin();
    if (::testing::Test::HasFailure()) return failures;
  }
}

TEST(EmbeddedFaults, MemoryIsRefusedAtEveryAllocationInTurn) {
  Engine engine;
  const ItoApi& ito = engine.ito;
  {
    const Loaded first(engine, quickly(engine));  // fills the cache
    ASSERT_ITO_OK(first.result);
  }
  EXPECT_GE(refuse_in_turn(engine, {Call::vkAllocateMemory}, 1, false), 1);
  EXPECT_GE(refuse_in_turn(engine, {Call::vkAllocateMemory}, 1, true), 1);
  EXPECT_GE(refuse_in_turn(engine, {Call::vkCreateBuffer, Call::vkBindBufferMemory}, 1, false), 2);
  EXPECT_GE(refuse_in_turn(engine,
                           {Call::vkCreatePipelineLayout, Call::vkCreatePipelineCache,
                            Call::vkCreateCommandPool, Call::vkAllocateCommandBuffers,
                            Call::vkCreateFence, Call::vkCreateQueryPool},
                           1, false),
            12);
  // There are as many of these as kernels: every ninth.
  EXPECT_GE(refuse_in_turn(engine, {Call::vkCreateComputePipelines}, 9, false), 3);
  EXPECT_GE(refuse_in_turn(engine, {Call::vkCreateShaderModule}, 9, false), 3);
}

TEST(EmbeddedFaults, ASliceThatCouldNotBeSubmittedIsSubmittedAgain) {
  Engine engine;
  const ItoApi& ito = engine.ito;
  const Loaded loaded(engine);
  ASSERT_ITO_OK(loaded.result);
  ItoBudget budget;
  ITO_INIT(budget, BUDGET);
  budget.max_dispatches = 25;
  std::vector<float> whole;
  int failures = 0;
  for (const Call call : {Call::vkDeviceWaitIdle /* is never called: the run to compare with */,
                          Call::vkResetCommandPool, Call::vkBeginCommandBuffer,
                          Call::vkEndCommandBuffer, Call::vkQueueSubmit, Call::vkResetFences})
    for (uint64_t n = 1; n < 4; ++n) {
      ASSERT_ITO_OK(engine.restart(loaded.job));
      engine.witness.fail({call}, n, VK_ERROR_OUT_OF_HOST_MEMORY);
      ItoProgress progress;
      ITO_INIT(progress, PROGRESS);
      while (!progress.complete) {
        const ItoResult result = ito.submit_slice(loaded.job, &budget, &progress);
        ASSERT_TRUE(result == ITO_OK || result == ITO_NOT_READY ||
                    result == ITO_ERROR_OUT_OF_MEMORY)
            << ito.last_error();
        failures += result == ITO_ERROR_OUT_OF_MEMORY;
      }
      engine.witness.fail({}, 0, VK_SUCCESS);
      if (whole.empty()) whole = engine.images(loaded.job);
      EXPECT_EQ(engine.images(loaded.job), whole) << name_of(call) << " " << n;
    }
  EXPECT_EQ(failures, 15);
}

// At more and more distant calls: a run asks a hundred times and more whether it is done, and each
// takes a context, a model and a job of its own.
TEST(EmbeddedFaults, TheDeviceIsLostAtOneSubmissionOrWaitAfterTheOther) {
  for (const bool timeline : {false, true}) {
    Engine engine(timeline);
    const ItoApi& ito = engine.ito;
    const std::vector<Call> waits =
        timeline ? std::vector<Call>{Call::vkWaitSemaphores, Call::vkGetSemaphoreCounterValue}
                 : std::vector<Call>{Call::vkWaitForFences, Call::vkGetFenceStatus};
    for (const std::vector<Call>& calls : {std::vector<Call>{Call::vkQueueSubmit}, waits})
      for (uint64_t n = 1;; n += 1 + n / 2) {
        engine.witness.fail(calls, n, VK_ERROR_DEVICE_LOST, true);
        bool lost = false;
        {
          Loaded loaded(engine, quickly(engine));
          ItoResult result = loaded.result;
          ItoBudget budget;
          ITO_INIT(budget, BUDGET);
          budget.max_dispatches = 25;
          ItoProgress progress;
          ITO_INIT(progress, PROGRESS);
          if (result == ITO_OK) result = engine.restart(loaded.job);
          while (result >= ITO_OK && !progress.complete)
            result = ito.submit_slice(loaded.job, &budget, &progress);
          lost = engine.witness.failed() > 0;
          if (lost) {
            EXPECT_EQ(result, ITO_ERROR_DEVICE_LOST) << ito.last_error();
            ItoModel model = nullptr;
            EXPECT_EQ(engine.load_model(loaded.context, &model), ITO_ERROR_DEVICE_LOST);
            if (loaded.job != nullptr) {
              EXPECT_EQ(ito.poll(loaded.job, &progress), ITO_ERROR_DEVICE_LOST);
            }
          } else {
            EXPECT_ITO(result);
          }
        }
        const auto alive = engine.witness.alive();
        ASSERT_TRUE(alive.empty()) << n << ": " << alive.size() << " left, " << *alive.begin();
        if (!lost) {
          EXPECT_GT(n, 5u);
          break;
        }
      }
    engine.witness.fail({}, 0, VK_SUCCESS);
  }
}

TEST(EmbeddedFaults, TwoContextsOnOneDeviceWorkOnTwoThreads) {
  Engine engine;
  const ItoApi& ito = engine.ito;
  std::mutex queue_lock;
  const auto change = [&](ItoHostDevice& device, ItoContextInfo&) {
    device.user = &queue_lock;
    device.lock_queue = [](void* user) { static_cast<std::mutex*>(user)->lock(); };
    device.unlock_queue = [](void* user) { static_cast<std::mutex*>(user)->unlock(); };
  };
  std::vector<float> images[2];
  std::vector<std::thread> threads;
  for (std::vector<float>& mine : images)
    threads.emplace_back([&] {
      const Loaded loaded(engine, change);
      ASSERT_ITO_OK(loaded.result);
      ItoBudget budget;
      ITO_INIT(budget, BUDGET);
      budget.max_dispatches = 11;
      for (int run = 0; run < 3; ++run) {
        ASSERT_ITO_OK(engine.restart(loaded.job));
        ItoProgress progress;
        ITO_INIT(progress, PROGRESS);
        while (!progress.complete)
          ASSERT_GE(ito.submit_slice(loaded.job, &budget, &progress), ITO_OK) << ito.last_error();
      }
      mine = engine.images(loaded.job);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(images[0].size(), 64u);
  EXPECT_EQ(images[0], images[1]);
}

}  // namespace
}  // namespace ito::test
