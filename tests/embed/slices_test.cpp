// Sampling in the command buffers of an engine and in Ito's own, slice by slice.
#include <gtest/gtest.h>

#include <cstring>

#include "tests/embed/embedded_host.h"

namespace ito::test {
namespace {

class PortableEmbeddedSlices : public EmbeddedHost {};

TEST_F(PortableEmbeddedSlices, ImagesInItsCommandBuffersAreThoseOfTheLibraryWhateverTheBudget) {
  // One without a memory, one that keeps a history.
  for (const char* sampler : {"ddpm", "dpm++2m"}) {
    SampleOptions options;
    options.sampler = sampler;
    options.steps = 4;
    options.batch = 2;
    const std::vector<float> whole =
        expected(options, {{.seed = 7, .label = 0}, {.seed = 8, .label = 2}});
    const ItoJob job = make_job(sample_info(sampler, 4, 2));
    ASSERT_NE(job, nullptr);
    int unlimited = 0;
    for (const auto& [microseconds, dispatches] :
         {std::pair{0u, 0u}, {0u, 7u}, {300u, 0u}, {1u, 1000u}}) {
      ASSERT_ITO(ito_.restart(job, kRequests, 2));
      const int slices = record_all(job, microseconds, dispatches);
      if (microseconds == 0 && dispatches == 0)
        unlimited = slices;
      else
        EXPECT_GT(slices, unlimited);
      EXPECT_EQ(images_of(job), whole) << sampler << " " << microseconds << " " << dispatches;
    }
    EXPECT_EQ(unlimited, 1);
    ito_.destroy_job(job);
  }
}

TEST_F(PortableEmbeddedSlices, AJobThatIsMadeAllocatesCompilesAndWaitsForNothing) {
  const ItoJob job = make_job(sample_info("ddim", 3, 2));
  ASSERT_NE(job, nullptr);
  const ItoStatistics before = statistics();
  for (int run = 0; run < 3; ++run) {
    ASSERT_ITO(ito_.restart(job, kRequests, 2));
    EXPECT_GT(record_all(job, 0, 11), 3);
  }
  const ItoStatistics after = statistics();
  EXPECT_EQ(std::memcmp(&before, &after, sizeof before), 0) << "nothing at all is counted";
  EXPECT_GT(before.submits, 0u);
  EXPECT_EQ(static_cast<uint64_t>(locks_), before.submits);
  ito_.destroy_job(job);
}

TEST_F(PortableEmbeddedSlices, SlicesThatItoSubmitsGiveTheSameAndNeverWait) {
  const ItoJob job = make_job(sample_info("ddim", 3, 2));
  ASSERT_NE(job, nullptr);
  ASSERT_ITO(ito_.restart(job, kRequests, 2));
  record_all(job, 0, 0);
  const std::vector<float> recorded = images_of(job);
  ASSERT_ITO(ito_.restart(job, kRequests, 2));
  std::vector<float> images(recorded.size());
  EXPECT_EQ(ito_.read_images(job, images.data(), images.size() * sizeof(float)), ITO_NOT_READY);
  ItoBudget budget;
  ITO_INIT(budget, BUDGET);
  budget.max_dispatches = 5;
  ItoProgress progress;
  ITO_INIT(progress, PROGRESS);
  const uint64_t waits = statistics().host_waits;
  uint32_t last = 0;
  while (!progress.complete) {
    const ItoResult result = ito_.submit_slice(job, &budget, &progress);
    ASSERT_TRUE(result == ITO_OK || result == ITO_NOT_READY) << ito_.last_error();
    EXPECT_GE(progress.step, last);
    last = progress.step;
  }
  EXPECT_EQ(statistics().host_waits, waits);
  EXPECT_EQ(progress.step, 3u);
  EXPECT_EQ(images_of(job), recorded);
  // The handles may go in any order.
  ito_.destroy_model(model_);
  ito_.destroy_context(context_);
  model_ = nullptr;
  context_ = nullptr;
  ASSERT_ITO(ito_.restart(job, kRequests, 2));
  record_all(job, 0, 0);
  EXPECT_EQ(images_of(job), recorded);
  ito_.destroy_job(job);
}

}  // namespace
}  // namespace ito::test
