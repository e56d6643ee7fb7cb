// The library without a compiler (ITO_COMPILER=OFF), as a host has it: libito_without_compiler.so,
// of the same objects as the one with it. This program has a compiler of its own, for what it
// expects.
#include <algorithm>
#include <cmath>

#include "api/sampling.h"
#include "tests/apps/tiny_model.h"
#include "tests/packed/packed_host.h"
#include "tests/support/folders.h"
#include "tests/support/vulkan_fixture.h"

namespace ito::test {
namespace {

std::string shipped_model() { return source_folder() + "/models/fashion-mnist"; }

// What a session with a compiler draws.
std::vector<float> expected_image(const Path& folder) {
  ValidationLog log;
  const Model model = load_model(folder).value();
  auto device = vk::Device::create(device_options(log));
  EXPECT_TRUE(device.ok());
  SampleOptions options;
  options.sampler = "ddim";
  options.steps = 2;
  options.batch = 1;
  auto session = SamplingSession::create(**device, model, options);
  EXPECT_TRUE(session.ok()) << session.error().message;
  const std::vector<SampleRequest> requests = {{.seed = 7, .label = 2}};
  return (*session)->sample(requests).value();
}

// The command between the backticks of a message, without `ito`; FILE.itopack becomes `out`.
std::vector<std::string> command_of(const std::string& message, const Path& out) {
  const size_t begin = message.find("`ito "), end = message.find('`', begin + 1);
  if (begin == std::string::npos || end == std::string::npos) return {};
  std::vector<std::string> words(1);
  bool quoted = false;
  for (const char c : message.substr(begin + 5, end - begin - 5)) {
    if (c == '"')
      quoted = !quoted;
    else if (c == ' ' && !quoted)
      words.emplace_back();
    else
      words.back() += c;
  }
  std::replace(words.begin(), words.end(), std::string("FILE.itopack"), out.string());
  return words;
}

TEST(WithoutCompiler, TheErrorWithoutAPackHasTheCommandThatMakesIt) {
  const Scratch scratch;
  PackedHost host(shipped_model());
  ASSERT_EQ(host.open(), ITO_OK) << host.ito.last_error();
  ASSERT_EQ(host.make_job(), ITO_ERROR_UNSUPPORTED);
  const std::string message = host.ito.last_error();
  for (const std::string& part : {std::string("no compiler"), shipped_model(),
                                  std::string(kPackedJob), std::string("\"device\"")})
    EXPECT_NE(message.find(part), std::string::npos) << part << "\n" << message;

  const Path pack = scratch / "made.itopack";
  const std::vector<std::string> command = command_of(message, pack);
  ASSERT_FALSE(command.empty()) << message;
  const Outcome outcome = run_ito(command);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  // On this device the image is that of a library with a compiler, byte for byte.
  PackedHost packed(shipped_model());
  packed.add_pack(pack);
  EXPECT_EQ(packed.draw(), expected_image(shipped_model()));
  EXPECT_EQ(packed.statistics().shaders_compiled, 0u);
  EXPECT_GT(packed.statistics().shaders_packed, 10u);

  // A job that was not packed is named, and so is the right form.
  packed.ito.destroy_job(packed.job);
  packed.job = nullptr;
  packed.sample.batch = 3;
  ASSERT_EQ(packed.make_job(), ITO_ERROR_UNSUPPORTED);
  EXPECT_NE(std::string(packed.ito.last_error()).find("batch=3"), std::string::npos)
      << packed.ito.last_error();
}

TEST(WithoutCompiler, AFormOfAnyGpuIsPlannedForWhereTheDeviceHasNoneOfItsOwn) {
  const Scratch scratch;
  write_tiny_model(scratch / "model");
  const std::string model = (scratch / "model").string();
  const Outcome outcome =
      run_pack(model, scratch / "a.itopack", {"--job", kPackedJob, "--form", "gpu"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  PackedHost host(model);
  host.add_pack(scratch / "a.itopack");
  const std::vector<float> image = host.draw(), wanted = expected_image(model);
  ASSERT_EQ(image.size(), wanted.size());
  // Sums of another order: float's rounding through two steps of the network.
  for (size_t i = 0; i < image.size(); ++i) ASSERT_NEAR(image[i], wanted[i], 1e-3) << i;
  EXPECT_EQ(host.statistics().shaders_compiled, 0u);
}

TEST(WithoutCompiler, PacksForOtherDevicesAndTrainingsAreRefused) {
  const Scratch scratch;
  ASSERT_EQ(run_pack(shipped_model(), scratch / "a.itopack",
                     {"--job", "evaluate", "--form", "gpu-matrix"})
                .code,
            0);
  PackedHost host(shipped_model());
  host.add_pack(scratch / "a.itopack");
  const ItoResult opened = host.open();
  if (opened == ITO_OK) GTEST_SKIP() << "this device can run the form gpu-matrix";
  EXPECT_EQ(opened, ITO_ERROR_UNSUPPORTED);
  EXPECT_NE(std::string(host.ito.last_error()).find("gpu-matrix"), std::string::npos)
      << host.ito.last_error();

  PackedHost bare(shipped_model());
  ASSERT_EQ(bare.open(), ITO_OK);
  ItoTrainInfo info;
  ITO_INIT(info, TRAIN_INFO);
  info.width = info.height = 8;
  info.channels = 1;
  EXPECT_EQ(bare.ito.create_train_job(bare.context, &info, &bare.job), ITO_ERROR_UNSUPPORTED);
  EXPECT_NE(std::string(bare.ito.last_error()).find("no compiler"), std::string::npos)
      << bare.ito.last_error();
}

}  // namespace
}  // namespace ito::test
