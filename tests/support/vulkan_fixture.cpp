#include "tests/support/vulkan_fixture.h"

#include <cstdlib>

namespace ito::test {
namespace {

ValidationLog validation_log;
std::string device_error;

void fail_for_messages() {
  for (const std::string& message : validation_log.take())
    ADD_FAILURE() << "Vulkan validation: " << message;
}

}  // namespace

std::unique_ptr<vk::Device> VulkanTest::device_;

bool validation_wanted() {
  const char* value = std::getenv("ITO_VALIDATION");
  return value != nullptr && std::string_view(value) == "1";
}

vk::DeviceOptions device_options(ValidationLog& log) {
  vk::DeviceOptions options;
  options.validation = validation_wanted();
  // GPU-assisted validation knows the driver's buffers only. With less than what Ito takes at a
  // time each of Ito's has one of its own.
  const char* const value = std::getenv("ITO_VALIDATION");
  if (value != nullptr && std::string_view(value) == "gpu") options.memory_budget = (64 << 20) - 1;
  options.on_validation_message = [&log](std::string_view text) { log.add(text); };
  return options;
}

void VulkanTest::SetUpTestSuite() {
  auto device = vk::Device::create(device_options(validation_log));
  if (device.ok())
    device_ = std::move(device).value();
  else
    device_error = device.error().message;
}

void VulkanTest::TearDownTestSuite() {
  device_.reset();
  fail_for_messages();
}

void VulkanTest::SetUp() { ASSERT_NE(device_, nullptr) << device_error; }

void VulkanTest::TearDown() { fail_for_messages(); }

}  // namespace ito::test
