#include "api/evaluation_run.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "api/drawn_images.h"
#include "api/fingerprint.h"
#include "api/likelihood.h"
#include "api/measuring.h"
#include "api/run_data.h"
#include "base/error.h"
#include "io/class_names.h"
#include "io/diffusers.h"
#include "io/network_file.h"

namespace ito {
namespace {

// A sampler that a model does not take is a row too, not the end of the table.
Result<Json> refused_row(const Error& error, const Json& key) {
  if (error.kind != ErrorKind::kInvalidArgument && error.kind != ErrorKind::kUnsupported &&
      error.kind != ErrorKind::kDiverged)
    return error;
  return Json{{"key", key}, {"refused", error.message}};
}

class Evaluation {
 public:
  Evaluation(const DeviceOpener& open_device, const EvaluationJob& job,
             const EvaluationObserver& observer)
      : open_device_(open_device), job_(job), observer_(observer), table_(job.out) {}

  Result<EvaluationResult> run();

 private:
  Status open();
  Status read();
  Status read_judges();
  Status evaluate(const std::string& name, const Model& model,
                  const std::optional<ClassNames>& names);
  // On the first rank; else numbers of no meaning.
  Result<Json> likelihood(const std::string& name, const Model& model, const Json& identity);
  // Of this rank's share of the images.
  Result<std::vector<ImageLikelihood>> own_likelihoods(const std::string& name, const Model& model);
  Status evaluate(const std::string& name, const Model& model,
                  const std::optional<ClassNames>& names, const EvaluatedSampler& sampler,
                  const std::string& weights);
  // The sampler's options for the model; the classifier that guides goes into `control`.
  Result<SampleOptions> options_of(const EvaluatedSampler& sampler, const std::string& name,
                                   const Model& model, const std::optional<ClassNames>& names,
                                   SampleControl& control) const;
  // What the row's numbers depend on besides the sampler.
  Json key_of(const std::string& weights) const;
  Result<Json> score(const std::string& name, const Model& model, const ClassNames* names,
                     const std::string& sampler, const SampleOptions& options, const Json& key);
  // The variant asked for, where a judge's folder has it.
  Result<std::string> variant_in(const Path& folder) const;
  std::string preface() const;
  // Whose features sets are compared by.
  const Component& judge() const { return features_ ? *features_ : *classifier_; }
  const Path& features_folder() const {
    return job_.features.empty() ? job_.classifier : job_.features;
  }
  void progress(const std::string& text) const {
    if (observer_.progress) observer_.progress(text);
  }
  void note(const std::string& text) const {
    if (observer_.note) observer_.note(text);
  }
  const Ranks& ranks() const { return job_.judging.ranks; }
  // Of the ranks: the one that keeps the table.
  bool first() const { return ranks().first(); }
  bool goes_on() const { return !observer_.stop || !observer_.stop(); }

  const DeviceOpener& open_device_;
  vk::Device* device_ = nullptr;
  const EvaluationJob& job_;
  const EvaluationObserver& observer_;
  EvaluationTable table_;
  ImageDataset train_, test_;
  std::optional<Component> classifier_, features_;
  JudgedClasses judged_;  // the classifier's classes of the model's under way
  // Its classes that images are drawn of, where some stand for none or had no images.
  std::vector<uint32_t> drawn_;
  std::unique_ptr<Evaluator> evaluator_;
  Json known_likelihood_;  // "model identity" → numbers, of this call
};

std::string Evaluation::preface() const {
  const std::string kind = kind_of_images(test_);
  return fmt::format(
      "Distances, precision and recall are between what the classifier in {} sees in samples (its "
      "last block, averaged over pixels: {} numbers) and in {}; ± is a "
      "standard error over {} blocks of seeds. Samples have seeds from 0 on, class = seed modulo "
      "classes. They were computed on {}.{} Images drawn from N are the first of torch.randperm(N) "
      "of seed 0.\n",
      features_folder().string(), evaluator_->features(),
      drawn_text(test_.count, evaluator_->reference_images(), kind), job_.judging.blocks,
      device_->info().name,
      job_.likelihoods > 0
          ? fmt::format(" Bits per dimension are of {}, integrated to {}.",
                        drawn_text(test_.count, job_.likelihoods, kind), job_.tolerance)
          : "");
}

Result<Json> Evaluation::likelihood(const std::string& name, const Model& model,
                                    const Json& identity) {
  std::vector<ImageLikelihood> items;
  const auto measure = [&]() -> Status {
    ITO_ASSIGN(items, own_likelihoods(name, model));
    return {};
  };
  ITO_TRY(ranks().agree(measure()));
  ITO_ASSIGN(items, ranks().gather_items(std::move(items)));
  const LikelihoodSummary summary = summarise(items);
  return Json{{"identity", identity},
              {"bits_per_dim", summary.mean},
              {"bits_error", summary.standard_error},
              {"likelihood_images", items.size()}};
}

Result<std::vector<ImageLikelihood>> Evaluation::own_likelihoods(const std::string& name,
                                                                 const Model& model) {
  ITO_ASSIGN(const ModelFlow flow, model_flow(model));
  LikelihoodSettings settings;
  settings.batch = std::min(job_.judging.batch, job_.likelihoods);
  settings.ode = {job_.tolerance, job_.tolerance};
  ITO_ASSIGN(auto session, LikelihoodMeter::create(*device_, flow, settings));
  ITO_ASSIGN(const ImageDataset data,
             pad_to(test_, static_cast<int>(flow.image[0]), static_cast<int>(flow.image[1]), 0));
  const std::vector<int64_t> images = drawn_images(data.count, job_.likelihoods);
  const auto [begin, end] = ranks().share_of(images.size(), static_cast<size_t>(settings.batch));
  const std::string share = ranks().several() ? fmt::format(" (rank 0 of {})", ranks().size()) : "";
  const MeasuringObserver observer{.progress =
                                       [&](const MeasuringProgress& now) {
                                         progress(fmt::format("likelihood of {}: {} of {} images{}",
                                                              name, now.done, now.count, share));
                                       },
                                   .stop = [&] { return !goes_on(); }};
  ITO_ASSIGN(
      Measured<ImageLikelihood> measured,
      measure_images(*session, data, std::span(images).subspan(begin, end - begin), observer));
  if (measured.stopped) return interrupted("the evaluation was stopped");
  return std::move(measured.items);
}

Result<Json> Evaluation::score(const std::string& name, const Model& model, const ClassNames* names,
                               const std::string& sampler, const SampleOptions& options,
                               const Json& key) {
  const auto after = [&](int64_t done) {
    progress(fmt::format("{} by {}: {} of {} images", name, sampler, done, job_.samples));
    return goes_on();
  };
  const Result<SampleScore> scored =
      evaluator_->score(model, options, job_.samples, after, judged_.numbers, drawn_);
  if (!scored.ok()) return refused_row(scored.error(), key);
  Json row = row_of(*scored, names);
  row["key"] = key;
  return row;
}

Status Evaluation::evaluate(const std::string& name, const Model& model,
                            const std::optional<ClassNames>& names) {
  const std::string weights = fingerprint(model.weights);
  judged_ = {};
  drawn_ = drawn_classes(names, model.num_classes());
  if (drawn_.size() == static_cast<size_t>(model.num_classes())) drawn_.clear();
  if (classifier_ && model.num_classes() > 0) {
    ITO_ASSIGN(const std::optional<ClassNames> judge_names, read_class_names(job_.classifier));
    ITO_ASSIGN(judged_,
               judged_classes(names, static_cast<uint32_t>(model.num_classes()), judge_names,
                              static_cast<uint32_t>(classifier_->network.signature().out_channels),
                              job_.classifier.string()));
    if (!judged_.note.empty()) note("note: " + judged_.note);
  }
  for (const EvaluatedSampler& sampler : job_.samplers)
    ITO_TRY(evaluate(name, model, names, sampler, weights));
  return {};
}

Result<SampleOptions> Evaluation::options_of(const EvaluatedSampler& sampler,
                                             const std::string& name, const Model& model,
                                             const std::optional<ClassNames>& names,
                                             SampleControl& control) const {
  if (!sampler.guidance.classifier.empty() && model.num_classes() == 0)
    return unsupported("--guidance-classifier guides to a model's classes, {} has none", name);
  ITO_ASSIGN(SampleOptions options, with_guidance(sampler.options, sampler.guidance,
                                                  model.network.signature(), names, name));
  ITO_ASSIGN(control.guidance,
             load_class_guidance(sampler.guidance, model.num_classes(), names,
                                 [this](const std::string& text) { note("note: " + text); }));
  if (control.guidance) options.control = &control;
  return resolved(options, model.network, model.scheduler);
}

Json Evaluation::key_of(const std::string& weights) const {
  Json key = {{"weights", weights},
              {"samples", job_.samples},
              {"reference", evaluator_->reference_images()},
              {"likelihood", job_.likelihoods},
              {"tolerance", job_.tolerance}};
  // Older tables took the first of the images wherever fewer were wanted.
  if (test_.count > std::min(job_.samples, job_.reference) ||
      (job_.likelihoods > 0 && test_.count > job_.likelihoods))
    key["drawn"] = "randperm";
  // Older tables have no such member; their features were the classifier's.
  if (!job_.features.empty()) key["features"] = fingerprint(features_->weights);
  if (judged_.moved) key["judged"] = judged_.numbers;
  if (!drawn_.empty()) key["classes"] = drawn_;
  if (job_.judging.blocks != EvaluatorOptions().blocks) key["blocks"] = job_.judging.blocks;
  return key;
}

Status Evaluation::evaluate(const std::string& name, const Model& model,
                            const std::optional<ClassNames>& names, const EvaluatedSampler& sampler,
                            const std::string& weights) {
  Json key = key_of(weights), row;
  SampleControl control;
  const Result<SampleOptions> options = options_of(sampler, name, model, names, control);
  if (options.ok()) {
    key["settings"] = sample_settings(*options);
    key["settings"].update(guidance_settings(control.guidance));
  } else {
    key["settings"] = sampler.name;
    ITO_ASSIGN(row, refused_row(options.error(), key));
  }
  const Json* known = table_.find(key);
  ITO_ASSIGN(const bool is_known, ranks().any(first() && known != nullptr));
  if (is_known) {
    if (first()) row = *known;
  } else if (options.ok()) {
    ITO_ASSIGN(row, score(name, model, names ? &*names : nullptr, sampler.name, *options, key));
    if (job_.likelihoods > 0 && !row.contains("refused")) {
      if (known_likelihood_.is_null() || known_likelihood_["identity"] != weights) {
        ITO_ASSIGN(known_likelihood_, likelihood(name, model, weights));
      }
      for (const char* number : {"bits_per_dim", "bits_error", "likelihood_images"})
        row[number] = known_likelihood_[number];
    }
  }
  row["model"] = name;
  row["sampler"] = sampler.name;
  if (first()) ITO_TRY(table_.add(std::move(row), preface()));
  note(fmt::format("{} by {} is done", name, sampler.name));
  return {};
}

Result<std::string> Evaluation::variant_in(const Path& folder) const {
  if (job_.variant.empty()) return std::string();
  ITO_ASSIGN(const Path network, denoiser_folder(folder));
  ITO_ASSIGN(const std::vector<std::string> variants, weight_variants(network));
  if (std::find(variants.begin(), variants.end(), job_.variant) != variants.end())
    return job_.variant;
  note(fmt::format("note: {} has no weights of the variant {}; its plain ones are read",
                   folder.string(), job_.variant));
  return std::string();
}

Status Evaluation::read_judges() {
  if (!job_.classifier.empty()) {
    ITO_ASSIGN(const std::string variant, variant_in(job_.classifier));
    ITO_ASSIGN(classifier_, load_classifier(job_.classifier, variant));
  }
  if (!job_.features.empty()) {
    ITO_ASSIGN(const std::string variant, variant_in(job_.features));
    ITO_ASSIGN(Model model, load_model(job_.features, variant));
    for (const std::string& text : model.notes) note("note: " + text);
    features_ = std::move(model);
  }
  return {};
}

// Whatever the job names, so that what cannot be read is said before anything is computed. Models
// are read again when their turn comes: not all of them may have room together.
Status Evaluation::read() {
  ITO_TRY(table_.load());
  ITO_TRY(read_judges());
  if (job_.held_out.empty()) {
    const DatasetOptions options = as_network_takes(job_.dataset, judge().network);
    ITO_ASSIGN(train_, open_dataset(job_.data, Split::kTrain, options));
    ITO_ASSIGN(test_, open_dataset(job_.data, Split::kTest, options));
  } else {
    ITO_ASSIGN(test_, open_held_out(job_.held_out, job_.data, job_.dataset.reading, &train_));
  }
  for (const ImageDataset* data : {&train_, &test_}) {
    note(describe(*data, kind_of_images(*data)));
    for (const std::string& text : data->facts.notes) note("note: " + text);
  }
  if (test_.facts.part == "all")
    note("note: the data have no test part; samples are compared with all images");
  for (const auto& [name, folder] : job_.models) {
    ITO_TRY(load_scheduled_model(folder, job_.variant));
    ITO_TRY(read_class_names(folder));
  }
  return {};
}

Status Evaluation::open() {
  ITO_TRY(read());
  ITO_ASSIGN(device_, open_device_());
  ITO_ASSIGN(evaluator_, Evaluator::create(*device_, judge(), features_folder().string(),
                                           classifier_ ? &*classifier_ : nullptr, job_.judging));
  return {};
}

Result<EvaluationResult> Evaluation::run() {
  // All have read what is there before the first writes.
  ITO_TRY(job_.judging.ranks.agree(open()));
  ITO_TRY(evaluator_->set_reference(test_, job_.reference));
  ITO_ASSIGN(const SetScore real, evaluator_->score_of(train_, job_.samples));
  Json row = row_of(real);
  row.update({{"model", "training images"},
              {"sampler", "–"},
              {"key", {{"training images", real.images}}}});
  if (first()) ITO_TRY(table_.add(std::move(row), preface()));
  for (const auto& [name, folder] : job_.models) {
    ITO_ASSIGN(const Model model, load_scheduled_model(folder, job_.variant));
    for (const std::string& text : model.notes) note("note: " + text);
    ITO_ASSIGN(const std::optional<ClassNames> names, read_class_names(folder));
    ITO_TRY(evaluate(name, model, names));
  }
  return EvaluationResult{.rows = table_.rows(), .text = table_.text(preface())};
}

}  // namespace

Result<EvaluationResult> run_evaluation(const DeviceOpener& open_device, const EvaluationJob& job,
                                        const EvaluationObserver& observer) {
  return Evaluation(open_device, job, observer).run();
}

}  // namespace ito
