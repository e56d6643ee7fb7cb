#include "api/sample_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <span>
#include <thread>
#include <tuple>
#include <utility>

#include "api/fingerprint.h"
#include "api/inpainting.h"
#include "api/latents_file.h"
#include "api/ranked_sampling.h"
#include "api/sample_files.h"
#include "api/sample_previews.h"
#include "api/scoring.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/integer.h"
#include "diffusion/process.h"

namespace ito {
namespace {

constexpr const char* kAllClasses = "all";
constexpr double kSecondsBetweenLooks = 2;
constexpr size_t kMostWriters = 8;

// The files that a job reads besides models.
std::vector<std::string> inputs_of(const SampleJob& job) {
  const ControlFiles& control = job.control;
  return {control.initial,  control.latents,     control.inpaint, control.mask,
          control.colorize, control.observation, job.context,     job.negative_context};
}

class SampleCall {
 public:
  SampleCall(const DeviceOpener& open_device, const Model& model, const SampleJob& job,
             const SampleObserver& observer)
      : open_device_(open_device), model_(model), job_(job), observer_(observer) {}

  // Reads what the job names, chooses the images and opens the files, and the device.
  Status prepare();
  Result<SampleSummary> draw();

 private:
  int64_t factor() const;
  Result<Shape> picture_shape() const;
  Result<Shape> image_shape() const;
  Status load_controls();
  Status load_guide();
  Result<JudgedClasses> classes_in(const std::string& folder, const Component& classifier) const;
  Status load_initial();
  Status encode();
  Status load_context();
  uint32_t classes() const;
  Status choose_requests();
  Json inpainting_settings() const;
  Json settings() const;
  SampleIdentity identity() const;
  Status open_out();
  Status open_files();
  Status open_farm();
  // The next images to be drawn, none at the end; and what became of them.
  Result<std::vector<SampleRequest>> next(size_t most);
  Status add(std::span<const SampleRequest> part, std::vector<float> images, const Shape& shape);
  Result<SampleOptions> session_options() const;
  Status score(std::span<const SampleRequest> batch, const std::vector<float>& images);
  size_t remaining() const { return farm_ ? farm_->remaining() : last_ - next_; }
  // Whether the first rank writes what all have drawn.
  bool collects() const { return job_.ranks.several() && files_ && !files_->is_folder(); }
  bool stopped() const { return observer_.stop != nullptr && observer_.stop->load(); }
  void report(size_t done, double steps, double steps_in_all);
  void look_at_shards();
  std::pair<std::optional<double>, std::optional<double>> rate_of_all() const;
  Status open_session();
  Status draw_from(std::vector<SampleRequest> part, SampleSummary& summary);
  Status finish_files(const SampleSummary& summary);
  void note(const std::string& text) const {
    if (observer_.note) observer_.note(text);
  }
  NoteFunction notes() const {
    return [this](const std::string& text) { note("note: " + text); };
  }

  const DeviceOpener& open_device_;
  vk::Device* device_ = nullptr;
  const Model& model_;
  const SampleJob& job_;
  const SampleObserver& observer_;
  SampleControl control_;
  std::optional<ClassNames> names_ = job_.names;  // of the classes that are drawn
  std::optional<MaskedPicture> masked_;           // of a model that fills in, `known` to be filled
  std::optional<Inpainting> inpainting_;          // the same, encoded
  std::optional<std::vector<float>> pixels_;      // of --init-image
  std::optional<InitialImage> initial_;
  std::optional<Latents> latents_;
  std::optional<ContextStates> context_, negative_;
  std::vector<SampleRequest> requests_;
  size_t images_ = 0;                 // that were to be drawn at the start
  size_t next_ = 0, last_ = 0;        // of them, where files_ keeps the images, this rank's
  std::vector<float> drawn_;          // images of another rank than the first, of a file of all
  Shape drawn_shape_;                 // [1, h, w, c]
  std::optional<SampleFiles> files_;  // of a job of one process ...
  std::unique_ptr<SampleFarm> farm_;  // ... or of a shard
  std::optional<FarmProgress> shards_;
  size_t all_at_start_ = 0;   // images of all shards
  Clock::time_point looked_;  // at the other shards
  std::optional<Component> classifier_;
  JudgedClasses judged_;  // the classifier's classes of the model's
  std::unique_ptr<SamplingSession> session_;
  std::unique_ptr<Scorer> scorer_;
  SamplePreviews previews_{job_.preview_every, job_.columns};
  int64_t recognised_ = 0;
  Clock::time_point start_;
};

// Pixels of a picture's side per element of what the network denoises.
int64_t SampleCall::factor() const {
  return model_.decoder ? model_.decoder->network.autoencoder()->factor : 1;
}

// [h, w, c] of the pictures.
Result<Shape> SampleCall::picture_shape() const {
  const Signature& signature = model_.network.signature();
  const auto size = signature.sample_size;
  if (!size && job_.size == 0)
    return invalid_argument("the model has no sample_size; give the image size");
  const int64_t h = job_.size > 0 ? job_.size : (*size)[0] * factor();
  const int64_t w = job_.size > 0 ? job_.size : (*size)[1] * factor();
  return Shape{h, w,
               model_.decoder ? model_.decoder->network.signature().out_channels
                              : sample_channels(signature)};
}

// [h, w, c] of what the network denoises.
Result<Shape> SampleCall::image_shape() const {
  ITO_ASSIGN(const Shape shape, picture_shape());
  return Shape{shape[0] / factor(), shape[1] / factor(),
               sample_channels(model_.network.signature())};
}

Status SampleCall::load_controls() {
  const Signature& signature = model_.network.signature();
  const ControlFiles& control = job_.control;
  const bool fills = fills_in(signature);
  const std::string other = !control.colorize.empty()  ? "--colorize: "
                            : !control.inverse.empty() ? "--inverse: "
                                                       : "";
  if (fills && control.inpaint.empty())
    return invalid_argument(
        "{}the model in {} fills in pictures (in_channels {} for {} out_channels): give --inpaint "
        "PICTURE --mask MASK",
        other, job_.model.string(), signature.in_channels, signature.out_channels);
  if (fills && control.noise_std)
    return unsupported("--noise-std: the model in {} fills in, and its picture has no noise",
                       job_.model.string());
  if (!fills && model_.decoder && control.observes())
    return unsupported(
        "{}the model in {} works on latents and does not fill in (in_channels {} for {} "
        "out_channels)",
        control.inpaint.empty() ? other : "--inpaint: ", job_.model.string(), signature.in_channels,
        signature.out_channels);
  ITO_TRY(load_guide());
  if (!control.observes()) return {};
  ITO_ASSIGN(const Shape shape, picture_shape());
  ControlFiles files = control;
  if (fills) {
    ITO_ASSIGN(masked_, load_masked_picture(files, shape, notes()));
    for (float& value : masked_->known) value = 1 - value;
    files.inpaint.clear();
  }
  ITO_ASSIGN(control_.observation, load_observation(files, shape, notes()));
  return {};
}

// A model without classes has those of the classifier that guides it.
Status SampleCall::load_guide() {
  const GuidanceChoice& choice = job_.control.guidance;
  ITO_ASSIGN(control_.guidance, load_class_guidance(choice, model_.num_classes(), names_, notes()));
  if (control_.guidance && model_.num_classes() == 0) {
    ITO_ASSIGN(names_, read_class_names(choice.classifier));
  }
  return {};
}

// Where all images begin: at a picture, noised or as it is, or at latents.
Status SampleCall::load_initial() {
  const ControlFiles& control = job_.control;
  if (control.initial.empty() && control.latents.empty()) return {};
  if (!control.latents.empty()) {
    ITO_ASSIGN(const Shape shape, image_shape());
    ITO_ASSIGN(latents_, read_latents(control.latents, shape));
    return {};
  }
  ITO_ASSIGN(const Shape shape, picture_shape());
  ITO_ASSIGN(pixels_,
             read_padded("--init-image", control.initial, shape, notes(), control.background));
  return {};
}

// Pictures as the network sees them, which of latents a device has to say.
Status SampleCall::encode() {
  if (!masked_ && !pixels_) return {};
  ITO_ASSIGN(const Shape shape, picture_shape());
  if (masked_) {
    ITO_ASSIGN(inpainting_,
               inpainting_of(*device_, model_, shape, masked_->picture, masked_->known));
  }
  if (!pixels_) return {};
  ITO_ASSIGN(EncodedPicture picture, encode_picture(*device_, model_, shape, *pixels_));
  if (inverts(job_.options.sampler)) {
    picture.std.clear();  // its mean, so that the inversion is a function of the picture
    latents_ = Latents{.rows = 1, .values = picture.drawn(1, {})};
  } else {
    initial_ = InitialImage{.picture = std::move(picture), .strength = job_.control.strength};
  }
  return {};
}

Status SampleCall::load_context() {
  if (job_.context.empty()) return {};
  const int64_t features = model_.network.signature().context;
  if (features == 0)
    return invalid_argument("the model in {} attends to no context, --context {} was given",
                            job_.model.string(), job_.context);
  ITO_ASSIGN(context_, read_context(job_.context, features));
  if (!job_.negative_context.empty()) {
    ITO_ASSIGN(negative_, read_context(job_.negative_context, features));
  }
  return {};
}

// Of the labels: the model's, or else those of the classifier that guides it.
uint32_t SampleCall::classes() const {
  if (model_.num_classes() > 0 || !control_.guidance)
    return static_cast<uint32_t>(model_.num_classes());
  return static_cast<uint32_t>(control_.guidance->classifier.network.signature().out_channels);
}

// Image i gets the i-th seed and, where classes cycle, the class (i mod number). Without --class it
// is the seed that chooses, so that a seed means one image however a job is split.
Status SampleCall::choose_requests() {
  const uint32_t classes = this->classes();
  const std::vector<uint32_t> drawn = drawn_classes(names_, static_cast<int>(classes));
  if (classes == 0 && job_.classes != kAllClasses)
    return invalid_argument("the model in {} has no classes, --class {} was given",
                            job_.model.string(), job_.classes);
  std::vector<uint32_t> asked;
  if (job_.classes != kAllClasses) {
    ITO_ASSIGN(asked,
               classes_called(job_.classes, names_, classes, "--class", job_.model.string()));
  }
  requests_.reserve(job_.seeds.size());
  for (size_t i = 0; i < job_.seeds.size(); ++i) {
    SampleRequest request{.seed = job_.seeds[i], .label = 0};
    if (!asked.empty()) {
      request.label = asked[i % asked.size()];
    } else if (!drawn.empty()) {
      request.label = drawn[request.seed % drawn.size()];
    } else if (classes > 0) {
      request.label = request.seed % classes;
    }
    if (context_) request.context = request.seed % static_cast<uint32_t>(context_->rows);
    requests_.push_back(request);
  }
  return {};
}

Json SampleCall::inpainting_settings() const {
  if (!inpainting_) return Json::object();
  return {{"known", fingerprint(inpainting_->known.mean)},
          {"fill", fingerprint(inpainting_->fill)}};
}

// What all images have in common and depend on, besides the model.
Json SampleCall::settings() const {
  Json settings = sample_settings(job_.options);
  if (job_.size > 0) settings["size"] = job_.size;
  if (job_.options.tiled) settings["vae_tiling"] = true;
  if (process_row(model_.scheduler.process).predicts)
    settings["prediction_type"] = model_.scheduler.prediction_type;
  settings.update(control_settings(job_.control, control_));
  settings.update(inpainting_settings());
  if (initial_) settings["initial"] = fingerprint(initial_->picture.mean);
  if (latents_) settings["begins_at"] = fingerprint(latents_->values);
  if (context_) settings["context"] = fingerprint(context_->values);
  if (negative_) settings["negative_context"] = fingerprint(negative_->values);
  return settings;
}

SampleIdentity SampleCall::identity() const {
  // No paths, so that calls that spell or mount them differently write the same bytes. What files
  // said is in the settings.
  const std::string key = model_key(model_);
  return {.settings = settings(),
          .remarks = {{"model", key}},
          .model = key,
          .labelled = classes() > 0,
          .with_context = context_.has_value(),
          .class_names = has_names(names_) ? names_->names : std::vector<std::string>()};
}

Status SampleCall::open_files() {
  ITO_ASSIGN(files_, SampleFiles::open({.out = job_.out,
                                        .images = identity(),
                                        .columns = job_.columns,
                                        .name = inverts(job_.options.sampler) ? kLatents : "images",
                                        .all = !job_.classifier.empty(),  // the score needs them
                                        .inputs = inputs_of(job_)},
                                       requests_));
  if (files_->replaced() > 0)
    note(fmt::format("{} images in {} are of another model or other settings and are made anew",
                     files_->replaced(), job_.out.string()));
  return {};
}

Status SampleCall::open_farm() {
  FarmOptions options = *job_.farm;
  options.out = job_.out;
  options.threads = std::clamp<size_t>(std::thread::hardware_concurrency() / 2, 1, kMostWriters);
  // Two batches: one is written while the device draws the next.
  options.queue = std::max<size_t>(2 * static_cast<size_t>(job_.options.batch), options.threads);
  ITO_ASSIGN(farm_, SampleFarm::open(std::move(options), identity(), std::move(requests_),
                                     [this](const std::string& text) { note(text); }));
  shards_ = farm_->progress();
  all_at_start_ = shards_->all_done;
  return {};
}

// The classes of a classifier in a folder that the model's are.
Result<JudgedClasses> SampleCall::classes_in(const std::string& folder,
                                             const Component& classifier) const {
  ITO_ASSIGN(const std::optional<ClassNames> names, read_class_names(folder));
  ITO_ASSIGN(
      JudgedClasses judged,
      judged_classes(names_, classes(), names,
                     static_cast<uint32_t>(classifier.network.signature().out_channels), folder));
  if (!judged.note.empty()) note("note: " + judged.note);
  return judged;
}

Status SampleCall::prepare() {
  ITO_TRY(load_controls());
  ITO_TRY(load_initial());
  ITO_TRY(load_context());
  ITO_TRY(choose_requests());
  if (!job_.classifier.empty()) {
    if (classes() == 0) return invalid_argument("--classifier needs a model with classes");
    ITO_ASSIGN(classifier_, load_classifier(job_.classifier));
    ITO_ASSIGN(judged_, classes_in(job_.classifier, *classifier_));
  }
  // Which images are there already depends on what pictures become, which the device says.
  const bool encoded = masked_ || pixels_;
  if (!encoded) ITO_TRY(open_out());
  ITO_ASSIGN(device_, open_device_());
  ITO_TRY(encode());
  return encoded ? open_out() : Status{};
}

Status SampleCall::open_out() { return job_.farm ? open_farm() : open_files(); }

// The job's options with what was read.
Result<SampleOptions> SampleCall::session_options() const {
  SampleOptions options = job_.options;
  if (control_.guidance || control_.observation) options.control = &control_;
  options.inpainting = inpainting_;
  options.initial = initial_;
  if (context_) options.context = &*context_;
  if (negative_) options.negative_context = &*negative_;
  if (job_.size % factor() != 0)
    return invalid_argument("--size is {}, expected a multiple of {} for this model's latents",
                            job_.size, factor());
  options.height = options.width = static_cast<int>(job_.size / factor());
  return options;
}

Status SampleCall::score(std::span<const SampleRequest> batch, const std::vector<float>& images) {
  std::vector<uint32_t> labels;
  for (const SampleRequest& request : batch)
    labels.push_back(request.label < judged_.numbers.size() ? judged_.numbers[request.label]
                                                            : request.label);
  ITO_ASSIGN(const int64_t count, scorer_->count_recognised(images, labels));
  recognised_ += count;
  return {};
}

Result<std::vector<SampleRequest>> SampleCall::next(size_t most) {
  if (farm_) return farm_->next(most);
  const size_t first = next_;
  next_ = std::min(first + most, last_);
  return std::vector<SampleRequest>(requests_.begin() + static_cast<ptrdiff_t>(first),
                                    requests_.begin() + static_cast<ptrdiff_t>(next_));
}

Status SampleCall::add(std::span<const SampleRequest> part, std::vector<float> images,
                       const Shape& shape) {
  if (scorer_) ITO_TRY(score(part, images));
  if (!farm_ && collects() && !job_.ranks.first()) {
    drawn_.insert(drawn_.end(), images.begin(), images.end());
    return {};
  }
  return farm_ ? farm_->add(std::move(images), shape) : files_->add(part, images, shape);
}

// The other shards' manifests are read every so often only: they may lie far away.
void SampleCall::look_at_shards() {
  if (!farm_ || seconds_since(looked_) < kSecondsBetweenLooks) return;
  shards_ = farm_->progress();
  looked_ = Clock::now();
}

// steps_in_all is 0 where nobody knows.
void SampleCall::report(size_t done, double steps, double steps_in_all) {
  if (!observer_.progress) return;
  look_at_shards();
  SampleProgress progress{.done = done, .images = images_, .steps = steps, .farm = shards_};
  if (steps_in_all > 0) {
    const double seconds = seconds_since(start_);
    progress.images_per_second = static_cast<double>(images_) * steps / (steps_in_all * seconds);
    progress.seconds_left = seconds * (steps_in_all / steps - 1);
  }
  if (shards_) std::tie(progress.all_images_per_second, progress.all_seconds_left) = rate_of_all();
  observer_.progress(progress);
}

// Images a second of all shards since this one was begun, and the seconds that the rest will take.
std::pair<std::optional<double>, std::optional<double>> SampleCall::rate_of_all() const {
  const double seconds = std::chrono::duration<double>(looked_ - start_).count();
  if (shards_->all_done <= all_at_start_ || seconds <= 0) return {};
  const double rate = static_cast<double>(shards_->all_done - all_at_start_) / seconds;
  return {rate, static_cast<double>(shards_->all_images - shards_->all_done) / rate};
}

Result<SampleSummary> SampleCall::draw() {
  SampleSummary summary{.skipped = farm_ ? 0 : files_->skipped()};
  if (classifier_) summary.recognised = 0;
  if (files_) std::tie(next_, last_) = job_.ranks.share_of(requests_.size());
  images_ = remaining();
  ITO_ASSIGN(std::vector<SampleRequest> part, next(static_cast<size_t>(job_.options.batch)));
  ITO_TRY(job_.ranks.agree(part.empty() ? Status() : open_session()));
  if (!part.empty()) ITO_TRY(draw_from(std::move(part), summary));
  if (farm_) ITO_TRY(farm_->finish());
  ITO_TRY(join_summaries(job_.ranks, summary));
  if (!farm_) {
    ITO_TRY(finish_files(summary));
    return summary;
  }
  looked_ = {};
  look_at_shards();
  summary.skipped = farm_->found();
  summary.farm = shards_;
  std::tie(summary.all_images_per_second, summary.all_seconds_left) = rate_of_all();
  return summary;
}

Status SampleCall::open_session() {
  ITO_ASSIGN(const SampleOptions options, session_options());
  ITO_ASSIGN(session_, SamplingSession::create(*device_, model_, options));
  if (files_) ITO_TRY(previews_.prepare(*session_, *files_));
  if (classifier_) {
    ITO_ASSIGN(scorer_, Scorer::create(*device_, *classifier_, session_->shape(session_->batch())));
  }
  return {};
}

Status SampleCall::draw_from(std::vector<SampleRequest> part, SampleSummary& summary) {
  start_ = looked_ = Clock::now();
  const size_t batch = static_cast<size_t>(session_->batch());
  const double steps_in_all = static_cast<double>(ceil_div(images_, batch)) * session_->steps();
  double steps = 0, busy = 0;
  while (!part.empty() && !stopped()) {
    const auto after_step = [&] {
      report(summary.images, ++steps, steps_in_all);
      return true;
    };
    const Clock::time_point begun = Clock::now();
    ITO_ASSIGN(std::vector<float> images,
               latents_ ? session_->sample_from(latents_->of(part), part, after_step)
                        : session_->sample(part, after_step));
    busy += seconds_since(begun);
    ITO_TRY(previews_.status());
    const Shape shape = session_->shape(static_cast<int64_t>(part.size()));
    drawn_shape_ = session_->shape(1);
    ITO_TRY(add(part, std::move(images), shape));
    summary.images += part.size();
    ITO_ASSIGN(part, next(batch));
  }
  summary.stopped = !part.empty();
  summary.seconds = seconds_since(start_);
  summary.idle = summary.seconds > 0 ? std::max(0.0, 1 - busy / summary.seconds) : 0;
  if (classifier_) summary.recognised = recognised_;
  return {};
}

// Writes the file of all, of which other ranks have drawn their shares.
Status SampleCall::finish_files(const SampleSummary& summary) {
  const Ranks& ranks = job_.ranks;
  if (summary.stopped || requests_.empty()) return {};
  if (collects()) {
    ITO_ASSIGN(const std::vector<float> others, ranks.gather_items(std::move(drawn_)));
    if (ranks.first() && !others.empty()) {
      const auto rest = std::span<const SampleRequest>(requests_).subspan(last_);
      Shape shape = drawn_shape_;
      shape[0] = static_cast<int64_t>(rest.size());
      ITO_TRY(files_->add(rest, others, shape));
    }
  }
  return ranks.first() ? files_->finish(drawn_shape_) : Status{};
}

}  // namespace

Result<SampleSummary> run_sample_job(const DeviceOpener& open_device, const Model& model,
                                     const SampleJob& job, const SampleObserver& observer) {
  SampleCall run(open_device, model, job, observer);
  // All have seen what is there before any writes.
  ITO_TRY(job.ranks.agree(run.prepare()));
  return run.draw();
}

}  // namespace ito
