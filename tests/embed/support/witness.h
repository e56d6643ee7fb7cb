// Witness: a Vulkan loader for tests that stands between Ito and the real one. It sees every call
// that Ito makes, by name, and what it should not do: a function of a feature or extension that the
// host did not enable, a command of another stage than compute and transfer, an object that is not
// destroyed, and in a frame anything but recording, submitting and asking how far the device is. It
// lets calls fail on demand, and a device with one kind of memory look like one whose own memory
// the host does not see. One at a time exists in a program; any thread may call through it.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "runtime/vk/functions.h"

namespace ito::test {

// Every function that the library knows.
enum class Call : size_t {
#define ITO_TEST_CALL(name) name,
  ITO_VK_GLOBAL_FUNCTIONS(ITO_TEST_CALL) ITO_VK_INSTANCE_FUNCTIONS(ITO_TEST_CALL)
      ITO_VK_INSTANCE_OPTIONAL_FUNCTIONS(ITO_TEST_CALL) ITO_VK_DEVICE_FUNCTIONS(ITO_TEST_CALL)
          ITO_VK_DEVICE_OPTIONAL_FUNCTIONS(ITO_TEST_CALL)
#undef ITO_TEST_CALL
              kCount
};

inline constexpr auto kCallNames = std::to_array<std::string_view>({
#define ITO_TEST_CALL(name) #name,
    ITO_VK_GLOBAL_FUNCTIONS(ITO_TEST_CALL) ITO_VK_INSTANCE_FUNCTIONS(ITO_TEST_CALL)
        ITO_VK_INSTANCE_OPTIONAL_FUNCTIONS(ITO_TEST_CALL) ITO_VK_DEVICE_FUNCTIONS(ITO_TEST_CALL)
            ITO_VK_DEVICE_OPTIONAL_FUNCTIONS(ITO_TEST_CALL)
#undef ITO_TEST_CALL
});

constexpr std::string_view name_of(Call call) { return kCallNames[static_cast<size_t>(call)]; }

class Witness {
 public:
  Witness() {
    EXPECT_EQ(current(), nullptr) << "two witnesses at once";
    current() = this;
    library_ = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library_ != nullptr)
      real_instance_proc_ =
          reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(library_, "vkGetInstanceProcAddr"));
  }
  ~Witness() {
    current() = nullptr;
    if (library_ != nullptr) dlclose(library_);
  }
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;

  PFN_vkGetInstanceProcAddr loader() const { return &get_instance_proc; }
  PFN_vkGetInstanceProcAddr real_loader() const { return real_instance_proc_; }

  // What the host enabled beside bufferDeviceAddress. Functions of an extension that the driver
  // lacks then exist, and do nothing.
  void enable_timeline() { timeline_ = true; }
  void enable_occupancy_priority() { occupancy_ = true; }
  // The device shows memory of its own that the host does not see, beside host memory.
  void hide_device_memory() { discrete_ = true; }
  // Devices that Ito makes seem to have VK_KHR_global_priority, which the system permits or not.
  void offer_queue_priorities(bool permitted) {
    offers_priorities_ = true;
    permits_priorities_ = permitted;
  }
  // Those that were asked for.
  std::vector<VkQueueGlobalPriorityKHR> take_queue_priorities() {
    const std::lock_guard lock(mutex_);
    return std::exchange(queue_priorities_, {});
  }
  // From now on (or no longer) only what a frame may do.
  void frames(bool on) { frames_ = on; }

  uint64_t count(Call call) const { return counts_[static_cast<size_t>(call)]; }
  uint64_t count(std::initializer_list<Call> calls) const {
    uint64_t sum = 0;
    for (const Call call : calls) sum += count(call);
    return sum;
  }
  // The n-th from now on (from 1) of these calls fails; 0: none. Once, or from then on.
  void fail(std::vector<Call> calls, uint64_t nth, VkResult result, bool ever_after = false) {
    const std::lock_guard lock(mutex_);
    failing_ = std::move(calls);
    failure_in_ = nth;
    failure_ = result;
    ever_after_ = ever_after;
    failed_ = 0;
  }
  // Called before each such failure.
  std::function<void()> before_failure;
  // How often a call failed since then.
  uint64_t failed() const { return failed_; }

  std::vector<std::string> take_faults() {
    const std::lock_guard lock(mutex_);
    return std::exchange(faults_, {});
  }
  // Objects that were made and not yet destroyed, by the name of what made them.
  std::multiset<std::string> alive() const {
    const std::lock_guard lock(mutex_);
    std::multiset<std::string> names;
    for (const auto& [object, name] : alive_) names.insert(name);
    return names;
  }
  // The priorities that were set, in order.
  std::vector<float> take_priorities() {
    const std::lock_guard lock(mutex_);
    return std::exchange(priorities_, {});
  }
  // The pipeline cache of the newest pipeline.
  VkPipelineCache newest_pipeline_cache() const { return pipeline_cache_; }

 private:
  template <Call kCall, typename F>
  struct Wrapped;
  template <Call kCall, typename R, typename... A>
  struct Wrapped<kCall, R (*)(A...)> {
    static inline std::atomic<R (*)(A...)> real{nullptr};
    static R call(A... a) {
      Witness& witness = *current();
      const std::optional<VkResult> failure = witness.before(kCall);
      if (failure && witness.before_failure) witness.before_failure();
      const auto arguments = std::tie(a...);
      if constexpr (std::is_same_v<R, VkResult>) {
        if (failure) return *failure;
        if constexpr (kCall == Call::vkAllocateMemory) {
          VkMemoryAllocateInfo info = *std::get<1>(arguments);
          if (witness.discrete_) info.memoryTypeIndex = 0;
          std::get<1>(arguments) = &info;
          return witness.noted<kCall>(real.load()(a...), arguments);
        }
        if constexpr (kCall == Call::vkEnumerateDeviceExtensionProperties)
          return witness.enumerate(real, a...);
        if constexpr (kCall == Call::vkCreateDevice) return witness.create_device(real, a...);
        witness.look<kCall>(arguments);
        return witness.noted<kCall>(real.load()(a...), arguments);
      } else if constexpr (std::is_void_v<R>) {
        witness.look<kCall>(arguments);
        if (kCall == Call::vkCmdSetComputeOccupancyPriorityNV) return;
        real.load()(a...);
        witness.seen<kCall>(arguments);
      } else {
        return real.load()(a...);
      }
    }
  };

  static Witness*& current() {
    static Witness* value = nullptr;
    return value;
  }

  void fault(std::string text) {
    const std::lock_guard lock(mutex_);
    if (faults_.size() < 20) faults_.push_back(std::move(text));
  }

  static bool fits_a_frame(Call call) {
    switch (call) {
      case Call::vkResetCommandPool:
      case Call::vkBeginCommandBuffer:
      case Call::vkEndCommandBuffer:
      case Call::vkQueueSubmit:
      case Call::vkGetFenceStatus:
      case Call::vkResetFences:
      case Call::vkGetSemaphoreCounterValue:
        return true;
      default:
        return name_of(call).starts_with("vkCmd");
    }
  }

  std::optional<VkResult> before(Call call) {
    ++counts_[static_cast<size_t>(call)];
    const std::string_view name = name_of(call);
    if (frames_ && !fits_a_frame(call)) fault(std::string(name) + " in a frame");
    const bool of_timeline =
        call == Call::vkGetSemaphoreCounterValue || call == Call::vkWaitSemaphores;
    if (of_timeline && !timeline_) fault(std::string(name) + " without timelineSemaphore");
    if (call == Call::vkCmdSetComputeOccupancyPriorityNV && !occupancy_)
      fault(std::string(name) + " without its extension");
    if (name.ends_with("KHR") || name.ends_with("EXT"))
      fault(std::string(name) + " without its extension");
    const std::lock_guard lock(mutex_);
    if (failure_in_ == 0) return std::nullopt;
    for (const Call failing : failing_) {
      if (failing != call) continue;
      if (failure_in_ > 1) {
        --failure_in_;
        return std::nullopt;
      }
      if (!ever_after_) failure_in_ = 0;
      ++failed_;
      return failure_;
    }
    return std::nullopt;
  }

  VkResult enumerate(PFN_vkEnumerateDeviceExtensionProperties real, VkPhysicalDevice device,
                     const char* layer, uint32_t* count, VkExtensionProperties* properties) {
    const uint32_t room = *count;
    const VkResult result = real(device, layer, count, properties);
    if (!offers_priorities_) return result;
    if (properties != nullptr && *count < room)
      std::strcpy(properties[*count].extensionName, VK_KHR_GLOBAL_PRIORITY_EXTENSION_NAME);
    if (properties == nullptr || *count < room) ++*count;
    return result;
  }
  // The driver is not told of what it does not have.
  VkResult create_device(PFN_vkCreateDevice real, VkPhysicalDevice physical,
                         const VkDeviceCreateInfo* given, const VkAllocationCallbacks* callbacks,
                         VkDevice* device) {
    VkDeviceCreateInfo info = *given;
    VkDeviceQueueCreateInfo queue = *info.pQueueCreateInfos;
    std::vector<const char*> extensions;
    for (uint32_t i = 0; i < info.enabledExtensionCount; ++i)
      if (info.ppEnabledExtensionNames[i] !=
          std::string_view(VK_KHR_GLOBAL_PRIORITY_EXTENSION_NAME))
        extensions.push_back(info.ppEnabledExtensionNames[i]);
    if (queue.pNext != nullptr) {
      const std::lock_guard lock(mutex_);
      queue_priorities_.push_back(
          static_cast<const VkDeviceQueueGlobalPriorityCreateInfoKHR*>(queue.pNext)
              ->globalPriority);
      if (!permits_priorities_) return VK_ERROR_NOT_PERMITTED_KHR;
      queue.pNext = nullptr;
    }
    info.pQueueCreateInfos = &queue;
    info.enabledExtensionCount = static_cast<uint32_t>(extensions.size());
    info.ppEnabledExtensionNames = extensions.data();
    return real(physical, &info, callbacks, device);
  }

  // Looks at what a call is given.
  template <Call kCall, typename Arguments>
  void look(const Arguments& arguments) {
    constexpr VkPipelineStageFlags kStages =
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT |
        VK_PIPELINE_STAGE_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_HOST_BIT |
        VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT;
    if constexpr (kCall == Call::vkCmdBindPipeline) {
      if (std::get<1>(arguments) != VK_PIPELINE_BIND_POINT_COMPUTE)
        fault("a pipeline bound that is not of compute");
    } else if constexpr (kCall == Call::vkCmdPushConstants) {
      if (std::get<2>(arguments) != VK_SHADER_STAGE_COMPUTE_BIT)
        fault("push constants of other stages than compute");
    } else if constexpr (kCall == Call::vkCmdPipelineBarrier) {
      if (((std::get<1>(arguments) | std::get<2>(arguments)) & ~kStages) != 0)
        fault("a barrier of other stages than compute and transfer");
    } else if constexpr (kCall == Call::vkCreateSemaphore) {
      if (!timeline_) fault("a timeline semaphore without its feature");
    } else if constexpr (kCall == Call::vkCreateComputePipelines) {
      const VkPipelineShaderStageCreateInfo& stage = std::get<3>(arguments)->stage;
      if (stage.pNext != nullptr || stage.flags != 0)
        fault("a pipeline with control of subgroups, which is not enabled");
      pipeline_cache_ = std::get<1>(arguments);
    } else if constexpr (kCall == Call::vkCmdSetComputeOccupancyPriorityNV) {
      const std::lock_guard lock(mutex_);
      priorities_.push_back(std::get<1>(arguments)->occupancyPriority);
    }
    if constexpr (name_of(kCall).starts_with("vkDestroy") || kCall == Call::vkFreeMemory) {
      if constexpr (std::tuple_size_v<Arguments> == 3) {
        const std::lock_guard lock(mutex_);
        alive_.erase(reinterpret_cast<uint64_t>(std::get<1>(arguments)));
      }
    }
  }

  // Looks at what a call gave back.
  template <Call kCall, typename Arguments>
  VkResult noted(VkResult result, const Arguments& arguments) {
    if constexpr (name_of(kCall).starts_with("vkCreate") || kCall == Call::vkAllocateMemory) {
      if (result == VK_SUCCESS) {
        const auto* made = std::get<std::tuple_size_v<Arguments> - 1>(arguments);
        const std::lock_guard lock(mutex_);
        alive_[reinterpret_cast<uint64_t>(*made)] = std::string(name_of(kCall));
      }
    }
    return result;
  }
  template <Call kCall, typename Arguments>
  void seen(const Arguments& arguments) {
    if constexpr (kCall == Call::vkGetPhysicalDeviceMemoryProperties2) {
      VkPhysicalDeviceMemoryProperties& memory = std::get<1>(arguments)->memoryProperties;
      if (!discrete_) return;
      memory.memoryTypeCount = 2;
      memory.memoryTypes[0] = {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0};
      memory.memoryTypes[1] = {VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                   VK_MEMORY_PROPERTY_HOST_COHERENT_BIT |
                                   VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
                               0};
    } else if constexpr (kCall == Call::vkGetBufferMemoryRequirements) {
      if (discrete_) std::get<2>(arguments)->memoryTypeBits = 3;
    }
  }

  template <Call kCall, typename F>
  PFN_vkVoidFunction wrap(PFN_vkVoidFunction real) {
    if (kCall == Call::vkCmdSetComputeOccupancyPriorityNV && !occupancy_) return nullptr;
    if (real == nullptr && kCall != Call::vkCmdSetComputeOccupancyPriorityNV) return nullptr;
    Wrapped<kCall, F>::real = reinterpret_cast<F>(real);
    return reinterpret_cast<PFN_vkVoidFunction>(&Wrapped<kCall, F>::call);
  }
  PFN_vkVoidFunction wrap_by_name(std::string_view name, PFN_vkVoidFunction real) {
#define ITO_TEST_CALL(function) \
  if (name == #function) return wrap<Call::function, PFN_##function>(real);
    ITO_VK_GLOBAL_FUNCTIONS(ITO_TEST_CALL)
    ITO_VK_INSTANCE_FUNCTIONS(ITO_TEST_CALL)
    ITO_VK_INSTANCE_OPTIONAL_FUNCTIONS(ITO_TEST_CALL)
    ITO_VK_DEVICE_FUNCTIONS(ITO_TEST_CALL)
    ITO_VK_DEVICE_OPTIONAL_FUNCTIONS(ITO_TEST_CALL)
#undef ITO_TEST_CALL
    fault(std::string(name) + " asked for, which the witness does not know");
    return real;
  }
  static PFN_vkVoidFunction get_instance_proc(VkInstance instance, const char* name) {
    Witness& witness = *current();
    const PFN_vkVoidFunction real = witness.real_instance_proc_(instance, name);
    if (std::string_view(name) == "vkGetDeviceProcAddr") {
      witness.real_device_proc_ = reinterpret_cast<PFN_vkGetDeviceProcAddr>(real);
      return reinterpret_cast<PFN_vkVoidFunction>(&get_device_proc);
    }
    return witness.wrap_by_name(name, real);
  }
  static PFN_vkVoidFunction get_device_proc(VkDevice device, const char* name) {
    Witness& witness = *current();
    return witness.wrap_by_name(name, witness.real_device_proc_(device, name));
  }

  void* library_ = nullptr;
  PFN_vkGetInstanceProcAddr real_instance_proc_ = nullptr;
  PFN_vkGetDeviceProcAddr real_device_proc_ = nullptr;
  std::atomic<bool> timeline_ = false, occupancy_ = false, discrete_ = false, frames_ = false;
  std::array<std::atomic<uint64_t>, static_cast<size_t>(Call::kCount)> counts_ = {};
  mutable std::mutex mutex_;
  std::vector<std::string> faults_;
  std::map<uint64_t, std::string> alive_;
  std::vector<float> priorities_;
  std::atomic<bool> offers_priorities_ = false, permits_priorities_ = false;
  std::vector<VkQueueGlobalPriorityKHR> queue_priorities_;
  std::atomic<VkPipelineCache> pipeline_cache_ = VK_NULL_HANDLE;
  std::vector<Call> failing_;
  uint64_t failure_in_ = 0;
  VkResult failure_ = VK_SUCCESS;
  bool ever_after_ = false;
  std::atomic<uint64_t> failed_ = 0;
};

}  // namespace ito::test
