// Features in chains of Vulkan's structures: read, and set.
#include "runtime/vk/options.h"

#include <gtest/gtest.h>

namespace ito::test {
namespace {

TEST(FeatureChain, WhatIsSetIsReadAgainAndNothingElse) {
  VkPhysicalDeviceFeatures2 features = {};
  VkPhysicalDeviceVulkan11Features v11 = {};
  VkPhysicalDeviceVulkan12Features v12 = {};
  VkPhysicalDeviceSubgroupSizeControlFeatures subgroup = {};
  features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
  v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
  v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
  subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES;
  features.pNext = &v11;
  v11.pNext = &v12;
  v12.pNext = &subgroup;
  v11.multiview = VK_TRUE;          // the host's own
  v12.timelineSemaphore = VK_TRUE;  // likewise: not unset
  vk::DeviceFeatures wanted;
  wanted.buffer_device_address = wanted.storage_16bit = wanted.subgroup_size_control = true;
  wanted.cooperative_matrix = true;  // has no field in this chain
  vk::enable_features(&features, wanted);
  EXPECT_EQ(v11.multiview, VK_TRUE);
  EXPECT_EQ(v11.storageBuffer16BitAccess, VK_TRUE);
  EXPECT_EQ(v11.uniformAndStorageBuffer16BitAccess, VK_FALSE);
  EXPECT_EQ(v12.shaderFloat16, VK_FALSE);

  vk::DeviceFeatures expected = wanted;
  expected.timeline_semaphore = true;
  expected.cooperative_matrix = false;
  EXPECT_EQ(vk::enabled_features(&features, {}), expected);
}

}  // namespace
}  // namespace ito::test
