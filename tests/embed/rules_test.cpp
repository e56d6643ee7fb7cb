// What an engine may count on while frames run, by a witness of every call to Vulkan.
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "tests/embed/support/engine.h"
#include "tests/embed/support/lock_witness.h"

namespace ito::test {
namespace {

// System calls that read, of this thread; reading the file is one itself.
uint64_t reads_of_this_thread() {
  std::ifstream file("/proc/thread-self/io");
  std::string word;
  uint64_t value = 0;
  while (file >> word >> value)
    if (word == "syscr:") return value;
  return 0;
}

// Frames of a recorded job and of one that Ito submits, side by side, each begun anew when it is
// done.
struct Frames {
  uint64_t of_recorded = 0, of_submitted = 0;  // images that were finished
};
Frames run_frames(Engine& engine, const Loaded& recorded, ItoJob submitted, int frames) {
  const ItoApi& ito = engine.ito;
  ItoBudget budget;
  ITO_INIT(budget, BUDGET);
  budget.max_dispatches = 9;
  ItoProgress progress;
  Frames done;
  for (int i = 0; i < frames; ++i) {
    engine.frame([&] {
      ITO_INIT(progress, PROGRESS);
      EXPECT_ITO(ito.record_slice(recorded.job, engine.commands, &budget, &progress));
      if (progress.recorded) {
        ++done.of_recorded;
        EXPECT_ITO(engine.restart(recorded.job, static_cast<uint32_t>(i)));
      }
      ITO_INIT(progress, PROGRESS);
      const ItoResult result = ito.submit_slice(submitted, &budget, &progress);
      EXPECT_TRUE(result == ITO_OK || result == ITO_NOT_READY) << ito.last_error();
      if (progress.complete) {
        ++done.of_submitted;
        EXPECT_ITO(engine.restart(submitted, static_cast<uint32_t>(i)));
      }
    });
    if (::testing::Test::HasFailure()) break;
  }
  return done;
}

TEST(PortableHostRules, AThousandFramesMakeNothingWaitForNothingAndReadNothing) {
  for (const bool timeline : {false, true}) {
    SCOPED_TRACE(timeline ? "timeline semaphores" : "fences");
    Engine engine(timeline);
    const ItoApi& ito = engine.ito;
    {
      Loaded loaded(engine);
      ASSERT_ITO_OK(loaded.result);
      ItoJob submitted = nullptr;
      ASSERT_ITO_OK(engine.create_job(loaded.model, &submitted));
      ASSERT_ITO_OK(engine.restart(loaded.job));
      ASSERT_ITO_OK(engine.restart(submitted));
      EXPECT_EQ(engine.witness.count(Call::vkCreateSemaphore), timeline ? 1u : 0u);
      engine.witness.frames(true);
      LockWitness::reset();
      run_frames(engine, loaded, submitted, 1);  // what the driver and the test do once
      const uint64_t pause = reads_of_this_thread();
      const uint64_t itself = reads_of_this_thread() - pause;
      const uint64_t before = reads_of_this_thread();
      const Frames done = run_frames(engine, loaded, submitted, 500);
      EXPECT_EQ(reads_of_this_thread() - before, itself);
      EXPECT_GT(itself, 0u) << "reads are counted";
      EXPECT_GT(done.of_recorded, 3u);
      EXPECT_GT(done.of_submitted, 3u);
      engine.witness.frames(false);
      // Time marks feed the estimates without any wait.
      ItoProgress progress;
      ITO_INIT(progress, PROGRESS);
      ASSERT_ITO_OK(ito.poll(loaded.job, &progress));
      EXPECT_GT(progress.gpu_microseconds, 0u);
      EXPECT_GT(LockWitness::taken(), 300u) << "the queue's, and it is seen";
      ::testing::Test::RecordProperty("longest_lock_us", std::to_string(LockWitness::longest_us()));
      std::printf("longest lock of Ito's in 500 frames: %.1f us of %llu\n",
                  LockWitness::longest_us(), static_cast<unsigned long long>(LockWitness::taken()));
      ito.destroy_job(submitted);
    }
  }
}

TEST(PortableHostRules, RecordingASliceTakesNoLockAtAll) {
  Engine engine;
  const ItoApi& ito = engine.ito;
  Loaded loaded(engine);
  ASSERT_ITO_OK(loaded.result);
  ASSERT_ITO_OK(engine.restart(loaded.job));
  LockWitness::reset();
  ASSERT_ITO_OK(engine.record_all(loaded.job, 5));
  EXPECT_EQ(LockWitness::taken(), 0u);
  EXPECT_EQ(engine.images(loaded.job).size(), 64u);
}

// Calls of the host's while a lock of Ito's was held.
struct CallbackUser {
  std::atomic<int> locked = 0, unlocked = 0, messages = 0, allocations = 0, under_a_lock = 0;
  void called() {
    if (LockWitness::held() != 0) ++under_a_lock;
  }
};

void* ITO_CALL allocate(void* user, size_t size, size_t alignment, VkSystemAllocationScope) {
  auto& seen = *static_cast<CallbackUser*>(user);
  seen.called();
  ++seen.allocations;
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}
void* ITO_CALL reallocate(void* user, void* original, size_t size, size_t alignment,
                          VkSystemAllocationScope scope) {
  auto& seen = *static_cast<CallbackUser*>(user);
  seen.called();
  // Its old size is not known here, so it stays where it lies or grows by realloc.
  if (original == nullptr) return allocate(user, size, alignment, scope);
  return std::realloc(original, size);
}
void ITO_CALL release(void* user, void* memory) {
  auto& seen = *static_cast<CallbackUser*>(user);
  if (memory == nullptr) return;
  seen.called();
  --seen.allocations;
  std::free(memory);
}

TEST(PortableHostRules, NoLockOfItosIsHeldWhileTheHostIsCalled) {
  for (const bool timeline : {false, true}) {
    CallbackUser seen;
    VkAllocationCallbacks callbacks = {};
    callbacks.pUserData = &seen;
    callbacks.pfnAllocation = allocate;
    callbacks.pfnReallocation = reallocate;
    callbacks.pfnFree = release;
    Engine engine(timeline);
    const ItoApi& ito = engine.ito;
    LockWitness::reset();
    {
      Loaded loaded(engine, [&](ItoHostDevice& device, ItoContextInfo& info) {
        device.user = info.user = &seen;
        device.lock_queue = [](void* user) {
          auto& seen = *static_cast<CallbackUser*>(user);
          seen.called();
          ++seen.locked;
        };
        device.unlock_queue = [](void* user) {
          auto& seen = *static_cast<CallbackUser*>(user);
          seen.called();
          ++seen.unlocked;
        };
        info.log = [](void* user, ItoLogLevel, const char*) {
          static_cast<CallbackUser*>(user)->called();
        };
        info.progress = [](void* user, uint32_t, uint32_t) -> VkBool32 {
          static_cast<CallbackUser*>(user)->called();
          return VK_TRUE;
        };
        info.allocation_callbacks = &callbacks;
      });
      ASSERT_ITO_OK(loaded.result);
      ASSERT_ITO_OK(engine.restart(loaded.job));
      ItoBudget budget;
      ITO_INIT(budget, BUDGET);
      ItoProgress progress;
      ITO_INIT(progress, PROGRESS);
      while (!progress.complete)
        ASSERT_GE(ito.submit_slice(loaded.job, &budget, &progress), ITO_OK) << ito.last_error();
      EXPECT_EQ(engine.images(loaded.job).size(), 64u);
      EXPECT_GT(seen.allocations, 10) << "the driver asks the host's allocator";
    }
    EXPECT_GT(LockWitness::taken(), 10u);
    EXPECT_EQ(seen.under_a_lock, 0);
    EXPECT_GT(seen.locked, 3);
    EXPECT_EQ(seen.locked, seen.unlocked);
    EXPECT_EQ(seen.allocations, 0) << "all is given back";
  }
}

TEST(PortableHostRules, TimelineSemaphoresAndFencesGiveTheSameImages) {
  std::vector<float> images[2];
  for (const bool timeline : {false, true}) {
    Engine engine(timeline);
    const ItoApi& ito = engine.ito;
    Loaded loaded(engine);
    ASSERT_ITO_OK(loaded.result);
    ASSERT_ITO_OK(engine.restart(loaded.job));
    ItoBudget budget;
    ITO_INIT(budget, BUDGET);
    budget.max_dispatches = 7;
    ItoProgress progress;
    ITO_INIT(progress, PROGRESS);
    while (!progress.complete)
      ASSERT_GE(ito.submit_slice(loaded.job, &budget, &progress), ITO_OK) << ito.last_error();
    images[timeline] = engine.images(loaded.job);
  }
  EXPECT_EQ(images[0], images[1]);
}

}  // namespace
}  // namespace ito::test
