// VulkanTest: a fixture with a device shared by the tests of a suite. With ITO_VALIDATION=1 in the
// environment the device has the validation layers on, synchronization validation included, and any
// message of theirs fails the test that caused it. Not for tests that make or break devices.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
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

bool validation_wanted();

// Options for a device in tests: validation as the environment asks, messages into `log`.
vk::DeviceOptions device_options(ValidationLog& log);

class VulkanTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();
  void SetUp() override;
  void TearDown() override;

  static vk::Device& device() { return *device_; }

 private:
  static std::unique_ptr<vk::Device> device_;
};

}  // namespace ito::test
