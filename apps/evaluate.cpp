// ito evaluate: a table of models and samplers with the numbers that judge them, written as
// Markdown and, beside it, as JSON, from which an interrupted or extended table goes on.
#include <fmt/format.h>

#include <algorithm>

#include "api/evaluation.h"
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
  std::string classifier, data, out;
  int64_t num = 1000, reference = 10'000, likelihood = 0, batch = 50;
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
  ITO_ASSIGN(c.samplers, sampler_rows_of(c));
  for (const std::string& text : c.samplers) {
    ITO_ASSIGN(SampleOptions options, parse_sampler(text));
    c.options.push_back(std::move(options));
  }
  return check_ode_options({c.tolerance, c.tolerance});
}

// The JSON beside the table. A row is known by what its numbers depend on, its "key".
class Table {
 public:
  explicit Table(const Path& markdown) : markdown_(markdown), json_(markdown) {
    json_.replace_extension(".json");
  }

  Status load() {
    if (!file_exists(json_)) return {};
    ITO_ASSIGN(const Json json, read_json(json_));
    if (!json.is_object() || !json.contains("rows") || !json["rows"].is_array())
      return corrupt("{}: not a table of `ito evaluate`", json_.string());
    for (const Json& row : json["rows"]) {
      if (!row.is_object() || !row.contains("key"))
        return corrupt("{}: a row without a key", json_.string());
      old_.push_back(row);
    }
    return {};
  }

  // The row of this key from an earlier call, or null.
  const Json* find(const Json& key) const {
    for (const Json& row : old_)
      if (row["key"] == key) return &row;
    return nullptr;
  }

  // Both files are written after every row, so that a stop loses none.
  Status add(Json row, const std::string& preface) {
    rows_.push_back(std::move(row));
    Json all = Json::array();
    for (const Json& done : rows_) all.push_back(done);
    for (const Json& old : old_)
      if (std::none_of(rows_.begin(), rows_.end(),
                       [&](const Json& done) { return done["key"] == old["key"]; }))
        all.push_back(old);
    const Path folder = markdown_.parent_path();
    if (!folder.empty()) ITO_TRY(make_folders(folder));
    ITO_TRY(write_file_atomic(json_, dump_json({{"rows", all}})));
    return write_file_atomic(markdown_, text(preface));
  }

  std::string text(const std::string& preface) const;
  Json rows() const { return rows_; }  // of this call

 private:
  Path markdown_, json_;
  std::vector<Json> old_, rows_;
};

std::string number(const Json& row, const char* name, const char* form) {
  return row.contains(name) && row[name].is_number()
             ? fmt::format(fmt::runtime(form), row[name].get<double>())
             : "–";
}

std::string Table::text(const std::string& preface) const {
  std::string text = preface +
                     "\n| model | sampler | Fréchet distance | recognised % | samples | seconds | "
                     "bits/dim | standard error | images |\n"
                     "|---|---|---|---|---|---|---|---|---|\n";
  for (const Json& row : rows_) {
    if (row.contains("refused")) continue;
    text += fmt::format(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} |\n", row["model"].get<std::string>(),
        row["sampler"].get<std::string>(), number(row, "frechet", "{:.3f}"),
        number(row, "recognised_percent", "{:.1f}"), number(row, "samples", "{:.0f}"),
        number(row, "seconds", "{:.0f}"), number(row, "bits_per_dim", "{:.3f}"),
        number(row, "bits_error", "{:.3f}"), number(row, "likelihood_images", "{:.0f}"));
  }
  std::string refused;
  for (const Json& row : rows_)
    if (row.contains("refused"))
      refused += fmt::format("- {}, {}: {}\n", row["model"].get<std::string>(),
                             row["sampler"].get<std::string>(), row["refused"].get<std::string>());
  if (!refused.empty()) text += "\nWithout numbers:\n\n" + refused;
  return text;
}

class Evaluation {
 public:
  Evaluation(const EvaluateCommand& command, vk::Device& device)
      : c_(command), device_(device), table_(command.out) {}

  Status run();

 private:
  Status evaluate(const std::string& name, const Model& model);
  Result<Json> likelihood(const std::string& name, const Model& model, const Json& identity);
  Result<Json> score(const std::string& name, const Model& model, const std::string& sampler,
                     const SampleOptions& options, const Json& identity);
  std::string preface() const;

  const EvaluateCommand& c_;
  vk::Device& device_;
  Table table_;
  ImageDataset train_, test_;
  std::optional<Component> classifier_;
  std::unique_ptr<Evaluator> evaluator_;
  ProgressLine line_;
  Json known_likelihood_;  // "model identity" → numbers, of this call
};

std::string Evaluation::preface() const {
  return fmt::format(
      "<!-- written by `ito evaluate`; do not edit -->\n"
      "Fréchet distances are between features of the classifier in {} (its last block, averaged "
      "over "
      "pixels: {} numbers) and those of the first {} test images. Samples have seeds from 0 on, "
      "class = seed modulo classes. They were computed on {}.{}\n",
      c_.classifier, evaluator_->features(), evaluator_->reference_images(), device_.info().name,
      c_.likelihood > 0
          ? fmt::format(" Bits per dimension are of the first test images, integrated to {}.",
                        c_.tolerance)
          : "");
}

Result<Json> Evaluation::likelihood(const std::string& name, const Model& model,
                                    const Json& identity) {
  ITO_ASSIGN(const ModelFlow flow, model_flow(model));
  LikelihoodSettings settings;
  settings.batch = std::min(c_.batch, c_.likelihood);
  settings.ode = {c_.tolerance, c_.tolerance};
  ITO_ASSIGN(auto session, LikelihoodSession::create(device_, flow, settings));
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

Result<Json> Evaluation::score(const std::string& name, const Model& model,
                               const std::string& sampler, const SampleOptions& options,
                               const Json& identity) {
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
    return Json{{"key", identity}, {"refused", scored.error().message}};
  }
  const SampleScore& score = *scored;
  Json row = {{"model", name},           {"sampler", sampler},
              {"key", identity},         {"frechet", score.frechet},
              {"samples", score.images}, {"seconds", score.seconds}};
  if (score.recognised)
    row["recognised_percent"] =
        100 * static_cast<double>(*score.recognised) / static_cast<double>(score.images);
  return row;
}

Status Evaluation::evaluate(const std::string& name, const Model& model) {
  const std::string weights =
      fmt::format("{:016x}", hash_bytes({reinterpret_cast<const char*>(model.weights.data()),
                                         model.weights.size() * sizeof(float)}));
  for (size_t i = 0; i < c_.options.size(); ++i) {
    const SampleOptions options = resolved(c_.options[i], model.network, model.scheduler);
    const Json key = {{"weights", weights},          {"settings", sample_settings(options)},
                      {"samples", c_.num},           {"reference", evaluator_->reference_images()},
                      {"likelihood", c_.likelihood}, {"tolerance", c_.tolerance}};
    Json row;
    if (const Json* known = table_.find(key)) {
      row = *known;
    } else {
      ITO_ASSIGN(row, score(name, model, c_.samplers[i], options, key));
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
  ITO_ASSIGN(classifier_, load_classifier(c_.classifier));
  ITO_ASSIGN(evaluator_, Evaluator::create(device_, *classifier_, c_.batch));
  ITO_TRY(evaluator_->set_reference(test_, c_.reference));
  ITO_ASSIGN(const double real, evaluator_->distance_of(train_, c_.num));
  const int64_t real_images = std::min(c_.num, train_.count);
  ITO_TRY(table_.add({{"model", "training images"},
                      {"sampler", "–"},
                      {"key", {{"training images", real_images}}},
                      {"frechet", real},
                      {"samples", real_images}},
                     preface()));
  for (const auto& [name, folder] : c_.named) {
    ITO_ASSIGN(const Model model, open_scheduled_model(folder));
    ITO_TRY(evaluate(name, model));
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
  app->add_option("--classifier", c->classifier, "folder of an `ito train --classifier`")
      ->required();
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
  app->add_option("--batch", c->batch, "images computed together; changes no image")
      ->check(CLI::Range(int64_t{1}, int64_t{65536}))
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
