// One evaluation of a network inside an engine.
#include <gtest/gtest.h>

#include <cmath>

#include "api/forward.h"
#include "tests/embed/embedded_host.h"

namespace ito::test {
namespace {

class PortableEmbeddedEvaluation : public EmbeddedHost {};

TEST_F(PortableEmbeddedEvaluation, GivesWhatForwardGivesFromMemoryAndFromBuffers) {
  std::vector<float> sample(128), times = {3, 750};
  for (size_t i = 0; i < sample.size(); ++i) sample[i] = std::sin(static_cast<float>(i));
  const std::vector<uint32_t> classes = {2, 1};
  const Model model = load_model(scratch_ / "model").value();
  auto device = vk::Device::create(device_options(log_)).value();
  TensorFile inputs;
  inputs.tensors.emplace("sample", tensor_from_floats({2, 1, 8, 8}, sample));
  inputs.tensors.emplace("timestep", tensor_from_floats({2}, times));
  const auto* words = reinterpret_cast<const uint8_t*>(classes.data());
  HostTensor labels{
      .type = HostType::kU32, .shape = {2}, .bytes = std::vector<uint8_t>(words, words + 8)};
  inputs.tensors.emplace("class_labels", std::move(labels));
  ASSERT_OK_AND_ASSIGN(const TensorFile outputs, forward(*device, model, inputs, false, "test"));
  const std::vector<float> wanted = to_floats(outputs.tensors.at("out"));

  ItoEvaluateInfo info;
  ITO_INIT(info, EVALUATE_INFO);
  info.batch = 2;
  ItoJob job = nullptr;
  ASSERT_ITO(ito_.create_evaluate_job(model_, &info, &job));
  ItoJobProperties properties;
  ITO_INIT(properties, JOB_PROPERTIES);
  ASSERT_ITO(ito_.get_job_properties(job, &properties));
  EXPECT_EQ(properties.image_floats, 128u);
  EXPECT_EQ(properties.steps, 1u);
  ASSERT_ITO(ito_.write_input(job, ITO_INPUT_SAMPLE, 0, sample.data(), 512));
  ASSERT_ITO(ito_.write_input(job, ITO_INPUT_TIMESTEPS, 0, times.data(), 8));
  ASSERT_ITO(ito_.write_input(job, ITO_INPUT_CLASSES, 0, classes.data(), 8));
  ASSERT_ITO(ito_.restart(job, nullptr, 0));
  EXPECT_GT(record_all(job, 0, 6), 2);
  EXPECT_EQ(images_of(job), wanted);

  // Others in between, then the same from a buffer: what a buffer holds is words, too.
  const uint32_t third = 3;
  EXPECT_EQ(ito_.write_input(job, ITO_INPUT_CLASSES, 0, &third, 4), ITO_ERROR_INVALID_ARGUMENT);
  EXPECT_TRUE(says(ito_.last_error(), "class 3 does not exist")) << ito_.last_error();
  const std::vector<uint32_t> zeros(128);
  ASSERT_ITO(ito_.write_input(job, ITO_INPUT_SAMPLE, 0, zeros.data(), 512));
  ASSERT_ITO(ito_.write_input(job, ITO_INPUT_CLASSES, 0, zeros.data(), 8));
  ASSERT_ITO(ito_.restart(job, nullptr, 0));
  record_all(job, 0, 0);
  EXPECT_NE(images_of(job), wanted);
  const HostBuffer numbers = memory().buffer(512), labels_buffer = memory().buffer(8);
  numbers.write(sample);
  labels_buffer.write(classes);
  const HostBuffer out = memory().buffer(512);
  VkCommandBuffer commands = begin_commands();
  ItoBufferSource source;
  ITO_INIT(source, BUFFER_SOURCE);
  source.input = ITO_INPUT_SAMPLE;
  source.buffer = numbers.buffer;
  ASSERT_ITO(ito_.record_buffer_source(job, commands, &source));
  source.input = ITO_INPUT_CLASSES;
  source.buffer = labels_buffer.buffer;
  ASSERT_ITO(ito_.record_buffer_source(job, commands, &source));
  ASSERT_ITO(ito_.restart(job, nullptr, 0));
  ItoBudget budget;
  ITO_INIT(budget, BUDGET);
  ItoProgress progress;
  ITO_INIT(progress, PROGRESS);
  ASSERT_ITO(ito_.record_slice(job, commands, &budget, &progress));
  ItoBufferTarget target;
  ITO_INIT(target, BUFFER_TARGET);
  target.buffer = out.buffer;
  target.stages_after = VK_PIPELINE_STAGE_HOST_BIT;
  target.access_after = VK_ACCESS_HOST_READ_BIT;
  ASSERT_ITO(ito_.record_buffer(job, commands, &target));
  submit(commands);
  wait();
  EXPECT_EQ(out.read<float>(), wanted);

  EXPECT_EQ(ito_.restart(job, kRequests, 2), ITO_ERROR_INVALID_ARGUMENT);
  EXPECT_TRUE(says(ito_.last_error(), "pass NULL and 0")) << ito_.last_error();
  ItoTrainReport report;
  ITO_INIT(report, TRAIN_REPORT);
  EXPECT_EQ(ito_.read_train_report(job, &report), ITO_ERROR_UNSUPPORTED);
  ito_.destroy_job(job);
  info.context_length = 4;
  EXPECT_EQ(ito_.create_evaluate_job(model_, &info, &job), ITO_ERROR_INVALID_ARGUMENT);
  EXPECT_TRUE(says(ito_.last_error(), "context of 4 states")) << ito_.last_error();
}

}  // namespace
}  // namespace ito::test
