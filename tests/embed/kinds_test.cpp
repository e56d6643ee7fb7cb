// All kinds of jobs by the host's rules: without a queue, made on its terms, taken back where they
// could not be submitted.
#include <cmath>

#include "tests/embed/support/engine.h"

namespace ito::test {
namespace {

constexpr uint32_t kPixels = 64;  // of an image of the tiny model

// What a host gives to its jobs.
std::vector<float> waves(size_t count) {
  std::vector<float> numbers(count);
  for (size_t i = 0; i < count; ++i) numbers[i] = std::sin(static_cast<float>(i));
  return numbers;
}

ItoResult give(const ItoApi& ito, ItoJob job, ItoInput input, const std::vector<float>& numbers) {
  return ito.write_input(job, input, 0, numbers.data(), numbers.size() * sizeof(float));
}

struct Jobs {
  ItoJob sampling = nullptr, evaluation = nullptr, training = nullptr;
  bool all() const { return sampling != nullptr && evaluation != nullptr && training != nullptr; }
};

// One of each kind, with all that a kind may be given from the host's memory.
Jobs make_jobs(Engine& engine, const Loaded& loaded) {
  const ItoApi& ito = engine.ito;
  Jobs jobs;
  ItoSampleInfo sample;
  ITO_INIT(sample, SAMPLE_INFO);
  sample.sampler = "ddim";
  sample.steps = 3;
  sample.strength = 0.7;
  sample.inpaint = VK_TRUE;
  sample.pixel_format = ITO_PIXEL_FORMAT_RGBA8;
  sample.mask_format = ITO_PIXEL_FORMAT_R8;
  sample.preview = VK_TRUE;
  EXPECT_ITO(ito.create_sample_job(loaded.model, &sample, &jobs.sampling));
  ItoEvaluateInfo evaluate;
  ITO_INIT(evaluate, EVALUATE_INFO);
  EXPECT_ITO(ito.create_evaluate_job(loaded.model, &evaluate, &jobs.evaluation));
  ItoTrainInfo train;
  ITO_INIT(train, TRAIN_INFO);
  train.options = "{\"channels\": [8], \"size\": \"8\", \"batch\": 2, \"accumulate\": 2}";
  train.width = train.height = 6;
  train.channels = 1;
  train.picture_format = ITO_PIXEL_FORMAT_BYTES;
  EXPECT_ITO(ito.create_train_job(loaded.context, &train, &jobs.training));
  return jobs;
}

void destroy(const ItoApi& ito, const Jobs& jobs) {
  for (ItoJob job : {jobs.sampling, jobs.evaluation, jobs.training}) ito.destroy_job(job);
}

void write_inputs(const ItoApi& ito, const Jobs& jobs) {
  EXPECT_ITO(give(ito, jobs.sampling, ITO_INPUT_INITIAL, waves(kPixels)));
  EXPECT_ITO(give(ito, jobs.sampling, ITO_INPUT_KNOWN, waves(kPixels)));
  std::vector<uint8_t> mask(kPixels);
  std::fill(mask.begin(), mask.begin() + kPixels / 2, uint8_t{255});
  EXPECT_ITO(ito.write_input(jobs.sampling, ITO_INPUT_MASK, 0, mask.data(), mask.size()));
  EXPECT_ITO(give(ito, jobs.evaluation, ITO_INPUT_SAMPLE, waves(kPixels)));
  EXPECT_ITO(give(ito, jobs.evaluation, ITO_INPUT_TIMESTEPS, {500}));
}

// All that the jobs come to.
struct Results {
  std::vector<float> images, output;
  std::vector<uint8_t> pixels;
  ItoTrainReport report = {};
};

Results run(Engine& engine, const Jobs& jobs) {
  const ItoApi& ito = engine.ito;
  write_inputs(ito, jobs);
  EXPECT_ITO(engine.restart(jobs.sampling));
  EXPECT_ITO(engine.record_all(jobs.sampling));
  EXPECT_ITO(ito.restart(jobs.evaluation, nullptr, 0));
  EXPECT_ITO(engine.record_all(jobs.evaluation));
  for (int batch = 0; batch < 2; ++batch) {
    std::vector<uint8_t> pictures(2 * 36);
    for (size_t i = 0; i < pictures.size(); ++i)
      pictures[i] = static_cast<uint8_t>(i * 7 + static_cast<size_t>(batch) * 50);
    EXPECT_ITO(
        ito.write_input(jobs.training, ITO_INPUT_PICTURES, 0, pictures.data(), pictures.size()));
    EXPECT_ITO(ito.restart(jobs.training, nullptr, 0));
    EXPECT_ITO(engine.record_all(jobs.training));
  }
  Results results;
  results.images = engine.images(jobs.sampling);
  results.pixels = engine.pixels(jobs.sampling);
  results.output = engine.images(jobs.evaluation);
  ITO_INIT(results.report, TRAIN_REPORT);
  EXPECT_ITO(ito.read_train_report(jobs.training, &results.report));
  return results;
}

void expect_same(const Results& seen, const Results& wanted) {
  EXPECT_EQ(seen.images, wanted.images);
  EXPECT_EQ(seen.pixels, wanted.pixels);
  EXPECT_EQ(seen.output, wanted.output);
  EXPECT_EQ(seen.report.loss, wanted.report.loss);
  EXPECT_EQ(seen.report.gradient_norm, wanted.report.gradient_norm);
  EXPECT_EQ(seen.report.learning_rate, wanted.report.learning_rate);
}

ItoResult upload_all(Engine& engine, ItoContext context) {
  const ItoApi& ito = engine.ito;
  ItoBudget budget;
  ITO_INIT(budget, BUDGET);
  ItoResult result = ITO_NOT_READY;
  for (int frames = 0; frames < 1000 && result == ITO_NOT_READY; ++frames)
    engine.frame([&] { result = ito.record_uploads(context, engine.commands, &budget); });
  return result;
}

TEST(PortableKinds, GiveTheSameWithoutAQueueWhereTheHostDoesNotSeeTheMemory) {
  Results wanted;
  {
    Engine engine;
    engine.witness.hide_device_memory();
    const ItoApi& ito = engine.ito;
    const Loaded loaded(engine);
    ASSERT_ITO_OK(loaded.result);
    const Jobs jobs = make_jobs(engine, loaded);
    ASSERT_TRUE(jobs.all());
    wanted = run(engine, jobs);
    destroy(ito, jobs);
  }
  EXPECT_EQ(wanted.output.size(), kPixels);
  EXPECT_EQ(wanted.report.step, 1u);
  EXPECT_EQ(wanted.report.loss_scale, 0) << "it is not scaled";
  EXPECT_GT(wanted.report.gradient_norm, 0);

  Engine engine;
  engine.witness.hide_device_memory();
  const ItoApi& ito = engine.ito;
  {
    const Loaded loaded(
        engine, [](ItoHostDevice& device, ItoContextInfo&) { device.queue = VK_NULL_HANDLE; });
    ASSERT_ITO_OK(loaded.result);
    const Jobs jobs = make_jobs(engine, loaded);
    ASSERT_TRUE(jobs.all());
    // Nothing may come before the uploads, which would overwrite it.
    ItoBufferSource source;
    ITO_INIT(source, BUFFER_SOURCE);
    source.input = ITO_INPUT_SAMPLE;
    source.buffer = reinterpret_cast<VkBuffer>(1);  // is not looked at
    EXPECT_EQ(ito.record_buffer_source(jobs.evaluation, engine.commands, &source), ITO_NOT_READY);
    EXPECT_EQ(ito.record_preview(jobs.sampling, engine.commands, nullptr), ITO_NOT_READY);
    ASSERT_ITO_OK(upload_all(engine, loaded.context));
    expect_same(run(engine, jobs), wanted);
    // What is taken again after a trim has to be written again.
    ASSERT_ITO_OK(ito.trim_memory(jobs.evaluation));
    EXPECT_EQ(engine.images(jobs.evaluation), wanted.output);
    ASSERT_ITO_OK(ito.restart(jobs.evaluation, nullptr, 0));
    EXPECT_EQ(engine.record_all(jobs.evaluation), ITO_NOT_READY);
    ASSERT_ITO_OK(upload_all(engine, loaded.context));
    ASSERT_ITO_OK(engine.record_all(jobs.evaluation));
    EXPECT_EQ(engine.images(jobs.evaluation), wanted.output);
    EXPECT_EQ(ito.write_trained_model(jobs.training, engine.cache_folder().c_str()),
              ITO_ERROR_UNSUPPORTED);
    EXPECT_NE(std::string(ito.last_error()).find("queue"), std::string::npos) << ito.last_error();
    destroy(ito, jobs);
  }
  EXPECT_EQ(engine.witness.count({Call::vkQueueSubmit, Call::vkWaitForFences}), 0u);
}

// The number of kernels is known from the start, those of programs around a job's own included.
TEST(PortableKinds, TellTheNumberOfTheirKernelsOnceAndAreCancelled) {
  struct Told {
    std::atomic<uint32_t> calls = 0, total = 0, stop_at = UINT32_MAX;
  } told;
  Engine engine;
  const ItoApi& ito = engine.ito;
  const Loaded loaded(engine, [&](ItoHostDevice&, ItoContextInfo& info) {
    info.user = &told;
    info.progress = [](void* user, uint32_t done, uint32_t total) -> VkBool32 {
      auto& seen = *static_cast<Told*>(user);
      ++seen.calls;
      seen.total += done == 0 ? total : 0;
      return done < seen.stop_at;
    };
  });
  ASSERT_ITO_OK(loaded.result);
  told.calls = told.total = 0;
  destroy(ito, make_jobs(engine, loaded));
  EXPECT_GT(told.total, 30u);
  EXPECT_EQ(told.calls, told.total + 3) << "once before each job, and after each kernel";
  told.stop_at = 3;
  ItoTrainInfo train;
  ITO_INIT(train, TRAIN_INFO);
  train.options = "{\"channels\": [8], \"size\": \"8\", \"batch\": 3}";
  train.width = train.height = 8;
  train.channels = 1;
  ItoJob job = nullptr;
  EXPECT_EQ(ito.create_train_job(loaded.context, &train, &job), ITO_ERROR_CANCELLED);
  EXPECT_EQ(job, nullptr);
}

// What a slice that was not submitted would have brought is brought by the next.
TEST(PortableKinds, KeepTheirInputsWhereASliceCouldNotBeSubmitted) {
  Engine engine;
  const ItoApi& ito = engine.ito;
  const Loaded loaded(engine);
  ASSERT_ITO_OK(loaded.result);
  const Jobs jobs = make_jobs(engine, loaded);
  ASSERT_TRUE(jobs.all());
  const std::vector<float> wanted = run(engine, jobs).output;
  ASSERT_ITO_OK(give(ito, jobs.evaluation, ITO_INPUT_SAMPLE, std::vector<float>(kPixels)));
  ASSERT_ITO_OK(ito.restart(jobs.evaluation, nullptr, 0));
  ASSERT_ITO_OK(engine.record_all(jobs.evaluation));
  EXPECT_NE(engine.images(jobs.evaluation), wanted);
  ASSERT_ITO_OK(give(ito, jobs.evaluation, ITO_INPUT_SAMPLE, waves(kPixels)));
  ASSERT_ITO_OK(ito.restart(jobs.evaluation, nullptr, 0));
  engine.witness.fail({Call::vkQueueSubmit}, 1, VK_ERROR_OUT_OF_HOST_MEMORY);
  ItoBudget budget;
  ITO_INIT(budget, BUDGET);
  ItoProgress progress;
  ITO_INIT(progress, PROGRESS);
  EXPECT_EQ(ito.submit_slice(jobs.evaluation, &budget, &progress), ITO_ERROR_OUT_OF_MEMORY);
  while (!progress.complete)
    ASSERT_GE(ito.submit_slice(jobs.evaluation, &budget, &progress), ITO_OK) << ito.last_error();
  EXPECT_EQ(engine.images(jobs.evaluation), wanted);
  destroy(ito, jobs);
}

}  // namespace
}  // namespace ito::test
