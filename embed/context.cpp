// Contexts: the host's device or one of Ito's own.
#include <algorithm>
#include <cstring>
#include <functional>
#include <string>

#include "base/error.h"
#include "embed/objects.h"
#include "embed/structures.h"
#include "io/pack_file.h"
#include "runtime/vk/instance.h"

namespace ito::embed {
namespace {

constexpr const char* kOptionalExtensions[] = {VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME,
                                               VK_EXT_MEMORY_BUDGET_EXTENSION_NAME,
                                               VK_NV_COMPUTE_OCCUPANCY_PRIORITY_EXTENSION_NAME};

// The host's, which knows functions of C only.
vk::RunJobs run_jobs_of(const ItoContextInfo& info) {
  if (info.run_jobs == nullptr) return {};
  using Job = const std::function<void(size_t)>;
  return [run = info.run_jobs, user = info.user](size_t count, Job& job) {
    run(
        user, static_cast<uint32_t>(count),
        [](void* data, uint32_t index) { (*static_cast<Job*>(data))(index); },
        const_cast<std::function<void(size_t)>*>(&job));
  };
}

constexpr size_t kMostPacks = 64;  // more are a chain that bites its tail

// What hangs behind ItoContextInfo.
Result<Packs> read_packs(const void* next) {
  Packs packs;
  while (next != nullptr) {
    if (packs.size() == kMostPacks)
      return invalid_argument("ItoContextInfo: more than {} structures follow by next", kMostPacks);
    ITO_ASSIGN(const ItoPackInfo info,
               read_structure(static_cast<const ItoPackInfo*>(next), ITO_STRUCTURE_TYPE_PACK_INFO,
                              "ItoPackInfo (behind ItoContextInfo)", &next));
    if ((info.path == nullptr) == (info.data == nullptr))
      return invalid_argument("ItoPackInfo: give either path or data");
    const auto read = [&]() -> Result<KernelPack> {
      if (info.path != nullptr) return read_pack(info.path);
      return parse_pack({static_cast<const char*>(info.data), static_cast<size_t>(info.bytes)},
                        "ItoPackInfo: data");
    };
    ITO_ASSIGN(KernelPack pack, read());
    packs.push_back(std::make_shared<const KernelPack>(std::move(pack)));
  }
  return packs;
}

void take_common(const ItoContextInfo& info, const Packs& packs, vk::CommonOptions& options) {
  options.packs = packs;
  options.log = [log = info.log, user = info.user](LogLevel level, std::string_view text) {
    if (log != nullptr)
      log(user, static_cast<ItoLogLevel>(static_cast<int>(level)), std::string(text).c_str());
  };
  options.allocation_callbacks = info.allocation_callbacks;
  options.memory_budget = info.memory_budget;
  options.cache_dir = info.cache_folder != nullptr ? info.cache_folder : "";
  options.compile_threads = info.compile_threads;
  options.run_jobs = run_jobs_of(info);
  if (info.progress != nullptr)
    options.on_progress = [tell = info.progress, user = info.user](size_t done, size_t total) {
      return tell(user, static_cast<uint32_t>(done), static_cast<uint32_t>(total)) != VK_FALSE;
    };
  options.occupancy_priority = info.occupancy_priority;
}

Result<std::unique_ptr<vk::Device>> wrapped_device(const ItoContextInfo& info, const Packs& packs) {
  ITO_ASSIGN(const ItoHostDevice host,
             read_structure(info.host, ITO_STRUCTURE_TYPE_HOST_DEVICE, "ItoHostDevice"));
  if (!(info.occupancy_priority >= 0 && info.occupancy_priority <= 1))
    return invalid_argument("ItoContextInfo: occupancy_priority is {}, expected 0 to 1",
                            info.occupancy_priority);
  if (host.get_instance_proc_addr == nullptr)
    return invalid_argument("ItoHostDevice: get_instance_proc_addr is NULL");
  if (host.enabled_extension_count > 0 && host.enabled_extensions == nullptr)
    return invalid_argument("ItoHostDevice: enabled_extensions is NULL, but their number is {}",
                            host.enabled_extension_count);
  if ((host.lock_queue == nullptr) != (host.unlock_queue == nullptr))
    return invalid_argument("ItoHostDevice: lock_queue and unlock_queue belong together");
  vk::WrapOptions options;
  take_common(info, packs, options);
  options.instance = host.instance;
  options.physical_device = host.physical_device;
  options.device = host.device;
  options.api_version = host.api_version;
  options.loader = host.get_instance_proc_addr;
  options.pipeline_cache = host.pipeline_cache;
  std::vector<std::string> extensions;
  for (uint32_t i = 0; i < host.enabled_extension_count; ++i)
    extensions.emplace_back(host.enabled_extensions[i]);
  options.features = vk::enabled_features(host.enabled_features, extensions);
  vk::WrapQueue queue{host.queue, host.queue_family, {}, {}};
  if (host.lock_queue != nullptr) {
    queue.lock = [lock = host.lock_queue, user = host.user] { lock(user); };
    queue.unlock = [unlock = host.unlock_queue, user = host.user] { unlock(user); };
  }
  options.queues.push_back(std::move(queue));
  return vk::Device::wrap(options);
}

Result<std::unique_ptr<vk::Device>> own_device(const ItoContextInfo& info, const Packs& packs) {
  vk::DeviceOptions options;
  take_common(info, packs, options);
  if (info.device_name != nullptr) options.name = info.device_name;
  switch (info.queue_priority) {
    case ITO_QUEUE_PRIORITY_DEFAULT:
      break;
    case ITO_QUEUE_PRIORITY_LOW:
      options.queue_priority = VK_QUEUE_GLOBAL_PRIORITY_LOW_KHR;
      break;
    case ITO_QUEUE_PRIORITY_MEDIUM:
      options.queue_priority = VK_QUEUE_GLOBAL_PRIORITY_MEDIUM_KHR;
      break;
    case ITO_QUEUE_PRIORITY_HIGH:
      options.queue_priority = VK_QUEUE_GLOBAL_PRIORITY_HIGH_KHR;
      break;
    case ITO_QUEUE_PRIORITY_REALTIME:
      options.queue_priority = VK_QUEUE_GLOBAL_PRIORITY_REALTIME_KHR;
      break;
    default:
      return invalid_argument("ItoContextInfo: queue_priority is {}, expected 0 to 4",
                              static_cast<int>(info.queue_priority));
  }
  return vk::Device::create(options);
}

}  // namespace

ItoResult enable_features(PFN_vkGetInstanceProcAddr get, VkInstance instance,
                          VkPhysicalDevice device, VkPhysicalDeviceFeatures2* features) {
  return guarded(nullptr, [&]() -> Status {
    if (get == nullptr || instance == VK_NULL_HANDLE || device == VK_NULL_HANDLE ||
        features == nullptr)
      return invalid_argument(
          "enable_features needs a loader, an instance, a physical device and features");
    ITO_ASSIGN(const vk::InstanceFunctions functions, vk::load_instance_functions(get, instance));
    vk::DeviceFeatures wanted = vk::supported_features(functions, device);
    if (!wanted.buffer_device_address)
      return unsupported("the physical device lacks bufferDeviceAddress");
    wanted.pipeline_reports = false;  // for developers of kernels, and slower to compile
    vk::enable_features(features, wanted);
    return {};
  });
}

const char* const* optional_extensions(uint32_t* count) {
  if (count != nullptr) *count = static_cast<uint32_t>(std::size(kOptionalExtensions));
  return kOptionalExtensions;
}

ItoResult create_context(const ItoContextInfo* given, ItoContext* context) {
  return guarded(nullptr, [&]() -> Status {
    if (context == nullptr) return invalid_argument("create_context: context is NULL");
    *context = nullptr;
    const void* next = nullptr;
    ITO_ASSIGN(const ItoContextInfo info,
               read_structure(given, ITO_STRUCTURE_TYPE_CONTEXT_INFO, "ItoContextInfo", &next));
    ITO_ASSIGN(const Packs packs, read_packs(next));
    auto shared = std::make_shared<Shared>();
    shared->wrapped = info.host != nullptr;
    ITO_ASSIGN(shared->device,
               shared->wrapped ? wrapped_device(info, packs) : own_device(info, packs));
    *context = new ItoContext_T{std::move(shared)};
    return {};
  });
}

void destroy_context(ItoContext context) {
  static_cast<void>(guarded(nullptr, [&]() -> Status {
    delete context;
    return {};
  }));
}

ItoResult get_context_properties(ItoContext context, ItoContextProperties* properties) {
  if (context == nullptr) return failed(invalid_argument("the context is NULL"));
  return guarded(context->shared.get(), [&]() -> Status {
    ITO_TRY(
        check_structure(properties, ITO_STRUCTURE_TYPE_CONTEXT_PROPERTIES, "ItoContextProperties"));
    const vk::Device& device = *context->shared->device;
    ItoContextProperties values;
    std::memset(&values, 0, sizeof values);
    const std::string& name = device.info().name;
    name.copy(values.device_name, std::min(name.size(), sizeof values.device_name - 1));
    values.queue_family = context->shared->device->queue().family();
    values.half_precision = device.caps().shader_float16 && device.caps().storage_16bit;
    values.cooperative_matrices = device.caps().cooperative_matrix;
    values.wrapped = context->shared->wrapped;
    write_structure(properties, values);
    return {};
  });
}

ItoResult get_statistics(ItoContext context, ItoStatistics* statistics) {
  if (context == nullptr) return failed(invalid_argument("the context is NULL"));
  return guarded(context->shared.get(), [&]() -> Status {
    ITO_TRY(check_structure(statistics, ITO_STRUCTURE_TYPE_STATISTICS, "ItoStatistics"));
    vk::Device& device = *context->shared->device;
    const vk::Counters counters = device.counters();
    ItoStatistics values;
    std::memset(&values, 0, sizeof values);
    values.device_bytes = device.memory().statistics().used_bytes;
    values.device_blocks = counters.memory_blocks;
    values.buffers = counters.allocations;
    values.pipelines_created = counters.pipelines_created;
    values.shaders_compiled = counters.glsl_compilations;
    values.submits = counters.submits;
    values.host_waits = counters.host_waits + counters.throttle_waits;
    values.shaders_packed = counters.packed_kernels;
    write_structure(statistics, values);
    return {};
  });
}

}  // namespace ito::embed
