// What the handles of the C API point to. Not what is done with them (context.cpp, model.cpp,
// job.cpp and its kinds, slice.cpp, sources.cpp, targets.cpp).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/device_weights.h"
#include "api/model.h"
#include "embed/guard.h"
#include "embed/kinds.h"
#include "io/class_names.h"
#include "runtime/slice_clock.h"
#include "runtime/vk/command_buffer.h"

namespace ito::embed {

struct LoadedModel {
  std::shared_ptr<Shared> shared;
  Model model;  // without its weights, which are on the device
  DeviceWeights weights;
  std::optional<ClassNames> names;
  std::string folder;
  bool trained = false;  // by a job: others change its weights
};

}  // namespace ito::embed

struct ItoContext_T {
  std::shared_ptr<ito::embed::Shared> shared;
};

struct ItoModel_T {
  std::shared_ptr<ito::embed::LoadedModel> loaded;
};

struct ItoJob_T {
  static constexpr size_t kSlices = 3;  // of submit_slice under way
  struct Submitted {
    ito::vk::CommandBuffer commands;
    uint64_t value = 0;
  };
  ~ItoJob_T();

  std::shared_ptr<ito::embed::Shared> shared;
  std::unique_ptr<ito::embed::HostJob> host;
  std::unique_ptr<ito::SliceClock> clock;  // null where the device has none
  uint64_t uploads = 0;                    // of the device's, which come before its commands
  bool trimmed = false;                    // and not restarted since
  std::array<Submitted, kSlices> submitted;
  bool reserved = false;  // of the queue, kSlices submissions
  size_t next = 0;
};

namespace ito::embed {

// A handle of a job of some kind on this device.
Result<ItoJob> job_handle(std::shared_ptr<Shared> shared, std::unique_ptr<HostJob> host);
// Waits for what submit_slice submitted.
Status wait_for_slices(ItoJob job);

// What `budget` allows. Errors: of the structure.
Result<SliceBudget> read_budget(const ItoBudget* budget);
// What a job needs besides its programs to be recorded in slices. The last step of making one.
Status make_sliceable(ItoJob_T& job);
// Records the next slice of a job, with all that stands around its dispatches.
Status record_next(ItoJob_T& job, vk::CommandRecorder& recorder, const SliceBudget& budget);
// Whether all uploads that a job needs are recorded.
bool uploads_are_recorded(const ItoJob_T& job);

// The functions of ItoApi, as they are documented there.
ItoResult enable_features(PFN_vkGetInstanceProcAddr get, VkInstance instance,
                          VkPhysicalDevice device, VkPhysicalDeviceFeatures2* features);
const char* const* optional_extensions(uint32_t* count);
ItoResult create_context(const ItoContextInfo* info, ItoContext* context);
void destroy_context(ItoContext context);
ItoResult get_context_properties(ItoContext context, ItoContextProperties* properties);
ItoResult get_statistics(ItoContext context, ItoStatistics* statistics);
ItoResult load_model(ItoContext context, const ItoModelInfo* info, ItoModel* model);
void destroy_model(ItoModel model);
ItoResult get_model_properties(ItoModel model, ItoModelProperties* properties);
const char* get_class_name(ItoModel model, uint32_t index);
ItoResult create_sample_job(ItoModel model, const ItoSampleInfo* info, ItoJob* job);
void destroy_job(ItoJob job);
ItoResult get_job_properties(ItoJob job, ItoJobProperties* properties);
ItoResult restart(ItoJob job, const ItoImageRequest* requests, uint32_t count);
ItoResult record_slice(ItoJob job, VkCommandBuffer commands, const ItoBudget* budget,
                       ItoProgress* progress);
ItoResult submit_slice(ItoJob job, const ItoBudget* budget, ItoProgress* progress);
ItoResult poll(ItoJob job, ItoProgress* progress);
ItoResult record_image(ItoJob job, VkCommandBuffer commands, const ItoImageTarget* target);
ItoResult read_images(ItoJob job, float* images, size_t size);
ItoResult read_pixels(ItoJob job, void* pixels, size_t size);
ItoResult create_evaluate_job(ItoModel model, const ItoEvaluateInfo* info, ItoJob* job);
ItoResult create_train_job(ItoContext context, const ItoTrainInfo* info, ItoJob* job);
ItoResult get_input_properties(ItoJob job, ItoInput input, ItoInputProperties* properties);
ItoResult write_input(ItoJob job, ItoInput input, uint32_t row, const void* data, size_t size);
ItoResult record_image_source(ItoJob job, VkCommandBuffer commands, const ItoImageSource* source);
ItoResult record_buffer_source(ItoJob job, VkCommandBuffer commands, const ItoBufferSource* source);
ItoResult record_buffer(ItoJob job, VkCommandBuffer commands, const ItoBufferTarget* target);
ItoResult record_preview(ItoJob job, VkCommandBuffer commands, const ItoImageTarget* target);
ItoResult cancel(ItoJob job);
ItoResult trim_memory(ItoJob job);
ItoResult read_train_report(ItoJob job, ItoTrainReport* report);
ItoResult write_trained_model(ItoJob job, const char* folder);
ItoResult get_trained_model(ItoJob job, ItoModel* model);
ItoResult record_uploads(ItoContext context, VkCommandBuffer commands, const ItoBudget* budget);
ItoResult release_uploads(ItoContext context);

}  // namespace ito::embed
