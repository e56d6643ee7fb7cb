// ito evaluate: a table of models and samplers with the numbers that judge them, written as
// Markdown and, beside it, as JSON, from which an interrupted or extended table goes on.
#include <fmt/format.h>

#include <algorithm>

#include "api/evaluation_run.h"
#include "api/evaluation_table.h"
#include "apps/command.h"
#include "apps/data_options.h"
#include "apps/open_model.h"
#include "apps/ranks_options.h"
#include "apps/sampler_options.h"
#include "base/error.h"
#include "io/json.h"

namespace ito::apps {
namespace {

struct EvaluateCommand {
  CLI::App* app = nullptr;
  DeviceChoice device;
  std::shared_ptr<RanksChoice> ranks = std::make_shared<RanksChoice>();
  DataOptions data_options;
  VariantChoice variant;
  std::vector<std::string> models, samplers;
  std::vector<int> steps;
  std::string classifier, features, data, out, held_out;
  EvaluationJob job;
  bool json = false;
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
      ITO_ASSIGN(const SamplerText sampler, parse_sampler(one));
      if (c.steps.empty() || !sampler_uses(sampler.options, "steps")) {
        rows.push_back(one);
        continue;
      }
      for (const int steps : c.steps) rows.push_back(fmt::format("{} --steps {}", one, steps));
    }
  }
  return rows;
}

Status check(EvaluateCommand& c) {
  EvaluationJob& job = c.job;
  ITO_TRY(EvaluationTable::check_name("--out", c.out));
  ITO_ASSIGN(job.dataset, dataset_options(c.data_options, *c.app));
  job.variant = c.variant.name;
  job.classifier = c.classifier;
  job.features = c.features;
  job.data = c.data;
  job.held_out = c.held_out;
  job.out = c.out;
  for (const std::string& text : c.models) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
      return invalid_argument("--model is \"{}\", expected NAME=FOLDER", text);
    job.models.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  if (c.classifier.empty() && c.features.empty())
    return invalid_argument("give --classifier, --features or both");
  ITO_ASSIGN(const std::vector<std::string> rows, sampler_rows_of(c));
  for (const std::string& text : rows) {
    ITO_ASSIGN(SamplerText sampler, parse_sampler(text));
    job.samplers.push_back({text, std::move(sampler.options), std::move(sampler.guidance)});
  }
  return check_ode_options({job.tolerance, job.tolerance});
}

Status run(EvaluateCommand& c) {
  const Ranks& ranks = c.ranks->ranks;
  c.job.judging.ranks = ranks;
  ProgressLine line(ranks.first());
  std::unique_ptr<vk::Device> device;
  const auto open = [&]() -> Result<vk::Device*> {
    line.finish();
    ITO_ASSIGN(device,
               open_device_of_rank(*c.ranks, c.device,
                                   fmt::format("evaluating {} models with {} samplers each,",
                                               c.job.models.size(), c.job.samplers.size())));
    return device.get();
  };
  const std::atomic<bool>& stop = stop_requested();
  const EvaluationObserver observer{.progress = [&](const std::string& text) { line.update(text); },
                                    .note = [&](const std::string& text) { line.note(text); },
                                    .stop = [&] { return stop.load(); }};
  ITO_ASSIGN(const EvaluationResult result, run_evaluation(open, c.job, observer));
  line.finish();
  if (ranks.first()) fmt::print("{}", c.json ? dump_json(result.rows) : result.text);
  return {};
}

}  // namespace

Command add_evaluate_command(CLI::App& root) {
  auto c = std::make_shared<EvaluateCommand>();
  CLI::App* app = root.add_subcommand(
      "evaluate", "A table of models and samplers: Fréchet distance, recognised share, bits/dim");
  c->app = app;
  add_data_options(*app, c->data_options);
  app->add_option("--model", c->models, "NAME=FOLDER of a model; may be repeated")->required();
  add_variant_option(*app, c->variant, "every --model and, where it is there, the judges'");
  app->add_option("--sampler", c->samplers,
                  "a sampler with its options as of `ito sample`, those of guidance included, as "
                  "one word: \"pc --steps 200\"; may be repeated: every model is sampled by each; "
                  "\"all\" is every sampler")
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
  app->add_option("--held-out", c->held_out,
                  "a run of `ito train`: the images that it held out of --data take the place of a "
                  "test part");
  app->add_option(
         "--out", c->out,
         "FILE.md to write; FILE.json beside it holds the numbers, and rows that are there "
         "already for the same weights and settings are not computed again")
      ->required();
  app->add_option("--num", c->job.samples, "samples per row")
      ->check(at_least(2))
      ->capture_default_str();
  app->add_option("--reference", c->job.reference,
                  "images of the test part that samples are compared with")
      ->check(at_least(2))
      ->capture_default_str();
  app->add_option("--likelihood", c->job.likelihoods,
                  "images of the test part whose bits/dim are measured per model; 0: none")
      ->check(at_least(0))
      ->capture_default_str();
  app->add_option("--batch", c->job.judging.batch, "images computed together; changes no image")
      ->check(CLI::Range(int64_t{1}, int64_t{65536}))
      ->capture_default_str();
  app->add_option("--blocks", c->job.judging.blocks,
                  "blocks of seeds over which the standard errors are taken")
      ->check(CLI::Range(int64_t{2}, int64_t{1000}))
      ->capture_default_str();
  app->add_option("--likelihood-tolerance", c->job.tolerance,
                  "relative and absolute tolerance of the likelihoods' integration")
      ->check(positive_number())
      ->capture_default_str();
  add_device_option(*app, c->device);
  add_devices_option(*app, *c->ranks, "judges");
  app->add_flag("--json", c->json, "print the rows as JSON");
  return {app, [c] { return check(*c); }, [c] { return run(*c); }, {}, c->ranks};
}

}  // namespace ito::apps
