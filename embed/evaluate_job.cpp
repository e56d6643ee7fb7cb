// Evaluations: an ItoEvaluateInfo becomes the options of one.
#include <algorithm>
#include <limits>

#include "api/forward_job.h"
#include "base/error.h"
#include "embed/objects.h"
#include "embed/packing.h"
#include "embed/structures.h"
#include "embed/values.h"

namespace ito::embed {
namespace {

class EvaluateHostJob : public HostJob {
 public:
  EvaluateHostJob(std::unique_ptr<ForwardJob> job, uint32_t classes)
      : job_(std::move(job)), classes_(classes) {}

  Job& job() override { return *job_; }
  uint32_t classes() const override { return classes_; }
  Status restart(const ItoImageRequest* requests, uint32_t count) override {
    ITO_TRY(check_no_requests(requests, count));
    return job_->begin();
  }

 private:
  std::unique_ptr<ForwardJob> job_;
  uint32_t classes_;
};

Result<ForwardJobOptions> evaluation_options(const ItoEvaluateInfo& info,
                                             const LoadedModel& loaded) {
  constexpr auto kMost = static_cast<uint32_t>(std::numeric_limits<int>::max());
  if (std::max({info.batch, info.width, info.height, info.context_length}) > kMost)
    return invalid_argument(
        "ItoEvaluateInfo: {} samples of {}x{} and {} states, expected at most {}", info.batch,
        info.width, info.height, info.context_length, kMost);
  if ((info.width == 0) != (info.height == 0))
    return invalid_argument("ItoEvaluateInfo: width is {} and height {}; give both or neither",
                            info.width, info.height);
  ForwardJobOptions options{.batch = std::max(info.batch, 1u),
                            .height = info.height,
                            .width = info.width,
                            .context = info.context_length,
                            .weights_change = loaded.trained,
                            .origin = {loaded.folder, job_text(info)}};
  ITO_ASSIGN(options.multiply, multiply_type(info.precision, "ItoEvaluateInfo"));
  return options;
}

}  // namespace

Result<std::vector<Plan>> evaluation_plans(const ItoEvaluateInfo& info, const LoadedModel& loaded,
                                           const DeviceCaps& form) {
  ITO_ASSIGN(const ForwardJobOptions options, evaluation_options(info, loaded));
  return ForwardJob::plans(form, loaded.model.network, options);
}

ItoResult create_evaluate_job(ItoModel model, const ItoEvaluateInfo* given, ItoJob* job) {
  if (model == nullptr) return failed(invalid_argument("create_evaluate_job: the model is NULL"));
  return guarded(model->loaded->shared.get(), [&]() -> Status {
    if (job == nullptr) return invalid_argument("create_evaluate_job: job is NULL");
    *job = nullptr;
    ITO_ASSIGN(const ItoEvaluateInfo info,
               read_structure(given, ITO_STRUCTURE_TYPE_EVALUATE_INFO, "ItoEvaluateInfo"));
    const LoadedModel& loaded = *model->loaded;
    ITO_ASSIGN(const ForwardJobOptions options, evaluation_options(info, loaded));
    ITO_ASSIGN(auto made, ForwardJob::create(*loaded.shared->device, loaded.model.network,
                                             loaded.weights, options));
    ITO_ASSIGN(*job,
               job_handle(loaded.shared,
                          std::make_unique<EvaluateHostJob>(
                              std::move(made), static_cast<uint32_t>(loaded.model.num_classes()))));
    return {};
  });
}

}  // namespace ito::embed
