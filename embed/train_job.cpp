// Trainings: an ItoTrainInfo becomes the options of one; what a training has come to.
#include <algorithm>
#include <cstring>
#include <string>

#include "api/training_job.h"
#include "base/error.h"
#include "embed/objects.h"
#include "embed/structures.h"
#include "embed/values.h"
#include "io/json.h"

namespace ito::embed {
namespace {

constexpr uint32_t kMostExtent = 1u << 16;  // sides and classes; further limits are the library's

class TrainHostJob : public HostJob {
 public:
  explicit TrainHostJob(std::unique_ptr<TrainingJob> job) : job_(std::move(job)) {}

  Job& job() override { return *job_; }
  uint32_t classes() const override { return static_cast<uint32_t>(job_->task().classes); }
  Status restart(const ItoImageRequest* requests, uint32_t count) override {
    ITO_TRY(check_no_requests(requests, count));
    return job_->begin();
  }
  Result<TrainingJob*> training() override { return job_.get(); }

 private:
  std::unique_ptr<TrainingJob> job_;
};

// The options and which of them were given.
Status take_training_options(const char* text, TrainingJobOptions& options) {
  if (text == nullptr) return {};
  constexpr const char* kWhere = "ItoTrainInfo: options";
  Result<Json> parsed = parse_json(text, kWhere);
  if (!parsed.ok()) return invalid_argument("{}", parsed.error().message);
  if (!parsed->is_object()) return invalid_argument("{}: expected a JSON object", kWhere);
  std::set<std::string> known;
  visit_fields(options.training, [&](const char* key, auto&, const char*) { known.insert(key); });
  for (const auto& [key, value] : parsed->items()) {
    if (known.count(key) == 0)
      return invalid_argument("{}: there is no option \"{}\" of `ito train`", kWhere, key);
    options.given.insert(key);
  }
  Result<TrainingOptions> read = training_options_from_json(*parsed, kWhere);
  if (!read.ok()) return invalid_argument("{}", read.error().message);
  options.training = std::move(read).value();
  return {};
}

Status take_images(const ItoTrainInfo& info, TrainingImages& images) {
  const uint32_t channels = info.channels;
  if (info.width == 0 || info.height == 0 || channels == 0 || channels > 4 ||
      std::max({info.width, info.height, info.classes}) > kMostExtent)
    return invalid_argument(
        "ItoTrainInfo: pictures of {}x{}x{} in {} classes, expected sides and classes of at most "
        "{} and 1 to 4 channels",
        info.width, info.height, channels, info.classes, kMostExtent);
  images = {.h = static_cast<int>(info.height),
            .w = static_cast<int>(info.width),
            .c = static_cast<int>(channels),
            .classes = static_cast<int>(info.classes)};
  for (uint32_t i = 0; info.class_names != nullptr && i < info.classes; ++i) {
    if (info.class_names[i] == nullptr)
      return invalid_argument("ItoTrainInfo: class_names[{}] is NULL", i);
    images.names.emplace_back(info.class_names[i]);
  }
  return {};
}

Result<TrainingJobOptions> training_job_options(const ItoTrainInfo& info) {
  TrainingJobOptions options;
  ITO_TRY(take_training_options(info.options, options));
  ITO_TRY(take_images(info, options.images));
  ITO_ASSIGN(options.pictures, pixel_format(info.picture_format, "ItoTrainInfo: picture_format"));
  if (info.initial_folder == nullptr) return options;
  ITO_ASSIGN(InitialModel initial,
             open_initial_model(info.initial_folder,
                                info.initial_variant != nullptr ? info.initial_variant : ""));
  options.initial = std::make_shared<const InitialModel>(std::move(initial));
  return options;
}

// What the three functions below begin with: the training, whose slices are done.
Result<TrainingJob*> training_to_read(ItoJob job) {
  ITO_ASSIGN(TrainingJob * training, job->host->training());
  ITO_TRY(wait_for_slices(job));
  return training;
}

}  // namespace

ItoResult create_train_job(ItoContext context, const ItoTrainInfo* given, ItoJob* job) {
  if (context == nullptr) return failed(invalid_argument("create_train_job: the context is NULL"));
  return guarded(context->shared.get(), [&]() -> Status {
    if (job == nullptr) return invalid_argument("create_train_job: job is NULL");
    *job = nullptr;
    ITO_ASSIGN(const ItoTrainInfo info,
               read_structure(given, ITO_STRUCTURE_TYPE_TRAIN_INFO, "ItoTrainInfo"));
    ITO_ASSIGN(const TrainingJobOptions options, training_job_options(info));
    vk::Device& device = *context->shared->device;
    ITO_ASSIGN(auto made, TrainingJob::create(device, options));
    for (const std::string& note : made->task().objective.notes)
      device.log()(LogLevel::kInfo, note);
    ITO_ASSIGN(*job, job_handle(context->shared, std::make_unique<TrainHostJob>(std::move(made))));
    return {};
  });
}

ItoResult read_train_report(ItoJob job, ItoTrainReport* report) {
  if (job == nullptr) return failed(invalid_argument("read_train_report: the job is NULL"));
  return guarded(job->shared.get(), [&]() -> Status {
    ITO_TRY(check_structure(report, ITO_STRUCTURE_TYPE_TRAIN_REPORT, "ItoTrainReport"));
    ITO_ASSIGN(TrainingJob * training, training_to_read(job));
    ITO_TRY(training->check());
    ITO_ASSIGN(const LossReport newest, training->report());
    ItoTrainReport values;
    std::memset(&values, 0, sizeof values);
    values.step = static_cast<uint64_t>(newest.step);
    values.loss = newest.loss;
    values.gradient_norm = newest.grad_norm;
    values.learning_rate = newest.learning_rate;
    if (newest.scale) {
      values.loss_scale = newest.scale->scale;
      values.steps_left_out = static_cast<uint64_t>(newest.scale->skipped);
    }
    write_structure(report, values);
    return {};
  });
}

ItoResult write_trained_model(ItoJob job, const char* folder) {
  if (job == nullptr) return failed(invalid_argument("write_trained_model: the job is NULL"));
  return guarded(job->shared.get(), [&]() -> Status {
    if (folder == nullptr) return invalid_argument("write_trained_model: folder is NULL");
    ITO_ASSIGN(TrainingJob * training, training_to_read(job));
    ITO_TRY(training->check());
    return training->save(folder);
  });
}

ItoResult get_trained_model(ItoJob job, ItoModel* model) {
  if (job == nullptr) return failed(invalid_argument("get_trained_model: the job is NULL"));
  return guarded(job->shared.get(), [&]() -> Status {
    if (model == nullptr) return invalid_argument("get_trained_model: model is NULL");
    *model = nullptr;
    ITO_ASSIGN(TrainingJob * training, job->host->training());
    auto loaded = std::make_shared<LoadedModel>();
    loaded->shared = job->shared;
    loaded->folder = "the training";
    loaded->trained = true;
    ITO_ASSIGN(loaded->model.network,
               training->task().network.for_device(job->shared->device->caps()));
    loaded->model.scheduler = training->task().objective.scheduler;
    loaded->weights = training->weights();
    if (training->task().classes > 0) loaded->names = training->class_names();
    *model = new ItoModel_T{std::move(loaded)};
    return {};
  });
}

}  // namespace ito::embed
