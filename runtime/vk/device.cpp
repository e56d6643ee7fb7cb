#include "runtime/vk/device.h"

#include <algorithm>

#include "base/device_forms.h"
#include "base/error.h"
#include "base/name_list.h"
#include "runtime/vk/fill_caps.h"

namespace ito::vk {
namespace {

// The features asked for as a chain for vkCreateDevice. Must stay where it was filled.
struct FeatureChain {
  VkPhysicalDeviceFeatures2 features = {};
  VkPhysicalDeviceVulkan11Features v11 = {};
  VkPhysicalDeviceVulkan12Features v12 = {};
  VkPhysicalDeviceSubgroupSizeControlFeatures subgroup = {};
  VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix = {};
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable = {};
  std::vector<const char*> extensions;

  void fill(const DeviceFeatures& wanted, uint32_t api_version) {
    features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
    v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES;
    matrix.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR;
    executable.sType =
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR;
    features.pNext = &v11;
    v11.pNext = &v12;
    v11.storageBuffer16BitAccess = wanted.storage_16bit;
    v12.bufferDeviceAddress = VK_TRUE;
    v12.timelineSemaphore = wanted.timeline_semaphore;
    v12.shaderFloat16 = wanted.shader_float16;
    v12.vulkanMemoryModel = wanted.vulkan_memory_model;
    if (wanted.subgroup_size_control) {
      subgroup.subgroupSizeControl = VK_TRUE;
      subgroup.computeFullSubgroups = wanted.compute_full_subgroups;
      subgroup.pNext = features.pNext;
      features.pNext = &subgroup;
      if (api_version < VK_API_VERSION_1_3)
        extensions.push_back(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    }
    if (wanted.cooperative_matrix) {
      matrix.cooperativeMatrix = VK_TRUE;
      matrix.pNext = features.pNext;
      features.pNext = &matrix;
      extensions.push_back(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
    }
    if (wanted.pipeline_reports) {
      executable.pipelineExecutableInfo = VK_TRUE;
      executable.pNext = features.pNext;
      features.pNext = &executable;
      extensions.push_back(VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME);
    }
    if (wanted.memory_budget) extensions.push_back(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  }
};

VkDeviceQueueCreateInfo one_queue(uint32_t family) {
  static constexpr float kPriority = 1;
  VkDeviceQueueCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
  info.queueFamilyIndex = family;
  info.queueCount = 1;
  info.pQueuePriorities = &kPriority;
  return info;
}

// Both must outlive it.
VkDeviceCreateInfo create_info(const FeatureChain& chain, const VkDeviceQueueCreateInfo& queue) {
  VkDeviceCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
  info.pNext = &chain.features;
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = static_cast<uint32_t>(chain.extensions.size());
  info.ppEnabledExtensionNames = chain.extensions.data();
  return info;
}

// Another device with the same features; null where it cannot be had.
VkDevice open_like(const Context& context, uint32_t family, uint32_t api_version) {
  FeatureChain chain;
  chain.fill(context.features, api_version);
  const VkDeviceQueueCreateInfo queue = one_queue(family);
  const VkDeviceCreateInfo info = create_info(chain, queue);
  VkDevice device = VK_NULL_HANDLE;
  const VkResult result = context.instance_fn.vkCreateDevice(context.physical_device, &info,
                                                             context.callbacks, &device);
  return result == VK_SUCCESS ? device : VK_NULL_HANDLE;
}

DeviceFeatures both(const DeviceFeatures& a, const DeviceFeatures& b) {
  DeviceFeatures out;
  out.buffer_device_address = a.buffer_device_address && b.buffer_device_address;
  out.timeline_semaphore = a.timeline_semaphore && b.timeline_semaphore;
  out.shader_float16 = a.shader_float16 && b.shader_float16;
  out.storage_16bit = a.storage_16bit && b.storage_16bit;
  out.vulkan_memory_model = a.vulkan_memory_model && b.vulkan_memory_model;
  out.subgroup_size_control = a.subgroup_size_control && b.subgroup_size_control;
  out.compute_full_subgroups =
      out.subgroup_size_control && a.compute_full_subgroups && b.compute_full_subgroups;
  out.cooperative_matrix = out.vulkan_memory_model && a.cooperative_matrix && b.cooperative_matrix;
  out.pipeline_reports = a.pipeline_reports && b.pipeline_reports;
  out.memory_budget = a.memory_budget && b.memory_budget;
  return out;
}

// Which form of device programs are planned for. Errors kUnsupported: there are packs, no compiler,
// and no form of theirs that the device can run.
Status take_form(Context& context, const Packs& packs) {
  DeviceCaps& caps = context.caps;
  if (packs.empty() || own_form(packs, caps) != nullptr) return {};
  const DeviceCaps* form = can_compile() ? nullptr : best_form(packs, caps);
  if (form != nullptr) {
    context.form = form->name;
    const DeviceCaps of_device = std::exchange(caps, *form);
    caps.name = of_device.name;
    caps.memory_bytes = of_device.memory_bytes;
    return {};
  }
  std::vector<std::string> names;
  for (const auto& pack : packs)
    for (const DeviceCaps& each : pack->forms) names.push_back(each.name);
  if (!can_compile())
    return unsupported(
        "no form of device that all packs are for can be run by '{}': they are for {}; `ito pack "
        "--form {}` on such a device makes one for it, `--form {}` one for any GPU",
        caps.name, joined(names), kOwnForm, kAnyForm);
  context.log(LogLevel::kInfo,
              fmt::format("the packs are for other forms of device ({}) than '{}' has; kernels are "
                          "compiled",
                          joined(names), caps.name));
  return {};
}

// Null where the device has none.
const char* global_priority_extension(const InstanceFunctions& fn, VkPhysicalDevice device) {
  for (const char* name :
       {VK_KHR_GLOBAL_PRIORITY_EXTENSION_NAME, VK_EXT_GLOBAL_PRIORITY_EXTENSION_NAME})
    if (has_extension(fn, device, name)) return name;
  return nullptr;
}

}  // namespace

Result<std::unique_ptr<Device>> Device::create(const DeviceOptions& options) {
  std::unique_ptr<Device> self(new Device);
  ITO_ASSIGN(self->instance_, Instance::create(options));
  const Instance& instance = *self->instance_;
  ITO_ASSIGN(const Choice choice, choose_device(instance, options));
  self->instance_handle_ = instance.handle();
  self->info_ = choice.info;
  Context& context = self->context_;
  context.instance_fn = instance.functions();
  context.physical_device = choice.device;
  context.callbacks = options.allocation_callbacks;
  context.features = both(supported_features(context.instance_fn, choice.device), options.allowed);
  if (options.compile_only) context.features.timeline_semaphore = false;
  if (!context.features.buffer_device_address)
    return unsupported("the Vulkan device '{}' cannot be used: it lacks bufferDeviceAddress",
                       choice.info.name);

  VkPhysicalDeviceProperties properties;
  context.instance_fn.vkGetPhysicalDeviceProperties(choice.device, &properties);
  const uint32_t api_version = std::min(properties.apiVersion, uint32_t{VK_API_VERSION_1_3});
  FeatureChain chain;
  chain.fill(context.features, api_version);
  const auto family =
      static_cast<uint32_t>(compute_queue_family(context.instance_fn, choice.device));
  VkDeviceQueueCreateInfo queue_info = one_queue(family);
  VkDeviceQueueGlobalPriorityCreateInfoKHR global = {};
  global.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_GLOBAL_PRIORITY_CREATE_INFO_KHR;
  const char* const global_priority = global_priority_extension(context.instance_fn, choice.device);
  if (options.queue_priority && global_priority != nullptr) {
    global.globalPriority = *options.queue_priority;
    queue_info.pNext = &global;
    chain.extensions.push_back(global_priority);
  }
  // A device that has it must be asked for it (VUID-VkDeviceCreateInfo-pProperties-04451). Of the
  // features that it takes away none is used: they are of blending, events, image views, samplers,
  // stencils, tessellation and vertices.
  constexpr const char* kPortabilitySubset = "VK_KHR_portability_subset";
  if (has_extension(context.instance_fn, choice.device, kPortabilitySubset))
    chain.extensions.push_back(kPortabilitySubset);
  const VkDeviceCreateInfo info = create_info(chain, queue_info);
  VkResult result =
      context.instance_fn.vkCreateDevice(choice.device, &info, context.callbacks, &context.device);
  if (result == VK_ERROR_NOT_PERMITTED_KHR && queue_info.pNext != nullptr) {
    if (options.log)
      options.log(LogLevel::kWarning,
                  "the system does not permit the queue's priority that was asked for");
    queue_info.pNext = nullptr;
    result = context.instance_fn.vkCreateDevice(choice.device, &info, context.callbacks,
                                                &context.device);
  }
  if (result != VK_SUCCESS)
    return vk_error(result, fmt::format("opening the Vulkan device '{}'", choice.info.name));
  self->owns_device_ = true;
  ITO_ASSIGN(context.fn,
             load_device_functions(context.instance_fn.vkGetDeviceProcAddr, context.device));
  VkQueue queue = VK_NULL_HANDLE;
  context.fn.vkGetDeviceQueue(context.device, family, 0, &queue);
  // On a GPU machine code is made with the pipeline.
  OpenTwin open_twin;
  if (properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU && !options.compile_only)
    open_twin = [&context, family, api_version] { return open_like(context, family, api_version); };
  ITO_TRY(self->finish(options, {queue, family, {}, {}}, VK_NULL_HANDLE, std::move(open_twin)));
  return self;
}

Result<std::unique_ptr<Device>> Device::wrap(const WrapOptions& options) {
  if (options.instance == VK_NULL_HANDLE || options.physical_device == VK_NULL_HANDLE ||
      options.device == VK_NULL_HANDLE)
    return invalid_argument(
        "to wrap a Vulkan device, its instance, physical device and device must be given");
  if (!options.features.buffer_device_address)
    return unsupported(
        "the wrapped Vulkan device cannot be used: bufferDeviceAddress is not enabled on it");
  std::unique_ptr<Device> self(new Device);
  ITO_ASSIGN(self->loader_, Loader::open(options.loader, options.loader_path));
  Context& context = self->context_;
  ITO_ASSIGN(
      context.instance_fn,
      load_instance_functions(self->loader_.functions().vkGetInstanceProcAddr, options.instance));
  self->instance_handle_ = options.instance;
  context.physical_device = options.physical_device;
  context.device = options.device;
  context.callbacks = options.allocation_callbacks;
  context.features = options.features;
  self->info_ = describe(context.instance_fn, options.physical_device, -1);

  VkPhysicalDeviceProperties properties;
  context.instance_fn.vkGetPhysicalDeviceProperties(options.physical_device, &properties);
  const uint32_t api_version = std::min(options.api_version, properties.apiVersion);
  if (api_version < VK_API_VERSION_1_2)
    return unsupported("the wrapped Vulkan device is version {}.{}; 1.2 or newer is needed",
                       VK_API_VERSION_MAJOR(api_version), VK_API_VERSION_MINOR(api_version));
  ITO_ASSIGN(context.fn,
             load_device_functions(context.instance_fn.vkGetDeviceProcAddr, context.device));

  uint32_t count = 0;
  context.instance_fn.vkGetPhysicalDeviceQueueFamilyProperties(options.physical_device, &count,
                                                               nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  context.instance_fn.vkGetPhysicalDeviceQueueFamilyProperties(options.physical_device, &count,
                                                               families.data());
  for (const WrapQueue& queue : options.queues) {
    if (queue.family >= count || (families[queue.family].queueFlags & VK_QUEUE_COMPUTE_BIT) == 0)
      continue;
    ITO_TRY(self->finish(options, queue, options.pipeline_cache, {}));
    return self;
  }
  return invalid_argument("none of the {} queues given with the wrapped Vulkan device can compute",
                          options.queues.size());
}

Status Device::finish(const CommonOptions& options, const WrapQueue& queue, VkPipelineCache cache,
                      OpenTwin open_twin) {
  context_.log = options.log ? options.log : [](LogLevel, std::string_view) {};
  if (context_.features.timeline_semaphore && context_.fn.vkWaitSemaphores == nullptr)
    context_.features.timeline_semaphore = false;
  if (context_.features.occupancy_priority &&
      context_.fn.vkCmdSetComputeOccupancyPriorityNV != nullptr)
    context_.occupancy_priority = options.occupancy_priority;
  fill_caps(context_, options.max_allocation_bytes);
  memory_ = std::make_unique<Memory>(context_, options.memory_budget);
  context_.caps.memory_bytes = memory_->total();
  ITO_TRY(take_form(context_, options.packs));
  uploads_ = std::make_unique<PendingUploads>(*memory_);
  if (queue.queue == VK_NULL_HANDLE)
    memory_->on_free([this](VkBuffer handle, uint64_t offset, uint64_t size) {
      uploads_->forget(handle, offset, size);
    });
  ITO_ASSIGN(queue_, Queue::create(context_, queue.queue, queue.family, queue.lock, queue.unlock));
  ITO_ASSIGN(pipelines_,
             PipelineStore::create(context_, options, cache, queue.family, std::move(open_twin)));
  return {};
}

Device::~Device() {
  queue_.reset();  // waits
  pipelines_.reset();
  if (memory_ != nullptr) memory_->on_free({});
  uploads_.reset();
  memory_.reset();
  if (owns_device_ && context_.fn.vkDestroyDevice != nullptr)
    context_.fn.vkDestroyDevice(context_.device, context_.callbacks);
}

Counters Device::counters() const {
  const AtomicCounters& c = context_.counters;
  Counters out;
  out.allocations = c.allocations;
  out.memory_blocks = c.memory_blocks;
  out.pipelines_created = c.pipelines_created;
  out.glsl_compilations = c.glsl_compilations;
  out.shader_cache_hits = c.shader_cache_hits;
  out.packed_kernels = c.packed_kernels;
  out.submits = c.submits;
  out.host_waits = c.host_waits;
  out.throttle_waits = c.throttle_waits;
  out.recordings = c.recordings;
  return out;
}

}  // namespace ito::vk
