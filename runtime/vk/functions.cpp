#include "runtime/vk/functions.h"

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/platform.h"
#include "runtime/vk/options.h"

namespace ito::vk {
namespace {

// The options' default is Linux's name; elsewhere, and where that is not there, the system's others
// are tried.
std::vector<std::string> loader_names(const std::string& path) {
  if (path != DeviceOptions().loader_path) return {path};
  const auto names = platform::vulkan_loaders();
  return {names.begin(), names.end()};
}

}  // namespace

Result<Loader> Loader::open(PFN_vkGetInstanceProcAddr given, const std::string& path) {
  Loader loader;
  loader.functions_.vkGetInstanceProcAddr = given;
  if (given == nullptr) {
    const std::vector<std::string> names = loader_names(path);
    std::string reason, first_reason;
    for (const std::string& name : names) {
      loader.library_ = platform::open_library(name, &reason);
      if (loader.library_ != nullptr) break;
      if (first_reason.empty()) first_reason = reason;
    }
    if (loader.library_ == nullptr)
      return not_found("no Vulkan loader: '{}' could not be opened ({})", fmt::join(names, "', '"),
                       first_reason);
    loader.functions_.vkGetInstanceProcAddr = reinterpret_cast<PFN_vkGetInstanceProcAddr>(
        platform::find_function(loader.library_.get(), "vkGetInstanceProcAddr"));
    if (loader.functions_.vkGetInstanceProcAddr == nullptr)
      return unsupported("'{}' is not a Vulkan loader: it has no vkGetInstanceProcAddr", path);
  }
#define ITO_VK_LOAD(name)                                              \
  loader.functions_.name = reinterpret_cast<PFN_##name>(               \
      loader.functions_.vkGetInstanceProcAddr(VK_NULL_HANDLE, #name)); \
  if (loader.functions_.name == nullptr)                               \
    return unsupported("the Vulkan loader has no {}: version 1.1 or newer is needed", #name);
  ITO_VK_GLOBAL_FUNCTIONS(ITO_VK_LOAD)
#undef ITO_VK_LOAD
  return loader;
}

Result<InstanceFunctions> load_instance_functions(PFN_vkGetInstanceProcAddr get,
                                                  VkInstance instance) {
  InstanceFunctions functions;
#define ITO_VK_LOAD(name) functions.name = reinterpret_cast<PFN_##name>(get(instance, #name));
#define ITO_VK_REQUIRE(name) \
  if (functions.name == nullptr) return unsupported("the Vulkan instance has no {}", #name);
  ITO_VK_INSTANCE_FUNCTIONS(ITO_VK_LOAD)
  ITO_VK_INSTANCE_OPTIONAL_FUNCTIONS(ITO_VK_LOAD)
  ITO_VK_INSTANCE_FUNCTIONS(ITO_VK_REQUIRE)
#undef ITO_VK_LOAD
#undef ITO_VK_REQUIRE
  return functions;
}

Result<DeviceFunctions> load_device_functions(PFN_vkGetDeviceProcAddr get, VkDevice device) {
  DeviceFunctions functions;
#define ITO_VK_LOAD(name) functions.name = reinterpret_cast<PFN_##name>(get(device, #name));
#define ITO_VK_REQUIRE(name) \
  if (functions.name == nullptr) return unsupported("the Vulkan device has no {}", #name);
  ITO_VK_DEVICE_FUNCTIONS(ITO_VK_LOAD)
  ITO_VK_DEVICE_OPTIONAL_FUNCTIONS(ITO_VK_LOAD)
  ITO_VK_DEVICE_FUNCTIONS(ITO_VK_REQUIRE)
#undef ITO_VK_LOAD
#undef ITO_VK_REQUIRE
  return functions;
}

std::string_view vk_result_name(VkResult result) {
  switch (result) {
    case VK_SUCCESS:
      return "VK_SUCCESS";
    case VK_NOT_READY:
      return "VK_NOT_READY";
    case VK_TIMEOUT:
      return "VK_TIMEOUT";
    case VK_INCOMPLETE:
      return "VK_INCOMPLETE";
    case VK_ERROR_OUT_OF_HOST_MEMORY:
      return "VK_ERROR_OUT_OF_HOST_MEMORY";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
      return "VK_ERROR_OUT_OF_DEVICE_MEMORY";
    case VK_ERROR_INITIALIZATION_FAILED:
      return "VK_ERROR_INITIALIZATION_FAILED";
    case VK_ERROR_DEVICE_LOST:
      return "VK_ERROR_DEVICE_LOST";
    case VK_ERROR_MEMORY_MAP_FAILED:
      return "VK_ERROR_MEMORY_MAP_FAILED";
    case VK_ERROR_LAYER_NOT_PRESENT:
      return "VK_ERROR_LAYER_NOT_PRESENT";
    case VK_ERROR_EXTENSION_NOT_PRESENT:
      return "VK_ERROR_EXTENSION_NOT_PRESENT";
    case VK_ERROR_FEATURE_NOT_PRESENT:
      return "VK_ERROR_FEATURE_NOT_PRESENT";
    case VK_ERROR_INCOMPATIBLE_DRIVER:
      return "VK_ERROR_INCOMPATIBLE_DRIVER";
    case VK_ERROR_TOO_MANY_OBJECTS:
      return "VK_ERROR_TOO_MANY_OBJECTS";
    default:
      return "a Vulkan error";
  }
}

Error vk_error(VkResult result, std::string_view what) {
  const std::string text =
      fmt::format("{} failed: {} ({})", what, vk_result_name(result), static_cast<int>(result));
  switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    case VK_ERROR_TOO_MANY_OBJECTS:
      return Error{ErrorKind::kOutOfMemory, text};
    case VK_ERROR_DEVICE_LOST:
      return Error{ErrorKind::kDeviceLost, text};
    case VK_ERROR_LAYER_NOT_PRESENT:
    case VK_ERROR_EXTENSION_NOT_PRESENT:
    case VK_ERROR_FEATURE_NOT_PRESENT:
    case VK_ERROR_INCOMPATIBLE_DRIVER:
    case VK_ERROR_FORMAT_NOT_SUPPORTED:
      return Error{ErrorKind::kUnsupported, text};
    default:
      return Error{ErrorKind::kDevice, text};
  }
}

}  // namespace ito::vk
