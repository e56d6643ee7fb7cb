// What a device looks like once its masks are on: properties, features, queue families, memory and
// extensions as they are told, and what may be asked of vkCreateDevice. Knows no dispatch tables.
#pragma once

#include <string_view>
#include <vector>

#include "settings.h"

namespace ito_faults {

// Whether "no_<name>" is a mask.
bool is_maskable(std::string_view name);

// Whether an extension of a device is shown.
bool shows_extension(const Masks& masks, std::string_view name);

// Change what the driver said, in the structure and in all of its chain.
void mask_properties(const Masks& masks, VkPhysicalDeviceProperties2& properties);
void mask_properties(const Masks& masks, VkPhysicalDeviceProperties& properties);
void mask_features(const Masks& masks, VkPhysicalDeviceFeatures2& features);
void mask_features(const Masks& masks, VkPhysicalDeviceFeatures& features);
void mask_memory(const Masks& masks, VkPhysicalDeviceMemoryProperties2& memory);
void mask_memory(const Masks& masks, VkPhysicalDeviceMemoryProperties& memory);

// With the mask `queues`: the families up to the first that computes, with so many queues at most.
template <typename Family>
void mask_families(const Masks& masks, std::vector<Family>& families);
extern template void mask_families(const Masks&, std::vector<VkQueueFamilyProperties>&);
extern template void mask_families(const Masks&, std::vector<VkQueueFamilyProperties2>&);

// VK_SUCCESS, or how a device that is as the masks say answers vkCreateDevice: an extension, a
// feature or a queue that it does not have. `families`: masked.
VkResult check_device_info(const Masks& masks, const VkDeviceCreateInfo& info,
                           const std::vector<VkQueueFamilyProperties>& families);

}  // namespace ito_faults
