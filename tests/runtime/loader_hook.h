// LoaderHook: a Vulkan loader for tests that stands before the real one, lets single functions fail
// on demand (device loss, out of memory, no devices) and sees what others are given. One at a time
// exists in a program.
#pragma once

#include <dlfcn.h>

#include <string_view>

#include "runtime/vk/functions.h"

namespace ito::test {

class LoaderHook {
 public:
  LoaderHook() {
    state() = State{};
    library_ = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library_ != nullptr)
      state().real =
          reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(library_, "vkGetInstanceProcAddr"));
  }
  ~LoaderHook() {
    if (library_ != nullptr) dlclose(library_);
  }
  LoaderHook(const LoaderHook&) = delete;
  LoaderHook& operator=(const LoaderHook&) = delete;

  PFN_vkGetInstanceProcAddr loader() const { return get_instance_proc; }
  void lose_device() { state().submit_result = VK_ERROR_DEVICE_LOST; }
  void refuse_memory(bool refuse) {
    state().allocate_result = refuse ? VK_ERROR_OUT_OF_DEVICE_MEMORY : VK_SUCCESS;
  }
  void hide_devices() { state().no_devices = true; }
  // Bytes of an earlier run that the last pipeline cache was made with.
  size_t pipeline_cache_bytes() const { return state().pipeline_cache_bytes; }

 private:
  struct State {
    PFN_vkGetInstanceProcAddr real = nullptr;
    PFN_vkGetDeviceProcAddr device_proc = nullptr;
    PFN_vkQueueSubmit submit = nullptr;
    PFN_vkAllocateMemory allocate = nullptr;
    PFN_vkCreatePipelineCache create_cache = nullptr;
    VkResult submit_result = VK_SUCCESS;
    VkResult allocate_result = VK_SUCCESS;
    bool no_devices = false;
    size_t pipeline_cache_bytes = 0;
  };
  static State& state() {
    static State value;
    return value;
  }

  static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_instance_proc(VkInstance instance,
                                                                    const char* name) {
    State& s = state();
    if (s.real == nullptr) return nullptr;
    const auto function = s.real(instance, name);
    if (std::string_view(name) == "vkGetDeviceProcAddr") {
      s.device_proc = reinterpret_cast<PFN_vkGetDeviceProcAddr>(function);
      return reinterpret_cast<PFN_vkVoidFunction>(&get_device_proc);
    }
    if (std::string_view(name) == "vkEnumeratePhysicalDevices" && s.no_devices)
      return reinterpret_cast<PFN_vkVoidFunction>(&enumerate_none);
    return function;
  }
  static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_device_proc(VkDevice device,
                                                                  const char* name) {
    State& s = state();
    const auto function = s.device_proc(device, name);
    if (std::string_view(name) == "vkQueueSubmit") {
      s.submit = reinterpret_cast<PFN_vkQueueSubmit>(function);
      return reinterpret_cast<PFN_vkVoidFunction>(&queue_submit);
    }
    if (std::string_view(name) == "vkAllocateMemory") {
      s.allocate = reinterpret_cast<PFN_vkAllocateMemory>(function);
      return reinterpret_cast<PFN_vkVoidFunction>(&allocate_memory);
    }
    if (std::string_view(name) == "vkCreatePipelineCache") {
      s.create_cache = reinterpret_cast<PFN_vkCreatePipelineCache>(function);
      return reinterpret_cast<PFN_vkVoidFunction>(&create_pipeline_cache);
    }
    return function;
  }
  static VKAPI_ATTR VkResult VKAPI_CALL enumerate_none(VkInstance, uint32_t* count,
                                                       VkPhysicalDevice*) {
    *count = 0;
    return VK_SUCCESS;
  }
  static VKAPI_ATTR VkResult VKAPI_CALL queue_submit(VkQueue queue, uint32_t count,
                                                     const VkSubmitInfo* infos, VkFence fence) {
    if (state().submit_result != VK_SUCCESS) return state().submit_result;
    return state().submit(queue, count, infos, fence);
  }
  static VKAPI_ATTR VkResult VKAPI_CALL allocate_memory(VkDevice device,
                                                        const VkMemoryAllocateInfo* info,
                                                        const VkAllocationCallbacks* callbacks,
                                                        VkDeviceMemory* memory) {
    if (state().allocate_result != VK_SUCCESS) return state().allocate_result;
    return state().allocate(device, info, callbacks, memory);
  }
  static VKAPI_ATTR VkResult VKAPI_CALL
  create_pipeline_cache(VkDevice device, const VkPipelineCacheCreateInfo* info,
                        const VkAllocationCallbacks* callbacks, VkPipelineCache* cache) {
    state().pipeline_cache_bytes = info->initialDataSize;
    return state().create_cache(device, info, callbacks, cache);
  }

  void* library_ = nullptr;
};

}  // namespace ito::test
