// Sampling jobs: an ItoSampleInfo becomes the options of one.
#include <algorithm>
#include <limits>

#include "api/guidance_choice.h"
#include "api/inpainting.h"
#include "api/sampling_job.h"
#include "base/error.h"
#include "base/name_list.h"
#include "diffusion/samplers.h"
#include "embed/objects.h"
#include "embed/packing.h"
#include "embed/structures.h"
#include "embed/values.h"

namespace ito::embed {
namespace {

class SampleHostJob : public HostJob {
 public:
  explicit SampleHostJob(std::unique_ptr<SamplingJob> job)
      : job_(std::move(job)), requests_(static_cast<size_t>(job_->batch())) {}

  Job& job() override { return *job_; }
  uint32_t classes() const override { return static_cast<uint32_t>(job_->classes()); }
  Status restart(const ItoImageRequest* requests, uint32_t count) override {
    if (requests == nullptr) return invalid_argument("restart: requests is NULL");
    if (count != requests_.size())
      return invalid_argument("restart: {} requests, expected {}, the job's batch", count,
                              requests_.size());
    for (uint32_t i = 0; i < count; ++i)
      requests_[i] = {.seed = requests[i].seed, .label = requests[i].class_index};
    return job_->begin(requests_);
  }
  Status record_preview(vk::CommandRecorder& recorder) override {
    return job_->preview().valid() ? job_->record_preview(recorder)
                                   : HostJob::record_preview(recorder);
  }
  Result<const DeviceTensor*> preview() override {
    return job_->preview().valid() ? &job_->preview() : HostJob::preview();
  }

 private:
  std::unique_ptr<SamplingJob> job_;
  std::vector<SampleRequest> requests_;  // room for a batch
};

Status check_info(const ItoSampleInfo& info) {
  if (!(info.strength >= 0 && info.strength <= 1))
    return invalid_argument("ItoSampleInfo: strength is {}, expected 0 to 1", info.strength);
  if (info.preview != VK_FALSE && info.pixel_format == ITO_PIXEL_FORMAT_NONE)
    return invalid_argument("ItoSampleInfo: a preview has pixels; set pixel_format");
  constexpr auto kMost = static_cast<uint32_t>(std::numeric_limits<int>::max());
  if (info.steps > kMost || info.width > kMost || info.height > kMost)
    return invalid_argument("ItoSampleInfo: {} steps of {}x{}, expected at most {}", info.steps,
                            info.width, info.height, kMost);
  if ((info.width == 0) != (info.height == 0))
    return invalid_argument("ItoSampleInfo: width is {} and height {}; give both or neither",
                            info.width, info.height);
  if (!(info.guidance_scale >= 0) || !(info.eta >= 0 && info.eta <= 1))
    return invalid_argument(
        "ItoSampleInfo: guidance_scale is {} and eta {}, expected 0 or more and 0 to 1",
        info.guidance_scale, info.eta);
  return {};
}

Result<std::string> sampler_called(const char* text) {
  if (text == nullptr) return std::string();
  for (const Name& row : sampler_rows())
    if (is_called(row, text)) return std::string(row.name);
  return invalid_argument("ItoSampleInfo: there is no sampler \"{}\", expected one of {}", text,
                          joined(sampler_names()));
}

Result<SampleOptions> sample_options(const ItoSampleInfo& info, const LoadedModel& loaded) {
  ITO_TRY(check_info(info));
  const Model& model = loaded.model;
  const Signature& signature = model.network.signature();
  SampleOptions options;
  ITO_ASSIGN(options.sampler, sampler_called(info.sampler));
  options.steps = static_cast<int>(info.steps);
  options.eta = info.eta;
  options.batch = std::max(info.batch, 1u);
  options.width = static_cast<int>(info.width);
  options.height = static_cast<int>(info.height);
  ITO_ASSIGN(options.multiply, multiply_type(info.precision, "ItoSampleInfo"));
  if (info.strength > 0) options.initial = InitialImage{.picture = {}, .strength = info.strength};
  options = resolved(options, model.network, model.scheduler);
  if (info.eta > 0 && !sampler_uses(options, "eta"))
    return invalid_argument("ItoSampleInfo: eta has no meaning for sampler {}", options.sampler);
  if (signature.guidance > 0 && info.guidance_scale == 0)
    return invalid_argument(
        "ItoSampleInfo: the network of {} is told its guidance scale, but guidance_scale is 0",
        loaded.folder);
  if (info.guidance_scale == 0) return options;
  const auto classes = static_cast<size_t>(std::max(model.num_classes(), 0));
  if (signature.guidance == 0 && loaded.names && loaded.names->names.size() == classes)
    return unsupported(
        "ItoSampleInfo: guidance_scale compares with a class that stands for none, and each of the "
        "{} classes of {} stands for images",
        classes, loaded.folder);
  return with_guidance(std::move(options), GuidanceChoice{.scale = info.guidance_scale}, signature,
                       loaded.names, loaded.folder);
}

Result<SamplingJobOptions> job_options(const ItoSampleInfo& info, const LoadedModel& loaded) {
  SamplingJobOptions options;
  ITO_ASSIGN(options.pixels, pixel_format(info.pixel_format, "ItoSampleInfo: pixel_format"));
  ITO_ASSIGN(options.pictures, pixel_format(info.picture_format, "ItoSampleInfo: picture_format"));
  ITO_ASSIGN(options.mask, pixel_format(info.mask_format, "ItoSampleInfo: mask_format"));
  options.preview = info.preview != VK_FALSE;
  options.inpaint = info.inpaint != VK_FALSE;
  options.weights_change = loaded.trained;
  options.origin = {loaded.folder, job_text(info)};
  if (!options.inpaint && fills_in(loaded.model.network.signature()))
    return invalid_argument("ItoSampleInfo: the model in {} fills in pictures; set inpaint",
                            loaded.folder);
  return options;
}

}  // namespace

Result<std::vector<Plan>> sample_plans(const ItoSampleInfo& info, const LoadedModel& loaded,
                                       const DeviceCaps& form) {
  ITO_ASSIGN(const SampleOptions options, sample_options(info, loaded));
  ITO_ASSIGN(const SamplingJobOptions of_job, job_options(info, loaded));
  return SamplingJob::plans(form, loaded.model.network, loaded.model.scheduler, options, of_job);
}

ItoResult create_sample_job(ItoModel model, const ItoSampleInfo* given, ItoJob* job) {
  if (model == nullptr) return failed(invalid_argument("create_sample_job: the model is NULL"));
  return guarded(model->loaded->shared.get(), [&]() -> Status {
    if (job == nullptr) return invalid_argument("create_sample_job: job is NULL");
    *job = nullptr;
    ITO_ASSIGN(const ItoSampleInfo info,
               read_structure(given, ITO_STRUCTURE_TYPE_SAMPLE_INFO, "ItoSampleInfo"));
    const LoadedModel& loaded = *model->loaded;
    ITO_ASSIGN(const SampleOptions options, sample_options(info, loaded));
    ITO_ASSIGN(const SamplingJobOptions of_job, job_options(info, loaded));
    ITO_ASSIGN(auto made,
               SamplingJob::create(*loaded.shared->device, loaded.model.network,
                                   loaded.model.scheduler, loaded.weights, options, of_job));
    ITO_ASSIGN(*job, job_handle(loaded.shared, std::make_unique<SampleHostJob>(std::move(made))));
    return {};
  });
}

}  // namespace ito::embed
