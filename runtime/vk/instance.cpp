#include "runtime/vk/instance.h"

#include <algorithm>
#include <cctype>
#include <cstring>

#include "base/error.h"

namespace ito::vk {
namespace {

constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";

VKAPI_ATTR VkBool32 VKAPI_CALL on_debug_message(VkDebugUtilsMessageSeverityFlagBitsEXT,
                                                VkDebugUtilsMessageTypeFlagsEXT,
                                                const VkDebugUtilsMessengerCallbackDataEXT* data,
                                                void* user) {
  auto* on_message = static_cast<std::function<void(std::string_view)>*>(user);
  (*on_message)(data->pMessage == nullptr ? "" : data->pMessage);
  return VK_FALSE;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string_view type_name(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
      return "discrete GPU";
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
      return "integrated GPU";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
      return "virtual GPU";
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
      return "CPU";
    default:
      return "other";
  }
}

int type_rank(std::string_view type) {
  constexpr std::string_view kOrder[] = {"discrete GPU", "integrated GPU", "virtual GPU", "CPU"};
  for (int i = 0; i < 4; ++i)
    if (type == kOrder[i]) return i;
  return 4;
}

std::string found_list(const std::vector<DeviceInfo>& infos) {
  std::string text;
  for (const DeviceInfo& info : infos)
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", info.index, info.name);
  return text;
}

bool has_instance_extension(const GlobalFunctions& global, std::string_view name) {
  std::vector<VkExtensionProperties> extensions;
  enumerate(extensions, VkExtensionProperties{}, [&](uint32_t* n, VkExtensionProperties* data) {
    return global.vkEnumerateInstanceExtensionProperties(nullptr, n, data);
  });
  return std::any_of(extensions.begin(), extensions.end(),
                     [&](const auto& e) { return e.extensionName == name; });
}

}  // namespace

Result<std::unique_ptr<Instance>> Instance::create(const DeviceOptions& options) {
  std::unique_ptr<Instance> self(new Instance);
  ITO_ASSIGN(self->loader_, Loader::open(options.loader, options.loader_path));
  const GlobalFunctions& global = self->loader_.functions();
  self->callbacks_ = options.allocation_callbacks;

  uint32_t version = VK_API_VERSION_1_0;
  global.vkEnumerateInstanceVersion(&version);
  if (version < VK_API_VERSION_1_1)
    return unsupported("the Vulkan loader is version 1.0; 1.1 or newer is needed");

  VkApplicationInfo application = {};
  application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
  application.pApplicationName = "ito";
  application.pEngineName = "ito";
  application.apiVersion = VK_API_VERSION_1_3;  // a highest version to use, not a requirement

  VkInstanceCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
  info.pApplicationInfo = &application;

  // Without it loaders hide drivers that are not Vulkan in full, such as MoltenVK's on Metal.
  std::vector<const char*> extensions;
  if (has_instance_extension(global, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME)) {
    extensions.push_back(VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME);
    info.flags |= VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
  }
  const VkValidationFeatureEnableEXT enables[] = {
      VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
  VkValidationFeaturesEXT validation = {};
  validation.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT;
  validation.enabledValidationFeatureCount = 1;
  validation.pEnabledValidationFeatures = enables;
  VkDebugUtilsMessengerCreateInfoEXT messenger = {};
  messenger.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT;
  messenger.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                              VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
  // GENERAL is left out: it carries the loader's remarks on other drivers of the machine.
  messenger.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT;
  messenger.pfnUserCallback = on_debug_message;
  messenger.pUserData = &self->on_message_;

  if (options.validation) {
    std::vector<VkLayerProperties> layers;
    enumerate(layers, VkLayerProperties{}, [&](uint32_t* n, VkLayerProperties* data) {
      return global.vkEnumerateInstanceLayerProperties(n, data);
    });
    if (std::none_of(layers.begin(), layers.end(), [](const VkLayerProperties& layer) {
          return std::strcmp(layer.layerName, kValidationLayer) == 0;
        }))
      return not_found("validation was asked for, but the layer {} is not installed",
                       kValidationLayer);
    self->on_message_ = options.on_validation_message;
    if (!self->on_message_)
      self->on_message_ = [log = options.log](std::string_view text) {
        if (log) log(LogLevel::kError, fmt::format("Vulkan validation: {}", text));
      };
    info.enabledLayerCount = 1;
    info.ppEnabledLayerNames = &kValidationLayer;
    extensions.push_back(VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
    extensions.push_back(VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME);
    validation.pNext = &messenger;
    info.pNext = &validation;
  }
  info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  const VkResult result = global.vkCreateInstance(&info, self->callbacks_, &self->instance_);
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
    return not_found("no Vulkan device: the loader found no driver");
  if (result != VK_SUCCESS) return vk_error(result, "creating a Vulkan instance");
  ITO_ASSIGN(self->functions_,
             load_instance_functions(global.vkGetInstanceProcAddr, self->instance_));
  if (options.validation && self->functions_.vkCreateDebugUtilsMessengerEXT != nullptr)
    self->functions_.vkCreateDebugUtilsMessengerEXT(self->instance_, &messenger, self->callbacks_,
                                                    &self->messenger_);
  return self;
}

Instance::~Instance() {
  if (messenger_ != VK_NULL_HANDLE)
    functions_.vkDestroyDebugUtilsMessengerEXT(instance_, messenger_, callbacks_);
  if (instance_ != VK_NULL_HANDLE && functions_.vkDestroyInstance != nullptr)
    functions_.vkDestroyInstance(instance_, callbacks_);
}

Result<std::vector<VkPhysicalDevice>> Instance::physical_devices() const {
  std::vector<VkPhysicalDevice> devices;
  const VkResult result =
      enumerate(devices, VkPhysicalDevice{}, [&](uint32_t* n, VkPhysicalDevice* data) {
        return functions_.vkEnumeratePhysicalDevices(instance_, n, data);
      });
  if (result == VK_ERROR_INITIALIZATION_FAILED || (result == VK_SUCCESS && devices.empty()))
    return not_found("no Vulkan device: no installed driver offers one");
  if (result != VK_SUCCESS) return vk_error(result, "listing the Vulkan devices");
  return devices;
}

bool has_extension(const InstanceFunctions& fn, VkPhysicalDevice device, const char* name) {
  std::vector<VkExtensionProperties> extensions;
  enumerate(extensions, VkExtensionProperties{}, [&](uint32_t* n, VkExtensionProperties* data) {
    return fn.vkEnumerateDeviceExtensionProperties(device, nullptr, n, data);
  });
  return std::any_of(extensions.begin(), extensions.end(),
                     [&](const auto& e) { return std::strcmp(e.extensionName, name) == 0; });
}

DeviceFeatures supported_features(const InstanceFunctions& fn, VkPhysicalDevice device) {
  VkPhysicalDeviceProperties properties;
  fn.vkGetPhysicalDeviceProperties(device, &properties);
  if (properties.apiVersion < VK_API_VERSION_1_2) return {};

  VkPhysicalDeviceFeatures2 features = {};
  features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
  VkPhysicalDeviceVulkan11Features v11 = {};
  v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
  VkPhysicalDeviceVulkan12Features v12 = {};
  v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
  VkPhysicalDeviceSubgroupSizeControlFeatures subgroup = {};
  subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES;
  VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix = {};
  matrix.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR;
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable = {};
  executable.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR;
  features.pNext = &v11;
  v11.pNext = &v12;
  const bool subgroup_known =
      properties.apiVersion >= VK_API_VERSION_1_3 ||
      has_extension(fn, device, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
  const bool matrix_known = has_extension(fn, device, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
  if (subgroup_known) {
    subgroup.pNext = features.pNext;
    features.pNext = &subgroup;
  }
  if (matrix_known) {
    matrix.pNext = features.pNext;
    features.pNext = &matrix;
  }
  if (has_extension(fn, device, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME)) {
    executable.pNext = features.pNext;
    features.pNext = &executable;
  }
  VkPhysicalDeviceComputeOccupancyPriorityFeaturesNV occupancy = {};
  occupancy.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COMPUTE_OCCUPANCY_PRIORITY_FEATURES_NV;
  if (has_extension(fn, device, VK_NV_COMPUTE_OCCUPANCY_PRIORITY_EXTENSION_NAME)) {
    occupancy.pNext = features.pNext;
    features.pNext = &occupancy;
  }
  fn.vkGetPhysicalDeviceFeatures2(device, &features);

  DeviceFeatures out;
  out.buffer_device_address = v12.bufferDeviceAddress == VK_TRUE;
  out.timeline_semaphore = v12.timelineSemaphore == VK_TRUE;
  out.shader_float16 = v12.shaderFloat16 == VK_TRUE;
  out.storage_16bit = v11.storageBuffer16BitAccess == VK_TRUE;
  out.vulkan_memory_model = v12.vulkanMemoryModel == VK_TRUE;
  out.subgroup_size_control = subgroup.subgroupSizeControl == VK_TRUE;
  out.compute_full_subgroups = subgroup.computeFullSubgroups == VK_TRUE;
  out.cooperative_matrix = matrix.cooperativeMatrix == VK_TRUE && out.vulkan_memory_model;
  out.pipeline_reports = executable.pipelineExecutableInfo == VK_TRUE;
  out.occupancy_priority = occupancy.computeOccupancyPriority == VK_TRUE;
  out.memory_budget = has_extension(fn, device, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  return out;
}

int compute_queue_family(const InstanceFunctions& fn, VkPhysicalDevice device) {
  uint32_t count = 0;
  fn.vkGetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  fn.vkGetPhysicalDeviceQueueFamilyProperties(device, &count, families.data());
  int best = -1;
  for (uint32_t i = 0; i < count; ++i) {
    if ((families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) == 0) continue;
    const bool graphics = (families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) != 0;
    if (best < 0) best = static_cast<int>(i);
    if (!graphics) return static_cast<int>(i);
  }
  return best;
}

DeviceInfo describe(const InstanceFunctions& fn, VkPhysicalDevice device, int index) {
  VkPhysicalDeviceProperties properties;
  fn.vkGetPhysicalDeviceProperties(device, &properties);
  DeviceInfo info;
  info.index = index;
  info.name = properties.deviceName;
  info.type = type_name(properties.deviceType);
  info.vulkan = fmt::format("{}.{}.{}", VK_API_VERSION_MAJOR(properties.apiVersion),
                            VK_API_VERSION_MINOR(properties.apiVersion),
                            VK_API_VERSION_PATCH(properties.apiVersion));
  VkPhysicalDeviceMemoryProperties2 memory = {};
  memory.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
  fn.vkGetPhysicalDeviceMemoryProperties2(device, &memory);
  for (uint32_t i = 0; i < memory.memoryProperties.memoryHeapCount; ++i) {
    const VkMemoryHeap& heap = memory.memoryProperties.memoryHeaps[i];
    if ((heap.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0)
      info.memory_bytes = std::max<uint64_t>(info.memory_bytes, heap.size);
  }
  if (properties.apiVersion < VK_API_VERSION_1_2) {
    info.missing = "Vulkan 1.2";
    return info;
  }
  VkPhysicalDeviceDriverProperties driver = {};
  driver.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES;
  VkPhysicalDeviceProperties2 properties2 = {};
  properties2.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
  properties2.pNext = &driver;
  fn.vkGetPhysicalDeviceProperties2(device, &properties2);
  info.driver = fmt::format("{} {}", driver.driverName, driver.driverInfo);
  if (!supported_features(fn, device).buffer_device_address)
    info.missing = "bufferDeviceAddress";
  else if (compute_queue_family(fn, device) < 0)
    info.missing = "a compute queue";
  return info;
}

Result<std::vector<DeviceInfo>> list_devices(const DeviceOptions& options) {
  ITO_ASSIGN(auto instance, Instance::create(options));
  ITO_ASSIGN(auto devices, instance->physical_devices());
  std::vector<DeviceInfo> infos;
  for (size_t i = 0; i < devices.size(); ++i)
    infos.push_back(describe(instance->functions(), devices[i], static_cast<int>(i)));
  return infos;
}

Result<Choice> choose_device(const Instance& instance, const DeviceOptions& options) {
  ITO_ASSIGN(auto devices, instance.physical_devices());
  std::vector<DeviceInfo> infos;
  for (size_t i = 0; i < devices.size(); ++i)
    infos.push_back(describe(instance.functions(), devices[i], static_cast<int>(i)));

  int chosen = -1;
  if (!options.name.empty()) {
    const std::string wanted = lower(options.name);
    for (const DeviceInfo& info : infos)
      if (chosen < 0 && lower(info.name).find(wanted) != std::string::npos) chosen = info.index;
    if (chosen < 0)
      return not_found("no Vulkan device has '{}' in its name; found {}", options.name,
                       found_list(infos));
  } else if (options.index >= 0) {
    if (options.index >= static_cast<int>(infos.size()))
      return not_found("there is no Vulkan device {}; found {}", options.index, found_list(infos));
    chosen = options.index;
  } else {
    for (const DeviceInfo& info : infos) {
      if (!info.missing.empty()) continue;
      if (chosen < 0 || type_rank(info.type) < type_rank(infos[static_cast<size_t>(chosen)].type))
        chosen = info.index;
    }
    if (chosen < 0)
      return unsupported("no usable Vulkan device: '{}' lacks {}", infos[0].name, infos[0].missing);
  }
  const DeviceInfo& info = infos[static_cast<size_t>(chosen)];
  if (!info.missing.empty())
    return unsupported("the Vulkan device '{}' cannot be used: it lacks {}", info.name,
                       info.missing);
  return Choice{devices[static_cast<size_t>(chosen)], info};
}

}  // namespace ito::vk
