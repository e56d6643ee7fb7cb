// Pipelines: compute pipelines made from GLSL kernels, shared by all programs of a device, and the
// driver's pipeline cache on disk. One pipeline layout serves all: push constants, no descriptors.
// Not for recording them (command_buffer.h).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/vk/context.h"
#include "runtime/vk/first_dispatches.h"
#include "runtime/vk/pipeline_report.h"
#include "runtime/vk/shader_compiler.h"

namespace ito::vk {

// Bytes of push constants every pipeline has; guaranteed by Vulkan.
inline constexpr uint32_t kPushConstantBytes = 128;

// A kernel as the Vulkan layer sees it. The texts must outlive the call that takes them.
struct PipelineRequest {
  std::string_view name;
  std::string_view glsl;
  std::array<uint32_t, 3> local_size = {1, 1, 1};  // as in the text
  uint32_t required_subgroup_size = 0;             // 0: any
  bool uses_cooperative_matrix = false;
  bool uses_float16 = false;
  bool uses_16bit_storage = false;
};

class Pipeline {
 public:
  Pipeline(const Context& context, VkPipeline handle) : context_(context), handle_(handle) {}
  ~Pipeline() { context_.fn.vkDestroyPipeline(context_.device, handle_, context_.callbacks); }
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;
  VkPipeline handle() const { return handle_; }

 private:
  const Context& context_;
  VkPipeline handle_;
};

class PipelineStore {
 public:
  // `given`: a cache of the caller's; null: one of its own, kept in the options' folder.
  // `open_twin`: where not empty, many kernels that are new to the driver are dispatched ahead on
  // such devices, whose queue is of `family`.
  static Result<std::unique_ptr<PipelineStore>> create(const Context& context,
                                                       const CommonOptions& options,
                                                       VkPipelineCache given, uint32_t family,
                                                       OpenTwin open_twin);
  // Saves the driver's cache.
  ~PipelineStore();
  PipelineStore(const PipelineStore&) = delete;
  PipelineStore& operator=(const PipelineStore&) = delete;

  // Pipelines for all requests, in order; compiled in parallel where not already alive. Errors: a
  // text that does not compile, a feature the device lacks (the kernel is named); kInterrupted
  // where CommonOptions::on_progress said so.
  Result<std::vector<std::shared_ptr<const Pipeline>>> get(
      std::span<const PipelineRequest> requests);
  // The first kernel that get() cannot make for want of a compiler; nothing where there is none.
  std::optional<std::string_view> missing(std::span<const PipelineRequest> requests) const;
  // What the driver says of each request's machine code, in order; compiled in parallel, kept
  // nowhere. Errors: as get(); kUnsupported where
  // DeviceFeatures::pipeline_reports is not enabled.
  Result<std::vector<PipelineReport>> report(std::span<const PipelineRequest> requests);
  // Writes the driver's cache to disk where pipelines were made since the last time.
  void save();

  VkPipelineLayout layout() const { return layout_; }
  const ShaderCompiler& compiler() const { return compiler_; }

 private:
  using PipelineKey = std::pair<std::array<uint64_t, 2>, uint32_t>;
  PipelineStore(const Context& context, const CommonOptions& options, VkPipelineCache given);
  Status open_cache();
  bool is_new_to_driver(const PipelineRequest& request) const;
  Result<std::shared_ptr<const Pipeline>> make(const PipelineRequest& request,
                                               VkPipelineCache cache, VkPipelineCreateFlags flags,
                                               FirstDispatches* ahead) const;
  Status check_supported(const PipelineRequest& request) const;
  CacheKey driver_key() const;

  const Context& context_;
  ShaderCompiler compiler_;
  DiskCache disk_;
  uint32_t threads_;
  RunJobs run_jobs_;
  std::function<bool(size_t, size_t)> on_progress_;
  uint32_t family_ = 0;
  OpenTwin open_twin_;
  VkPipelineCache cache_ = VK_NULL_HANDLE;
  bool owns_cache_ = false;
  bool driver_is_known_ = false;  // the folder had a cache of this driver's
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
  std::mutex mutex_;
  std::map<PipelineKey, std::weak_ptr<const Pipeline>> alive_;
  std::atomic<uint64_t> saved_at_ = 0;  // pipelines_created when last saved
};

}  // namespace ito::vk
