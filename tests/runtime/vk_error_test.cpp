// Which kind of error each answer of a driver is.
#include <gtest/gtest.h>

#include "runtime/vk/functions.h"

namespace ito::vk {
namespace {

TEST(VkError, SaysWhatCanBeDoneAboutIt) {
  auto kind = [](VkResult result) { return vk_error(result, "something").kind; };
  EXPECT_EQ(kind(VK_ERROR_OUT_OF_DEVICE_MEMORY), ErrorKind::kOutOfMemory);
  EXPECT_EQ(kind(VK_ERROR_DEVICE_LOST), ErrorKind::kDeviceLost);
  EXPECT_EQ(kind(VK_ERROR_FEATURE_NOT_PRESENT), ErrorKind::kUnsupported);
  EXPECT_EQ(kind(VK_ERROR_INITIALIZATION_FAILED), ErrorKind::kDevice);
  EXPECT_EQ(kind(VK_ERROR_UNKNOWN), ErrorKind::kDevice);
  EXPECT_EQ(kind(static_cast<VkResult>(-123456)), ErrorKind::kDevice);
  EXPECT_EQ(vk_error(VK_ERROR_UNKNOWN, "doing it").message,
            "doing it failed: a Vulkan error (-13)");
}

}  // namespace
}  // namespace ito::vk
