// ito evaluate: a table of models and samplers with the numbers that judge them, written as
// Markdown and, beside it, as JSON, from which an interrupted or extended table goes on.
#include <fmt/format.h>

#include <algorithm>

#include "api/evaluation_table.h"
#include "api/likelihood.h"
#include "apps/command.h"
#include "apps/data_options.h"
#include "apps/open_model.h"
#include "apps/sampler_options.h"
#include "base/error.h"
#include "base/hash.h"
#include "io/json.h"

namespace ito::apps {
namespace {

struct EvaluateCommand {
  CLI::App* app = nullptr;
  DeviceChoice device;
  DataOptions data_options;
  DatasetOptions dataset;  // what they say
  std::vector<std::string> models, samplers;
  std::vector<int> steps;
  std::string classifier, features, data, out;
  int64_t num = 1000, reference = 10'000, likelihood = 0;
  EvaluatorOptions judging;
  double tolerance = 1e-4;  // of the likelihoods
  bool json = false;
  // Of check():
  std::vector<std::pair<std::string, std::string>> named;  // name, folder
  std::vector<SampleOptions> options;                      // of each of `samplers`
};

constexpr const char* kAllSamplers = "all";

// --sampler as rows of the table: "all" is every sampler that draws images, and each of --steps is
// a row of its own where the sampler has steps.
Result<std::vector<std::string>> sampler_rows_of(const EvaluateCommand& c) {
  std::vector<std::string> rows;
  for (const std::string& text : c.samplers) {
    std::vector<std::string> texts = {text};
    if (text == kAllSamplers) {
      texts = sampler_names();
      std::erase_if(texts, [](const std::string& name) { return inverts(name); });
    }
    for (const std::string& one : texts) {
      ITO_ASSIGN(const SampleOptions options, parse_sampler(one));
      if (c.steps.empty() || !sampler_uses(options, "steps")) {
        rows.push_back(one);
        continue;
      }
      for (const int steps : c.steps) rows.push_back(fmt::format("{} --steps {}", one, steps));
    }
  }
  return rows;
}

Status check(EvaluateCommand& c) {
  ITO_ASSIGN(c.dataset, dataset_options(c.data_options, *c.app));
  for (const std::string& text : c.models) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
      return invalid_argument("--model is \"{}\", expected NAME=FOLDER", text);
    c.named.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  if (c.classifier.empty() && c.features.empty())
    return invalid_argument("give --classifier, --features or both");
  ITO_ASSIGN(c.samplers, sampler_rows_of(c));
  for (const std::string& text : c.samplers) {
    ITO_ASSIGN(SampleOptions options, parse_sampler(text));
    c.options.push_back(std::move(options));
  }
  return check_ode_options({c.tolerance, c.tolerance});
}

std::string weights_of(const Component& component) {
  return fmt::format("{:016x}", hash_bytes({reinterpret_cast<const char*>(component.weights.data()),
                                            component.weights.size() * sizeof(float)}));
}

class Evaluation {
 public:
  Evaluation(const EvaluateCommand& command, vk::Device& device)
      : c_(command), device_(device), table_(command.out) {}

  Status run();

 private:
  Status evaluate(const std::string& name, const Model& model, const ClassNames* names);
  Result<Json> likelihood(const std::string& name, const Model& model, const Json& identity);
  Result<Json> score(const std::string& name, const Model& model, const ClassNames* names,
                     const std::string& sampler, const SampleOptions& options, const Json& key);
  std::string preface() const;
  const std::string& features_folder() const {
    return c_.features.empty() ? c_.classifier : c_.features;
  }

  const EvaluateCommand& c_;
  vk::Device& device_;
  EvaluationTable table_;
  ImageDataset train_, test_;
  std::optional<Component> classifier_, features_;
  std::unique_ptr<Evaluator> evaluator_;
  ProgressLine line_;
  Json known_likelihood_;  // "model identity" → numbers, of this call
};

std::string Evaluation::preface() const {
  return fmt::format(
      "<!-- written by `ito evaluate`; do not edit -->\n"
      "Distances, precision and recall are between what the classifier in {} sees in samples (its "
      "last block, averaged over pixels: {} numbers) and in the first {} test images; ± is a "
      "standard error over {} blocks of seeds. Samples have seeds from 0 on, class = seed modulo "
      "classes. They were computed on {}.{}\n",
      features_folder(), evaluator_->features(), evaluator_->reference_images(), c_.judging.blocks,
      device_.info().name,
      c_.likelihood > 0
          ? fmt::format(" Bits per dimension are of the first test images, integrated to {}.",
                        c_.tolerance)
          : "");
}

Result<Json> Evaluation::likelihood(const std::string& name, const Model& model,
                                    const Json& identity) {
  ITO_ASSIGN(const ModelFlow flow, model_flow(model));
  LikelihoodSettings settings;
  settings.batch = std::min(c_.judging.batch, c_.likelihood);
  settings.ode = {c_.tolerance, c_.tolerance};
  ITO_ASSIGN(auto session, LikelihoodMeter::create(device_, flow, settings));
  ImageDataset data = test_;
  const int size = static_cast<int>(flow.image[0]);
  if (data.h < size || data.w < size) {
    ITO_ASSIGN(data, pad_to(data, size, 0));
  }
  std::vector<ImageLikelihood> images;
  const int64_t count = std::min(c_.likelihood, data.count);
  for (int64_t first = 0; first < count; first += settings.batch) {
    std::vector<int64_t> indices;
    for (int64_t i = first; i < std::min(first + settings.batch, count); ++i) indices.push_back(i);
    const auto after = [&] {
      line_.update(fmt::format("likelihood of {}: {} of {} images", name, first, count));
      return !stop_requested();
    };
    ITO_ASSIGN(const std::vector<ImageLikelihood> part, session->measure(data, indices, after));
    images.insert(images.end(), part.begin(), part.end());
  }
  const LikelihoodSummary summary = summarise(images);
  return Json{{"identity", identity},
              {"bits_per_dim", summary.mean},
              {"bits_error", summary.standard_error},
              {"likelihood_images", images.size()}};
}

Result<Json> Evaluation::score(const std::string& name, const Model& model, const ClassNames* names,
                               const std::string& sampler, const SampleOptions& options,
                               const Json& key) {
  const auto after = [&](int64_t done) {
    line_.update(fmt::format("{} by {}: {} of {} images", name, sampler, done, c_.num));
    return !stop_requested();
  };
  const Result<SampleScore> scored = evaluator_->score(model, options, c_.num, after);
  if (!scored.ok()) {
    // A sampler that this model does not take is a row too, not the end of the table.
    const ErrorKind kind = scored.error().kind;
    if (kind != ErrorKind::kInvalidArgument && kind != ErrorKind::kUnsupported &&
        kind != ErrorKind::kDiverged)
      return scored.error();
    return Json{{"key", key}, {"refused", scored.error().message}};
  }
  Json row = row_of(*scored, names);
  row["key"] = key;
  return row;
}

Status Evaluation::evaluate(const std::string& name, const Model& model, const ClassNames* names) {
  const std::string weights = weights_of(model);
  for (size_t i = 0; i < c_.options.size(); ++i) {
    const SampleOptions options = resolved(c_.options[i], model.network, model.scheduler);
    Json key = {{"weights", weights},          {"settings", sample_settings(options)},
                {"samples", c_.num},           {"reference", evaluator_->reference_images()},
                {"likelihood", c_.likelihood}, {"tolerance", c_.tolerance}};
    // Older tables have no such member; their features were the classifier's.
    if (!c_.features.empty()) key["features"] = weights_of(*features_);
    Json row;
    if (const Json* known = table_.find(key)) {
      row = *known;
    } else {
      ITO_ASSIGN(row, score(name, model, names, c_.samplers[i], options, key));
      if (c_.likelihood > 0 && !row.contains("refused")) {
        if (known_likelihood_.is_null() || known_likelihood_["identity"] != weights) {
          ITO_ASSIGN(known_likelihood_, likelihood(name, model, weights));
        }
        for (const char* number : {"bits_per_dim", "bits_error", "likelihood_images"})
          row[number] = known_likelihood_[number];
      }
    }
    row["model"] = name;
    row["sampler"] = c_.samplers[i];
    ITO_TRY(table_.add(std::move(row), preface()));
    line_.note(fmt::format("{} by {} is done", name, c_.samplers[i]));
  }
  return {};
}

Status Evaluation::run() {
  ITO_TRY(table_.load());
  ITO_ASSIGN(train_, open_dataset(c_.data, Split::kTrain, c_.dataset));
  ITO_ASSIGN(test_, open_dataset(c_.data, Split::kTest, c_.dataset));
  for (const ImageDataset* data : {&train_, &test_}) {
    line_.note(describe(*data, kind_of_images(*data)));
    for (const std::string& text : data->facts.notes) line_.note("note: " + text);
  }
  if (test_.facts.part == "all")
    line_.note("note: the data have no test part; samples are compared with all images");
  if (!c_.classifier.empty()) {
    ITO_ASSIGN(classifier_, load_classifier(c_.classifier));
  }
  if (!c_.features.empty()) {
    ITO_ASSIGN(features_, open_model(c_.features));
  }
  ITO_ASSIGN(evaluator_,
             Evaluator::create(device_, features_ ? *features_ : *classifier_, features_folder(),
                               classifier_ ? &*classifier_ : nullptr, c_.judging));
  ITO_TRY(evaluator_->set_reference(test_, c_.reference));
  ITO_ASSIGN(const SetScore real, evaluator_->score_of(train_, c_.num));
  Json row = row_of(real);
  row.update({{"model", "training images"},
              {"sampler", "–"},
              {"key", {{"training images", real.images}}}});
  ITO_TRY(table_.add(std::move(row), preface()));
  for (const auto& [name, folder] : c_.named) {
    ITO_ASSIGN(const Model model, open_scheduled_model(folder));
    ITO_ASSIGN(const std::optional<ClassNames> names, read_class_names(folder));
    ITO_TRY(evaluate(name, model, names ? &*names : nullptr));
  }
  line_.finish();
  fmt::print("{}", c_.json ? dump_json(table_.rows()) : table_.text(preface()));
  return {};
}

Status run(const EvaluateCommand& c) {
  ITO_ASSIGN(auto device,
             open_and_announce(c.device, fmt::format("evaluating {} models with {} "
                                                     "samplers each,",
                                                     c.models.size(), c.samplers.size())));
  Evaluation evaluation(c, *device);
  return evaluation.run();
}

}  // namespace

Command add_evaluate_command(CLI::App& root) {
  auto c = std::make_shared<EvaluateCommand>();
  CLI::App* app = root.add_subcommand(
      "evaluate", "A table of models and samplers: Fréchet distance, recognised share, bits/dim");
  c->app = app;
  add_data_options(*app, c->data_options);
  app->add_option("--model", c->models, "NAME=FOLDER of a model; may be repeated")->required();
  app->add_option("--sampler", c->samplers,
                  "a sampler with its options as of `ito sample`, as one word: \"pc --steps 200\"; "
                  "may be repeated: every model is sampled by each; \"all\" is every sampler")
      ->required();
  app->add_option("--steps", c->steps, "numbers of steps, each a row of every sampler: 10,20,50")
      ->delimiter(',')
      ->check(at_least(1));
  app->add_option("--classifier", c->classifier,
                  "folder of an `ito train --classifier`: counts the samples that it recognises as "
                  "their class, and sees the features that sets are compared by");
  app->add_option("--features", c->features,
                  "folder of another network whose features sets are compared by");
  app->add_option("--data", c->data, "data set of the real images, as for `ito train`")->required();
  app->add_option(
         "--out", c->out,
         "FILE.md to write; FILE.json beside it holds the numbers, and rows that are there "
         "already for the same weights and settings are not computed again")
      ->required();
  app->add_option("--num", c->num, "samples per row")->check(at_least(2))->capture_default_str();
  app->add_option("--reference", c->reference, "test images that samples are compared with")
      ->check(at_least(2))
      ->capture_default_str();
  app->add_option("--likelihood", c->likelihood,
                  "test images whose bits/dim are measured per model; 0: none")
      ->check(at_least(0))
      ->capture_default_str();
  app->add_option("--batch", c->judging.batch, "images computed together; changes no image")
      ->check(CLI::Range(int64_t{1}, int64_t{65536}))
      ->capture_default_str();
  app->add_option("--blocks", c->judging.blocks,
                  "blocks of seeds over which the standard errors are taken")
      ->check(CLI::Range(int64_t{2}, int64_t{1000}))
      ->capture_default_str();
  app->add_option("--likelihood-tolerance", c->tolerance,
                  "relative and absolute tolerance of the likelihoods' integration")
      ->check(positive_number())
      ->capture_default_str();
  add_device_option(*app, c->device);
  app->add_flag("--json", c->json, "print the rows as JSON");
  return {app, [c] { return check(*c); }, [c] { return run(*c); }};
}

}  // namespace ito::apps
