// LoaderHook: a Vulkan loader for tests that stands before the real one, lets single functions fail
// on demand (device loss, out of memory, no devices) and sees what others are given. One at a time
// exists in a program.
#pragma once

#include <dlfcn.h>

#include <atomic>
#include <memory>
#include <string_view>

#include "runtime/vk/functions.h"

namespace ito::test {

class LoaderHook {
 public:
  LoaderHook() {
    holder() = std::make_unique<State>();
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
  // Only so many more can be opened.
  void limit_devices(int more) { state().devices_left = more; }
  int devices_opened() const { return state().opened; }
  int devices_closed() const { return state().closed; }
  int submits() const { return state().submits; }
  // Bytes of an earlier run that the last pipeline cache was made with.
  size_t pipeline_cache_bytes() const { return state().pipeline_cache_bytes; }

 private:
  struct State {
    PFN_vkGetInstanceProcAddr real = nullptr;
    std::atomic<PFN_vkGetDeviceProcAddr> device_proc{nullptr};
    std::atomic<PFN_vkQueueSubmit> submit{nullptr};
    std::atomic<PFN_vkAllocateMemory> allocate{nullptr};
    std::atomic<PFN_vkCreatePipelineCache> create_cache{nullptr};
    std::atomic<PFN_vkCreateDevice> create_device{nullptr};
    std::atomic<PFN_vkDestroyDevice> destroy_device{nullptr};
    VkResult submit_result = VK_SUCCESS;
    VkResult allocate_result = VK_SUCCESS;
    bool no_devices = false;
    size_t pipeline_cache_bytes = 0;
    std::atomic<int> devices_left{1000}, opened{0}, closed{0}, submits{0};
  };
  static std::unique_ptr<State>& holder() {
    static std::unique_ptr<State> value;
    return value;
  }
  static State& state() { return *holder(); }

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
    if (std::string_view(name) == "vkCreateDevice") {
      s.create_device = reinterpret_cast<PFN_vkCreateDevice>(function);
      return reinterpret_cast<PFN_vkVoidFunction>(&create_device);
    }
    return function;
  }
  static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_device_proc(VkDevice device,
                                                                  const char* name) {
    State& s = state();
    const auto function = s.device_proc.load()(device, name);
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
    if (std::string_view(name) == "vkDestroyDevice") {
      s.destroy_device = reinterpret_cast<PFN_vkDestroyDevice>(function);
      return reinterpret_cast<PFN_vkVoidFunction>(&destroy_device);
    }
    return function;
  }
  static VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical_device,
                                                      const VkDeviceCreateInfo* info,
                                                      const VkAllocationCallbacks* callbacks,
                                                      VkDevice* device) {
    State& s = state();
    if (s.devices_left-- <= 0) return VK_ERROR_TOO_MANY_OBJECTS;
    ++s.opened;
    return s.create_device.load()(physical_device, info, callbacks, device);
  }
  static VKAPI_ATTR void VKAPI_CALL destroy_device(VkDevice device,
                                                   const VkAllocationCallbacks* callbacks) {
    ++state().closed;
    state().destroy_device.load()(device, callbacks);
  }
  static VKAPI_ATTR VkResult VKAPI_CALL enumerate_none(VkInstance, uint32_t* count,
                                                       VkPhysicalDevice*) {
    *count = 0;
    return VK_SUCCESS;
  }
  static VKAPI_ATTR VkResult VKAPI_CALL queue_submit(VkQueue queue, uint32_t count,
                                                     const VkSubmitInfo* infos, VkFence fence) {
    ++state().submits;
    if (state().submit_result != VK_SUCCESS) return state().submit_result;
    return state().submit.load()(queue, count, infos, fence);
  }
  static VKAPI_ATTR VkResult VKAPI_CALL allocate_memory(VkDevice device,
                                                        const VkMemoryAllocateInfo* info,
                                                        const VkAllocationCallbacks* callbacks,
                                                        VkDeviceMemory* memory) {
    if (state().allocate_result != VK_SUCCESS) return state().allocate_result;
    return state().allocate.load()(device, info, callbacks, memory);
  }
  static VKAPI_ATTR VkResult VKAPI_CALL
  create_pipeline_cache(VkDevice device, const VkPipelineCacheCreateInfo* info,
                        const VkAllocationCallbacks* callbacks, VkPipelineCache* cache) {
    state().pipeline_cache_bytes = info->initialDataSize;
    return state().create_cache.load()(device, info, callbacks, cache);
  }

  void* library_ = nullptr;
};

}  // namespace ito::test
