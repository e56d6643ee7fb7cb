// SamplingSession in this process: what a step of the sampling loop costs the host.
#include <gtest/gtest.h>

#include <algorithm>

#include "api/sampling.h"
#include "diffusion/ddgan.h"
#include "nn/ddgan.h"
#include "tests/apps/tiny_model.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

class SamplingSessionTest : public VulkanTest, public ::testing::WithParamInterface<std::string> {};

// A network of untrained weights that the sampler takes.
Model model_for(const std::string& sampler) {
  Model model;
  UNet2DConfig config = tiny_unet();
  if (sampler == "gan") {
    config.num_class_embeds.reset();
    config.class_embed_type = "identity";
    model.network =
        ddgan_generator_network({.unet = config, .mapping = {.latent = 5, .features = 32}}).value();
    model.scheduler = ddgan_scheduler(4).value();
  } else {
    model.network = unet2d_network(config).value();
  }
  if (sampler == "consistency") model.scheduler.process = ProcessKind::kConsistency;
  if (sampler == "unclip") {
    model.scheduler.beta_schedule = "squaredcos_cap_v2";
    model.scheduler.variance_type = "fixed_small_log";
  }
  model.weights = initial_parameters(model.network.set(), 1);
  return model;
}

// Every sampler, between the second step and the last one: submissions, and where the loop has to
// be looked at for divergence, one copy at a time that nobody waits for. The adaptive flow (ode)
// also takes every attempt's count of images that are under way back to the host, which decides by
// it whether to submit more: the one loop that hears of the device, and it does not wait either.
TEST_P(SamplingSessionTest, StepsNeitherAllocateNorCompileNorWait) {
  const Model model = model_for(GetParam());
  SampleOptions options;
  options.sampler = GetParam();
  options.steps = GetParam() == "gan" ? 0 : 24;
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
  const bool adaptive = session->steps() == 0;
  EXPECT_EQ(adaptive, GetParam() == "ode");
  if (!adaptive) {
    ASSERT_EQ(static_cast<int>(after.size()), session->steps());
  }
  ASSERT_GE(after.size(), 3u);
  const vk::Counters &begin = after[1], &end = after.back();
  EXPECT_EQ(end.host_waits, begin.host_waits);
  EXPECT_EQ(end.allocations, begin.allocations);
  EXPECT_EQ(end.memory_blocks, begin.memory_blocks);
  EXPECT_EQ(end.pipelines_created, begin.pipelines_created);
  EXPECT_EQ(end.glsl_compilations, begin.glsl_compilations);
  const uint64_t steps = after.size() - 2;
  // A step's own submissions, which a busy machine makes more than one of (ExecutorOptions), and at
  // most one copy for the host.
  uint64_t own = end.submits;
  for (size_t i = 2; i < after.size(); ++i)
    own = std::min(own, after[i].submits - after[i - 1].submits);
  EXPECT_GE(own, 1u);
  EXPECT_LE(end.submits, begin.submits + (own + 1) * steps);
  EXPECT_LE(end.recordings, begin.recordings + steps);
}

INSTANTIATE_TEST_SUITE_P(Samplers, SamplingSessionTest, ::testing::ValuesIn(sampler_names()),
                         [](const auto& info) {
                           std::string name;
                           for (const char c : info.param)
                             if (std::isalnum(static_cast<unsigned char>(c))) {
                               name += c;
                             } else if (c == '+') {
                               name += "p";
                             }
                           return name;
                         });

}  // namespace
}  // namespace ito::test
