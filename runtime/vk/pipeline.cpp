#include "runtime/vk/pipeline.h"

#include <cstring>

#include "base/error.h"
#include "runtime/vk/parallel.h"

namespace ito::vk {
namespace {

// Fewer kernels are sooner made one after the other than other devices are opened.
constexpr size_t kManyKernels = 8;

}  // namespace

PipelineStore::PipelineStore(const Context& context, const CommonOptions& options,
                             VkPipelineCache given)
    : context_(context),
      compiler_(context, options.cache_dir, options.packs),
      disk_(options.cache_dir.empty() ? "" : options.cache_dir + "/pipelines"),
      threads_(options.compile_threads != 0 ? options.compile_threads
                                            : std::max(1u, std::thread::hardware_concurrency())),
      run_jobs_(options.run_jobs),
      on_progress_(options.on_progress),
      cache_(given) {}

// What the driver's cache depends on: device, driver and their versions.
CacheKey PipelineStore::driver_key() const {
  const VkPhysicalDeviceProperties& p = context_.properties;
  const std::string ids =
      fmt::format("{} {} {} {}", p.vendorID, p.deviceID, p.driverVersion, p.apiVersion);
  const std::array<std::string_view, 4> parts = {
      ids, p.deviceName,
      std::string_view(reinterpret_cast<const char*>(p.pipelineCacheUUID), VK_UUID_SIZE),
      std::string_view(reinterpret_cast<const char*>(context_.driver_uuid), VK_UUID_SIZE)};
  return cache_key(parts);
}

Result<std::unique_ptr<PipelineStore>> PipelineStore::create(const Context& context,
                                                             const CommonOptions& options,
                                                             VkPipelineCache given, uint32_t family,
                                                             OpenTwin open_twin) {
  std::unique_ptr<PipelineStore> self(new PipelineStore(context, options, given));
  self->family_ = family;
  self->open_twin_ = std::move(open_twin);
  VkPushConstantRange range = {};
  range.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
  range.size = kPushConstantBytes;
  VkPipelineLayoutCreateInfo layout = {};
  layout.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
  layout.pushConstantRangeCount = 1;
  layout.pPushConstantRanges = &range;
  VkResult result =
      context.fn.vkCreatePipelineLayout(context.device, &layout, context.callbacks, &self->layout_);
  if (result != VK_SUCCESS) return context.error(result, "creating a pipeline layout");
  if (given == VK_NULL_HANDLE) ITO_TRY(self->open_cache());
  return self;
}

Status PipelineStore::open_cache() {
  // The entry's checksum is checked by DiskCache; the driver's own header is checked here, since
  // not every driver does it.
  std::vector<std::byte> data = disk_.load(driver_key()).value_or(std::vector<std::byte>());
  VkPipelineCacheHeaderVersionOne header;
  const bool usable = data.size() >= sizeof header && [&] {
    std::memcpy(&header, data.data(), sizeof header);
    return header.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
           header.vendorID == context_.properties.vendorID &&
           header.deviceID == context_.properties.deviceID &&
           std::memcmp(header.pipelineCacheUUID, context_.properties.pipelineCacheUUID,
                       VK_UUID_SIZE) == 0;
  }();
  driver_is_known_ = usable;
  VkPipelineCacheCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
  info.initialDataSize = usable ? data.size() : 0;
  info.pInitialData = usable ? data.data() : nullptr;
  const VkResult result =
      context_.fn.vkCreatePipelineCache(context_.device, &info, context_.callbacks, &cache_);
  if (result != VK_SUCCESS) return context_.error(result, "creating a pipeline cache");
  owns_cache_ = true;
  return {};
}

PipelineStore::~PipelineStore() {
  if (owns_cache_) {
    save();
    context_.fn.vkDestroyPipelineCache(context_.device, cache_, context_.callbacks);
  }
  if (layout_ != VK_NULL_HANDLE)
    context_.fn.vkDestroyPipelineLayout(context_.device, layout_, context_.callbacks);
}

void PipelineStore::save() {
  const uint64_t created = context_.counters.pipelines_created;
  if (!owns_cache_ || context_.lost || saved_at_.exchange(created) == created) return;
  size_t size = 0;
  if (context_.fn.vkGetPipelineCacheData(context_.device, cache_, &size, nullptr) != VK_SUCCESS)
    return;
  std::vector<std::byte> data(size);
  if (context_.fn.vkGetPipelineCacheData(context_.device, cache_, &size, data.data()) != VK_SUCCESS)
    return;
  data.resize(size);
  disk_.store(driver_key(), data);
}

Status PipelineStore::check_supported(const PipelineRequest& request) const {
  const DeviceCaps& caps = context_.caps;
  if (request.uses_cooperative_matrix && !caps.cooperative_matrix)
    return unsupported("kernel '{}' uses cooperative matrices, which are not enabled on '{}'",
                       request.name, caps.name);
  if (request.uses_float16 && !caps.shader_float16)
    return unsupported(
        "kernel '{}' uses 16-bit floats (shaderFloat16), which are not enabled on '{}'",
        request.name, caps.name);
  if (request.uses_16bit_storage && !caps.storage_16bit)
    return unsupported(
        "kernel '{}' uses 16-bit storage (storageBuffer16BitAccess), which is not enabled on '{}'",
        request.name, caps.name);
  const auto& size = request.local_size;
  const VkPhysicalDeviceLimits& limits = context_.properties.limits;
  if (size[0] * size[1] * size[2] > limits.maxComputeWorkGroupInvocations ||
      size[0] > limits.maxComputeWorkGroupSize[0] || size[1] > limits.maxComputeWorkGroupSize[1] ||
      size[2] > limits.maxComputeWorkGroupSize[2])
    return unsupported("kernel '{}' has workgroups of {}x{}x{}, more than '{}' can run",
                       request.name, size[0], size[1], size[2], caps.name);
  if (request.required_subgroup_size != 0 && request.required_subgroup_size != caps.subgroup_size &&
      !context_.features.subgroup_size_control)
    return unsupported("kernel '{}' needs subgroups of {}; '{}' has {}", request.name,
                       request.required_subgroup_size, caps.name, caps.subgroup_size);
  return {};
}

// Its text, or the driver itself, was not here before: what it makes of it it has nowhere.
bool PipelineStore::is_new_to_driver(const PipelineRequest& request) const {
  return !driver_is_known_ || !compiler_.is_kept(request.glsl);
}

Result<std::shared_ptr<const Pipeline>> PipelineStore::make(const PipelineRequest& request,
                                                            VkPipelineCache cache,
                                                            VkPipelineCreateFlags flags,
                                                            FirstDispatches* ahead) const {
  ITO_TRY(check_supported(request));
  const bool dispatch_ahead = ahead != nullptr && is_new_to_driver(request);
  ITO_ASSIGN(const Spirv spirv, compiler_.compile(request.name, request.glsl));
  VkShaderModuleCreateInfo module_info = {};
  module_info.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
  module_info.codeSize = spirv.size() * sizeof(uint32_t);
  module_info.pCode = spirv.data();
  VkShaderModule module = VK_NULL_HANDLE;
  VkResult result =
      context_.fn.vkCreateShaderModule(context_.device, &module_info, context_.callbacks, &module);
  if (result != VK_SUCCESS)
    return context_.error(result, fmt::format("kernel '{}': creating its module", request.name));

  VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroup = {};
  subgroup.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO;
  subgroup.requiredSubgroupSize = request.required_subgroup_size;
  VkComputePipelineCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
  info.flags = VK_PIPELINE_CREATE_DISPATCH_BASE_BIT | flags;  // long dispatches are split
  info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = "main";
  info.layout = layout_;
  if (request.required_subgroup_size != 0 && context_.features.subgroup_size_control) {
    info.stage.pNext = &subgroup;
    if (context_.features.compute_full_subgroups &&
        request.local_size[0] % request.required_subgroup_size == 0)
      info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
  }
  VkPipeline handle = VK_NULL_HANDLE;
  result = context_.fn.vkCreateComputePipelines(context_.device, cache, 1, &info,
                                                context_.callbacks, &handle);
  context_.fn.vkDestroyShaderModule(context_.device, module, context_.callbacks);
  if (result != VK_SUCCESS)
    return context_.error(result, fmt::format("kernel '{}': creating its pipeline", request.name));
  ++context_.counters.pipelines_created;
  if (dispatch_ahead) ahead->dispatch(info, spirv, kPushConstantBytes);
  return std::make_shared<const Pipeline>(context_, handle);
}

Result<std::vector<std::shared_ptr<const Pipeline>>> PipelineStore::get(
    std::span<const PipelineRequest> requests) {
  std::vector<std::shared_ptr<const Pipeline>> pipelines(requests.size());
  std::vector<PipelineKey> keys(requests.size());
  std::map<PipelineKey, size_t> missing;  // to one request each, though several may ask for it
  {
    std::lock_guard lock(mutex_);
    for (size_t i = 0; i < requests.size(); ++i) {
      const CacheKey text = cache_key(std::span(&requests[i].glsl, 1));
      keys[i] = {{text.high, text.low}, requests[i].required_subgroup_size};
      if (auto it = alive_.find(keys[i]); it != alive_.end()) pipelines[i] = it->second.lock();
      if (pipelines[i] == nullptr) missing.emplace(keys[i], i);
    }
  }
  std::vector<size_t> work;
  for (const auto& [key, index] : missing) work.push_back(index);
  if (work.empty()) return pipelines;
  std::vector<Error> errors(
      work.size(),
      Error{ErrorKind::kInvalidArgument,
            "kernels were not made: the host's run_jobs returned before all jobs ran"});
  std::atomic<size_t> done = 0;
  std::atomic<bool> interrupted = on_progress_ && !on_progress_(0, work.size());
  std::optional<FirstDispatches> ahead;  // by threads of the host's no job waits for another
  if (open_twin_ && !run_jobs_ && work.size() >= kManyKernels)
    ahead.emplace(context_, family_, open_twin_);
  parallel_for(work.size(), threads_, run_jobs_, [&](size_t i) {
    if (interrupted) {
      errors[i] = Error{ErrorKind::kInterrupted, "the making of kernels was cancelled"};
      return;
    }
    auto made = make(requests[work[i]], cache_, 0, ahead ? &*ahead : nullptr);
    if (made.ok())
      pipelines[work[i]] = std::move(made).value();
    else
      errors[i] = std::move(made).error();
    if (on_progress_ && !on_progress_(++done, work.size())) interrupted = true;
  });
  for (size_t i = 0; i < work.size(); ++i)
    if (pipelines[work[i]] == nullptr) return errors[i];

  std::lock_guard lock(mutex_);
  std::erase_if(alive_, [](const auto& entry) { return entry.second.expired(); });
  for (size_t i = 0; i < requests.size(); ++i) {
    if (pipelines[i] == nullptr) pipelines[i] = pipelines[missing.at(keys[i])];
    alive_[keys[i]] = pipelines[i];
  }
  return pipelines;
}

std::optional<std::string_view> PipelineStore::missing(
    std::span<const PipelineRequest> requests) const {
  if (can_compile()) return std::nullopt;
  for (const PipelineRequest& request : requests)
    if (!compiler_.is_packed(request.glsl)) return request.name;
  return std::nullopt;
}

Result<std::vector<PipelineReport>> PipelineStore::report(
    std::span<const PipelineRequest> requests) {
  if (!context_.features.pipeline_reports)
    return unsupported("'{}' says nothing of its machine code: it lacks {}", context_.caps.name,
                       VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME);
  const VkPipelineCreateFlags flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR |
                                      VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR;
  std::vector<PipelineReport> reports(requests.size());
  std::vector<Status> statuses(requests.size());
  parallel_for(requests.size(), threads_, run_jobs_, [&](size_t i) {
    statuses[i] = [&]() -> Status {
      ITO_ASSIGN(const auto pipeline, make(requests[i], VK_NULL_HANDLE, flags, nullptr));
      ITO_ASSIGN(reports[i], read_report(context_, pipeline->handle()));
      return {};
    }();
  });
  for (Status& status : statuses) ITO_TRY(std::move(status));
  return reports;
}

}  // namespace ito::vk
