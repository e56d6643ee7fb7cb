// The layer's face to the loader: its one exported function, how instances and devices are made
// through it, and the functions that tell what a device is like, whose answers are masked. All
// others are Wrapped.
#include <vulkan/vk_layer.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "masks.h"
#include "wrapped.h"

#ifndef VK_LAYER_EXPORT
#define VK_LAYER_EXPORT __attribute__((visibility("default")))
#endif

namespace ito_faults {
namespace {

constexpr const char* kLayerName = "VK_LAYER_ITO_faults";

const Masks& masks() { return settings().masks; }

// The loader's link in a chain of creation: what lies below the layer.
template <typename Info>
Info* link_of(const void* chain, VkStructureType type) {
  for (auto* node = static_cast<const VkBaseInStructure*>(chain); node != nullptr;
       node = node->pNext) {
    auto* info = reinterpret_cast<const Info*>(node);
    if (node->sType == type && info->function == VK_LAYER_LINK_INFO) return const_cast<Info*>(info);
  }
  return nullptr;
}

VKAPI_ATTR VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo* info,
                                               const VkAllocationCallbacks* callbacks,
                                               VkInstance* instance) {
  if (!settings().error.empty()) {
    std::fprintf(stderr, "%s: %s\n", kLayerName, settings().error.c_str());
    return VK_ERROR_INITIALIZATION_FAILED;
  }
  auto* link = link_of<VkLayerInstanceCreateInfo>(info->pNext,
                                                  VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO);
  if (link == nullptr || link->u.pLayerInfo == nullptr) return VK_ERROR_INITIALIZATION_FAILED;
  const VkResult answer = count_call(Function::vkCreateInstance, Health::kWell);
  if (answer != VK_SUCCESS) return answer;
  const PFN_vkGetInstanceProcAddr next = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;  // the next layer's
  const auto create =
      reinterpret_cast<PFN_vkCreateInstance>(next(VK_NULL_HANDLE, "vkCreateInstance"));
  if (create == nullptr) return VK_ERROR_INITIALIZATION_FAILED;
  const VkResult result = create(info, callbacks, instance);
  if (result == VK_SUCCESS) keep(key_of(*instance), std::make_unique<Dispatch>(next, *instance));
  return result;
}

VKAPI_ATTR void VKAPI_CALL destroy_instance(VkInstance instance,
                                            const VkAllocationCallbacks* callbacks) {
  if (instance == VK_NULL_HANDLE) return;
  count_call(Function::vkDestroyInstance, Health::kWell);
  const auto dispatch = take(key_of(instance));
  dispatch->get<PFN_vkDestroyInstance>(Function::vkDestroyInstance)(instance, callbacks);
  write_counts();  // for programs that end by _exit
}

template <typename Family>
void cut_families(std::vector<Family>& families, uint32_t* count, Family* out) {
  mask_families(masks(), families);
  const auto found = static_cast<uint32_t>(families.size());
  if (out == nullptr) {
    *count = found;
    return;
  }
  *count = std::min(*count, found);
  std::copy_n(families.begin(), *count, out);
}

VKAPI_ATTR void VKAPI_CALL queue_families(VkPhysicalDevice device, uint32_t* count,
                                          VkQueueFamilyProperties* out) {
  uint32_t all = 0;
  WRAPPED(vkGetPhysicalDeviceQueueFamilyProperties)::call(device, &all, nullptr);
  std::vector<VkQueueFamilyProperties> families(all);
  dispatch_of(key_of(device))
      .get<PFN_vkGetPhysicalDeviceQueueFamilyProperties>(
          Function::vkGetPhysicalDeviceQueueFamilyProperties)(device, &all, families.data());
  cut_families(families, count, out);
}

// The chains of the caller's are filled: at most all families.
template <Function kFunction>
VKAPI_ATTR void VKAPI_CALL queue_families2(VkPhysicalDevice device, uint32_t* count,
                                           VkQueueFamilyProperties2* out) {
  using Call = Wrapped<kFunction, PFN_vkGetPhysicalDeviceQueueFamilyProperties2>;
  uint32_t all = 0;
  Call::call(device, &all, nullptr);
  std::vector<VkQueueFamilyProperties2> families(all);
  for (uint32_t i = 0; i < all; ++i) {
    families[i].sType = VK_STRUCTURE_TYPE_QUEUE_FAMILY_PROPERTIES_2;
    families[i].pNext = out != nullptr && i < *count ? out[i].pNext : nullptr;
  }
  dispatch_of(key_of(device))
      .template get<PFN_vkGetPhysicalDeviceQueueFamilyProperties2>(kFunction)(device, &all,
                                                                              families.data());
  cut_families(families, count, out);
}

VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical,
                                             const VkDeviceCreateInfo* info,
                                             const VkAllocationCallbacks* callbacks,
                                             VkDevice* device) {
  auto* link =
      link_of<VkLayerDeviceCreateInfo>(info->pNext, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO);
  if (link == nullptr || link->u.pLayerInfo == nullptr) return VK_ERROR_INITIALIZATION_FAILED;
  const VkResult answer = count_call(Function::vkCreateDevice, Health::kWell);
  if (answer != VK_SUCCESS) return answer;
  Dispatch& above = dispatch_of(key_of(physical));
  uint32_t count = 0;
  const auto list = above.get<PFN_vkGetPhysicalDeviceQueueFamilyProperties>(
      Function::vkGetPhysicalDeviceQueueFamilyProperties);
  list(physical, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  list(physical, &count, families.data());
  mask_families(masks(), families);
  const VkResult possible = check_device_info(masks(), *info, families);
  if (possible != VK_SUCCESS) return possible;
  const PFN_vkGetInstanceProcAddr next = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  const PFN_vkGetDeviceProcAddr next_device = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  const auto create =
      reinterpret_cast<PFN_vkCreateDevice>(next(above.instance(), "vkCreateDevice"));
  if (create == nullptr) return VK_ERROR_INITIALIZATION_FAILED;
  const VkResult result = create(physical, info, callbacks, device);
  if (result == VK_SUCCESS)
    keep(key_of(*device), std::make_unique<Dispatch>(next_device, *device, physical));
  return result;
}

VKAPI_ATTR void VKAPI_CALL destroy_device(VkDevice device, const VkAllocationCallbacks* callbacks) {
  if (device == VK_NULL_HANDLE) return;
  count_call(Function::vkDestroyDevice, Health::kWell);
  const auto dispatch = take(key_of(device));
  dispatch->get<PFN_vkDestroyDevice>(Function::vkDestroyDevice)(device, callbacks);
}

VKAPI_ATTR VkResult VKAPI_CALL allocate_memory(VkDevice device, const VkMemoryAllocateInfo* info,
                                               const VkAllocationCallbacks* callbacks,
                                               VkDeviceMemory* memory) {
  if (masks().allocation && info->allocationSize > *masks().allocation) {
    count_call(Function::vkAllocateMemory, Health::kWell);
    return VK_ERROR_OUT_OF_DEVICE_MEMORY;
  }
  return WRAPPED(vkAllocateMemory)::call(device, info, callbacks, memory);
}

// Masked<Function, PFN>::call: what the driver says of a device, masked by `kMask`.
template <Function kFunction, typename Structure, auto kMask>
VKAPI_ATTR void VKAPI_CALL masked(VkPhysicalDevice device, Structure* out) {
  Wrapped<kFunction, void(VKAPI_PTR*)(VkPhysicalDevice, Structure*)>::call(device, out);
  kMask(masks(), *out);
}

template <typename Structure>
constexpr auto kMaskProperties = static_cast<void (*)(const Masks&, Structure&)>(&mask_properties);
template <typename Structure>
constexpr auto kMaskFeatures = static_cast<void (*)(const Masks&, Structure&)>(&mask_features);
template <typename Structure>
constexpr auto kMaskMemory = static_cast<void (*)(const Masks&, Structure&)>(&mask_memory);

// Fills as much of `out` as *count holds; null: gives how many there are.
template <typename T>
VkResult hand_over(const std::vector<T>& all, uint32_t* count, T* out) {
  const auto found = static_cast<uint32_t>(all.size());
  if (out == nullptr) {
    *count = found;
    return VK_SUCCESS;
  }
  *count = std::min(*count, found);
  std::copy_n(all.begin(), *count, out);
  return *count < found ? VK_INCOMPLETE : VK_SUCCESS;
}

bool is_this_layer(const char* name) {
  return name != nullptr && std::strcmp(name, kLayerName) == 0;
}

VkResult layer_properties(uint32_t* count, VkLayerProperties* out) {
  VkLayerProperties own = {};
  std::strncpy(own.layerName, kLayerName, sizeof(own.layerName) - 1);
  std::strncpy(own.description, "Masks, faults and counts for testing",
               sizeof(own.description) - 1);
  own.specVersion = VK_HEADER_VERSION_COMPLETE;
  own.implementationVersion = 1;
  return hand_over<VkLayerProperties>({own}, count, out);
}

VKAPI_ATTR VkResult VKAPI_CALL enumerate_instance_layers(uint32_t* count, VkLayerProperties* out) {
  return layer_properties(count, out);
}

VKAPI_ATTR VkResult VKAPI_CALL enumerate_instance_extensions(const char* layer, uint32_t* count,
                                                             VkExtensionProperties* out) {
  if (!is_this_layer(layer)) return VK_ERROR_LAYER_NOT_PRESENT;
  return hand_over<VkExtensionProperties>({}, count, out);
}

VKAPI_ATTR VkResult VKAPI_CALL enumerate_device_layers(VkPhysicalDevice, uint32_t* count,
                                                       VkLayerProperties* out) {
  return layer_properties(count, out);
}

VKAPI_ATTR VkResult VKAPI_CALL enumerate_device_extensions(VkPhysicalDevice device,
                                                           const char* layer, uint32_t* count,
                                                           VkExtensionProperties* out) {
  if (is_this_layer(layer)) return hand_over<VkExtensionProperties>({}, count, out);
  uint32_t all = 0;
  VkResult result =
      WRAPPED(vkEnumerateDeviceExtensionProperties)::call(device, layer, &all, nullptr);
  if (result != VK_SUCCESS) return result;
  std::vector<VkExtensionProperties> extensions(all);
  result = dispatch_of(key_of(device))
               .get<PFN_vkEnumerateDeviceExtensionProperties>(
                   Function::vkEnumerateDeviceExtensionProperties)(device, layer, &all,
                                                                   extensions.data());
  if (result != VK_SUCCESS) return result;
  extensions.resize(all);
  std::erase_if(extensions, [](const VkExtensionProperties& extension) {
    return !shows_extension(masks(), extension.extensionName);
  });
  return hand_over(extensions, count, out);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_instance_proc_addr(VkInstance, const char*);
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_device_proc_addr(VkDevice, const char*);

template <typename Pfn>
PFN_vkVoidFunction erased(Pfn function) {
  return reinterpret_cast<PFN_vkVoidFunction>(function);
}

// The layer's own function in the place of a function, null where the layer does not know it.
PFN_vkVoidFunction own_function(Function function) {
  switch (function) {
#define OWN(name, function) \
  case Function::name:      \
    return erased<PFN_##name>(function)
#define MASKED(name, Structure, kMask) \
  OWN(name, (masked<Function::name, Structure, kMask<Structure>>))
    OWN(vkGetInstanceProcAddr, get_instance_proc_addr);
    OWN(vkGetDeviceProcAddr, get_device_proc_addr);
    OWN(vkCreateInstance, create_instance);
    OWN(vkDestroyInstance, destroy_instance);
    OWN(vkCreateDevice, create_device);
    OWN(vkDestroyDevice, destroy_device);
    OWN(vkAllocateMemory, allocate_memory);
    OWN(vkEnumerateDeviceLayerProperties, enumerate_device_layers);
    OWN(vkEnumerateDeviceExtensionProperties, enumerate_device_extensions);
    OWN(vkGetPhysicalDeviceQueueFamilyProperties, queue_families);
    OWN(vkGetPhysicalDeviceQueueFamilyProperties2,
        queue_families2<Function::vkGetPhysicalDeviceQueueFamilyProperties2>);
    OWN(vkGetPhysicalDeviceQueueFamilyProperties2KHR,
        queue_families2<Function::vkGetPhysicalDeviceQueueFamilyProperties2KHR>);
    MASKED(vkGetPhysicalDeviceProperties, VkPhysicalDeviceProperties, kMaskProperties);
    MASKED(vkGetPhysicalDeviceProperties2, VkPhysicalDeviceProperties2, kMaskProperties);
    MASKED(vkGetPhysicalDeviceProperties2KHR, VkPhysicalDeviceProperties2, kMaskProperties);
    MASKED(vkGetPhysicalDeviceFeatures, VkPhysicalDeviceFeatures, kMaskFeatures);
    MASKED(vkGetPhysicalDeviceFeatures2, VkPhysicalDeviceFeatures2, kMaskFeatures);
    MASKED(vkGetPhysicalDeviceFeatures2KHR, VkPhysicalDeviceFeatures2, kMaskFeatures);
    MASKED(vkGetPhysicalDeviceMemoryProperties, VkPhysicalDeviceMemoryProperties, kMaskMemory);
    MASKED(vkGetPhysicalDeviceMemoryProperties2, VkPhysicalDeviceMemoryProperties2, kMaskMemory);
    MASKED(vkGetPhysicalDeviceMemoryProperties2KHR, VkPhysicalDeviceMemoryProperties2, kMaskMemory);
#undef MASKED
#undef OWN
    default:
      break;
  }
  static constexpr PFN_vkVoidFunction (*kWrapped[])() = {
      [] { return erased(create_instance); },
#define FUNCTION(name) [] { return erased(WRAPPED(name)::call); },
#include "vulkan_device_functions.inc"
#undef FUNCTION
  };
  return kWrapped[static_cast<size_t>(function)]();
}

enum class Level { kInstance, kPhysicalDevice, kDevice };

template <typename Handle, typename Result, typename... Args>
constexpr Level level_of(Result(VKAPI_PTR*)(Handle, Args...)) {
  if constexpr (std::is_same_v<Handle, VkInstance>) return Level::kInstance;
  if constexpr (std::is_same_v<Handle, VkPhysicalDevice>) return Level::kPhysicalDevice;
  return Level::kDevice;
}

Level level_of(Function function) {
  static constexpr Level kLevels[] = {
      Level::kInstance,
#define FUNCTION(name) level_of(PFN_##name(nullptr)),
#include "vulkan_device_functions.inc"
#undef FUNCTION
  };
  return kLevels[static_cast<size_t>(function)];
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_device_proc_addr(VkDevice device, const char* name) {
  Dispatch& dispatch = dispatch_of(key_of(device));
  const auto function = function_named(name);
  if (!function || level_of(*function) != Level::kDevice) return dispatch.find(name);
  return dispatch.find(*function) == nullptr ? nullptr : own_function(*function);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_instance_proc_addr(VkInstance instance,
                                                                const char* name) {
  if (std::strcmp(name, "vkEnumerateInstanceLayerProperties") == 0)
    return erased(enumerate_instance_layers);
  if (std::strcmp(name, "vkEnumerateInstanceExtensionProperties") == 0)
    return erased(enumerate_instance_extensions);
  const auto function = function_named(name);
  // These also of an instance that is being made, which is how loaders ask.
  if (function == Function::vkCreateInstance || function == Function::vkGetInstanceProcAddr)
    return own_function(*function);
  if (instance == VK_NULL_HANDLE) return nullptr;
  Dispatch& dispatch = dispatch_of(key_of(instance));
  if (!function) return dispatch.find(name);
  return dispatch.find(*function) == nullptr ? nullptr : own_function(*function);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_physical_device_proc_addr(VkInstance instance,
                                                                       const char* name) {
  const auto function = function_named(name);
  if (!function || level_of(*function) != Level::kPhysicalDevice) return nullptr;
  return dispatch_of(key_of(instance)).find(*function) == nullptr ? nullptr
                                                                  : own_function(*function);
}

// Writes the counts when the process ends, also where nobody destroyed the instance.
[[gnu::destructor]] void at_exit() {
  if (calls_of(Function::vkCreateInstance) > 0) write_counts();
}

}  // namespace
}  // namespace ito_faults

extern "C" VK_LAYER_EXPORT VKAPI_ATTR VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface* interface) {
  constexpr uint32_t kVersion = 2;
  if (interface == nullptr || interface->sType != LAYER_NEGOTIATE_INTERFACE_STRUCT ||
      interface->loaderLayerInterfaceVersion < kVersion)
    return VK_ERROR_INITIALIZATION_FAILED;
  interface->loaderLayerInterfaceVersion = kVersion;
  interface->pfnGetInstanceProcAddr = ito_faults::get_instance_proc_addr;
  interface->pfnGetDeviceProcAddr = ito_faults::get_device_proc_addr;
  interface->pfnGetPhysicalDeviceProcAddr = ito_faults::get_physical_device_proc_addr;
  return VK_SUCCESS;
}
