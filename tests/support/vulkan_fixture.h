// VulkanTest: a fixture with a device shared by the tests of a suite. With ITO_VALIDATION=1 in the
// environment the device has the validation layers on, synchronization validation included, and any
// message of theirs fails the test that caused it. Not for tests that make or break devices.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/vk/device.h"

// Fails the test, with the error's message, unless a Result is ok.
#define ASSERT_OK(expression)                                   \
  do {                                                          \
    const auto& ito_result = (expression);                      \
    ASSERT_TRUE(ito_result.ok()) << ito_result.error().message; \
  } while (false)
// ASSERT_OK_AND_ASSIGN(auto x, f()): declares or assigns the value, or fails the test.
#define ASSERT_OK_AND_ASSIGN(lhs, expression) \
  ITO_TEST_ASSIGN_IMPL(ITO_CONCAT(ito_test_result_, __LINE__), lhs, expression)
#define ITO_TEST_ASSIGN_IMPL(result, lhs, expression) \
  auto result = (expression);                         \
  ASSERT_TRUE(result.ok()) << result.error().message; \
  lhs = std::move(result).value()

namespace ito::test {

// Messages of the validation layers; collected from any thread.
class ValidationLog {
 public:
  void add(std::string_view text) {
    std::lock_guard lock(mutex_);
    messages_.emplace_back(text);
  }
  // What came since the last call.
  std::vector<std::string> take() {
    std::lock_guard lock(mutex_);
    return std::exchange(messages_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> messages_;
};

inline bool validation_wanted() {
  const char* value = std::getenv("ITO_VALIDATION");
  return value != nullptr && std::string_view(value) == "1";
}

// Options for a device in tests: validation as the environment asks, messages into `log`.
inline vk::DeviceOptions device_options(ValidationLog& log) {
  vk::DeviceOptions options;
  options.validation = validation_wanted();
  options.on_validation_message = [&log](std::string_view text) { log.add(text); };
  return options;
}

class VulkanTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto device = vk::Device::create(device_options(validation_log_));
    if (device.ok())
      device_ = std::move(device).value();
    else
      device_error_ = device.error().message;
  }
  static void TearDownTestSuite() {
    device_.reset();
    for (const std::string& message : validation_log_.take())
      ADD_FAILURE() << "Vulkan validation: " << message;
  }
  void SetUp() override { ASSERT_NE(device_, nullptr) << device_error_; }
  void TearDown() override {
    for (const std::string& message : validation_log_.take())
      ADD_FAILURE() << "Vulkan validation: " << message;
  }

  static vk::Device& device() { return *device_; }

 private:
  inline static ValidationLog validation_log_;
  inline static std::unique_ptr<vk::Device> device_;
  inline static std::string device_error_;
};

}  // namespace ito::test
