// SamplingSession in this process: what a step of the sampling loop costs the host.
#include <gtest/gtest.h>

#include "api/sampling.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

class SamplingSessionTest : public VulkanTest, public ::testing::WithParamInterface<const char*> {};

// Between the second step and the last one: submissions, and where the loop has to be looked at for
// divergence, one copy at a time that nobody waits for.
TEST_P(SamplingSessionTest, StepsNeitherAllocateNorCompileNorWait) {
  const Scratch scratch;
  write_tiny_model(scratch / "model");
  ASSERT_OK_AND_ASSIGN(const Model model, load_model(scratch / "model"));
  SampleOptions options;
  options.sampler = GetParam();
  options.steps = 24;
  options.batch = 2;
  ASSERT_OK_AND_ASSIGN(const auto session, SamplingSession::create(device(), model, options));
  const std::vector<SampleRequest> requests = {{.seed = 1, .label = 0}, {.seed = 2, .label = 1}};
  // Until the executor has measured itself, and ring and pool have what they need.
  ASSERT_OK_AND_ASSIGN(const std::vector<float> first, session->sample(requests));
  std::vector<vk::Counters> after;
  ASSERT_OK_AND_ASSIGN(const std::vector<float> second, session->sample(requests, [&] {
    after.push_back(device().counters());
    return true;
  }));
  EXPECT_EQ(first, second);
  ASSERT_EQ(static_cast<int>(after.size()), session->steps());
  const vk::Counters &begin = after[1], &end = after.back();
  EXPECT_EQ(end.host_waits, begin.host_waits);
  EXPECT_EQ(end.allocations, begin.allocations);
  EXPECT_EQ(end.memory_blocks, begin.memory_blocks);
  EXPECT_EQ(end.pipelines_created, begin.pipelines_created);
  EXPECT_EQ(end.glsl_compilations, begin.glsl_compilations);
  const uint64_t steps = after.size() - 2;
  EXPECT_GE(end.submits, begin.submits + steps);
  EXPECT_LE(end.submits, begin.submits + 2 * steps);
  EXPECT_LE(end.recordings, begin.recordings + steps);
}

INSTANTIATE_TEST_SUITE_P(Samplers, SamplingSessionTest,
                         ::testing::Values("ddpm", "ddim", "pc", "pndm", "dpm++2m", "unipc", "deis",
                                           "euler-ancestral", "heun", "lms", "edm", "flow-euler"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase_if(name, [](char c) { return !std::isalnum(c); });
                           return name;
                         });

}  // namespace
}  // namespace ito::test
