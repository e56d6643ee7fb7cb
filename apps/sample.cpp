// ito sample: images from a trained model: one file per seed, a grid, or an array.
#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <span>

#include "api/sample_files.h"
#include "api/sample_run.h"
#include "apps/choices.h"
#include "apps/command.h"
#include "apps/control_options.h"
#include "apps/farm_options.h"
#include "apps/open_model.h"
#include "apps/ranks_options.h"
#include "apps/rows.h"
#include "apps/sampler_options.h"
#include "base/error.h"
#include "io/json.h"

namespace ito::apps {
namespace {

constexpr int64_t kSeeds = int64_t{1} << 32;
constexpr int64_t kRandomSeed = -1;

struct SampleCommand {
  CLI::App* app = nullptr;
  DeviceChoice device;
  std::shared_ptr<RanksChoice> ranks = std::make_shared<RanksChoice>();
  SampleJob job;
  FarmChoice farm;
  AverageChoice average;
  VariantChoice variant;
  std::string model, out, seeds_text, random = "device";
  int64_t seed = 0;
  bool random_seed = false;
  int64_t num = 16;
  bool json = false;
};

struct RandomRow {
  Name name;
  RandomSource source;
};
constexpr RandomRow kRandomSources[] = {
    {{"device", "Philox on the device", "Salmon et al. 2011", "philox"}, RandomSource::kDevice},
    {{"torch", "PyTorch's CPU generator, one an image", "Matsumoto & Nishimura 1998", ""},
     RandomSource::kTorch},
};

// Where several ranks draw archives each is a shard.
Status settle_farm(SampleCommand& c) {
  const Ranks& ranks = c.job.ranks;
  if (ranks.several()) {
    for (const char* option : {"--shard", "--preview-every"})
      if (c.app->count(option) > 0)
        return invalid_argument("{} is of one process, and these are {} ranks: leave it out",
                                option, ranks.size());
  }
  ITO_ASSIGN(c.job.farm, farm_options(*c.app, c.farm, c.out, c.job.seeds.size()));
  if (!c.job.farm || !ranks.several()) return {};
  c.job.farm->shard = {.index = static_cast<size_t>(ranks.rank()),
                       .count = static_cast<size_t>(ranks.size())};
  return check_farm(*c.job.farm, c.job.seeds.size());
}

Status check(SampleCommand& c) {
  c.job.ranks = c.ranks->ranks;
  if (c.app->count("--seeds") > 0) {
    if (c.app->count("--seed") + c.app->count("--num") > 0)
      return invalid_argument("give --seeds, or --seed and --num, not both");
    ITO_ASSIGN(c.job.seeds, parse_ranges(c.seeds_text, "--seeds"));
  } else {
    std::random_device entropy;
    c.random_seed = c.seed == kRandomSeed;
    if (c.random_seed) {
      c.seed = std::uniform_int_distribution<int64_t>(0, kSeeds - c.num)(entropy);
      auto bytes = std::as_writable_bytes(std::span(&c.seed, 1));
      ITO_TRY(c.job.ranks.broadcast(bytes));
    }
    if (c.seed < 0 || c.seed + c.num > kSeeds)
      return invalid_argument(
          "--seed is {} with --num {}; seeds are 0 to {}, and -1 is a random one", c.seed, c.num,
          kSeeds - 1);
    for (int64_t i = 0; i < c.num; ++i) c.job.seeds.push_back(static_cast<uint32_t>(c.seed + i));
  }
  // Names need the model; what is plainly meant to be numbers is checked before it is read.
  if (c.job.classes.find_first_not_of("0123456789-,") == std::string::npos)
    if (!parse_ranges(c.job.classes, "--class").ok())
      return invalid_argument(
          "--class is \"{}\", expected classes by name or number, sneaker or 3 or 0-4 or 1,bag, or "
          "all",
          c.job.classes);
  ITO_TRY(sample_form(c.out));
  ITO_TRY(check_sampler_options(*c.app, c.job.options));
  ITO_TRY(check_control_options(*c.app, c.job.control));
  ITO_ASSIGN(const RandomRow* random,
             row_called(std::span<const RandomRow>(kRandomSources), c.random, "--rng"));
  c.job.options.random = random->source;
  const GuidanceChoice& guidance = c.job.control.guidance;
  const bool mixes = guidance.scale && guidance.classifier.empty();
  if (!c.job.negative_context.empty() && (c.job.context.empty() || !mixes))
    return invalid_argument("--negative-context needs --context and --guidance-scale");
  c.job.options.previews = c.job.preview_every > 0;
  c.job.options.batch = std::min(c.job.options.batch, static_cast<int64_t>(c.job.seeds.size()));
  if (c.app->count("--form") + c.app->count("--shard") > 0 && c.random_seed)
    return invalid_argument(
        "--seed -1 has no meaning with --shard and --form: each call would have its own");
  return settle_farm(c);
}

// What only the model's own choice of a sampler decides: a sampler that makes latents of pictures
// takes one, as it is, and writes numbers.
Status check_inversion(SampleCommand& c) {
  if (!inverts(c.job.options.sampler)) return {};
  if (c.job.control.initial.empty())
    return invalid_argument("--sampler {} makes latents of a picture: give --init-image",
                            c.job.options.sampler);
  if (c.app->count("--strength") > 0)
    return invalid_argument("--strength has no meaning for --sampler {}", c.job.options.sampler);
  ITO_ASSIGN(const SampleForm* form, sample_form(c.out));
  if (!form->numbers)
    return invalid_argument(
        "--out is \"{}\", expected FILE.safetensors or FILE.npz: {} writes "
        "latents, which are numbers",
        c.out, c.job.options.sampler);
  // One picture, one row, unless more seeds were asked for.
  if (c.app->count("--num") + c.app->count("--seeds") == 0) c.job.seeds.resize(1);
  c.job.options.batch = std::min(c.job.options.batch, static_cast<int64_t>(c.job.seeds.size()));
  return {};
}

void print(const SampleCommand& c, const SampleSummary& s) {
  if (c.json) {
    Json json = {
        {"out", c.out}, {"images", s.images}, {"skipped", s.skipped}, {"seconds", s.seconds}};
    if (c.random_seed) json["first_seed"] = c.job.seeds.front();
    if (s.recognised) json["recognised"] = *s.recognised;
    if (s.stopped) json["stopped"] = true;
    add_farm_json(json, s);
    fmt::print("{}", dump_json(json));
    return;
  }
  if (s.stopped) return;  // the error says it
  fmt::print("{} images in {:.1f} s{} in {}\n", s.images, s.seconds,
             s.skipped > 0 ? fmt::format(" ({} more were there already)", s.skipped) : "", c.out);
  if (s.recognised)
    fmt::print("{} of {}{} ({:.1f}%) are recognised as their class\n", *s.recognised, s.images,
               s.farm && s.skipped > 0 ? " drawn now" : "",
               s.images == 0
                   ? 0.0
                   : 100.0 * static_cast<double>(*s.recognised) / static_cast<double>(s.images));
}

Status run(SampleCommand& c) {
  ITO_ASSIGN(const Model model,
             open_scheduled_model(c.model, c.variant, c.average, c.job.ranks.first()));
  ITO_ASSIGN(c.job.names, read_class_names(c.model));
  ITO_ASSIGN(c.job.options, with_guidance(std::move(c.job.options), c.job.control.guidance,
                                          model.network.signature(), c.job.names, c.model));
  c.job.options = resolved(c.job.options, model.network, model.scheduler);
  ITO_TRY(check_sampler_options(*c.app, c.job.options));
  ITO_TRY(check_inversion(c));
  const Ranks& ranks = c.job.ranks;
  if (c.random_seed && ranks.first())
    fmt::print(stderr, "the first seed is {}\n", c.job.seeds.front());
  c.job.model = c.model;
  c.job.out = c.out;
  ProgressLine line(ranks.first());
  std::unique_ptr<vk::Device> device;
  const auto open = [&]() -> Result<vk::Device*> {
    line.finish();
    const std::string steps =
        c.job.options.steps == 0 ? std::string() : fmt::format(", {} steps", c.job.options.steps);
    ITO_ASSIGN(device, open_device_of_rank(
                           *c.ranks, c.device,
                           fmt::format("sampling {} images of {} with {}{},", c.job.seeds.size(),
                                       c.model, c.job.options.sampler, steps)));
    return device.get();
  };
  const bool as_json = c.json && c.job.farm;
  const std::string share =
      ranks.several() ? fmt::format("  (rank 0 of {})", ranks.size()) : std::string();
  const std::atomic<bool>& stop = stop_requested();
  const SampleObserver observer{.progress =
                                    [&](const SampleProgress& progress) {
                                      line.update(as_json ? dump_json_line(progress_json(progress))
                                                          : progress_text(progress) + share);
                                    },
                                .note = [&](const std::string& text) { line.note(text); },
                                .stop = &stop};
  ITO_ASSIGN(const SampleSummary summary, run_sample_job(open, model, c.job, observer));
  line.finish();
  if (ranks.first()) print(c, summary);
  if (!summary.stopped) return {};
  ITO_ASSIGN(const SampleForm* form, sample_form(c.out));
  return ranks.agree(interrupted("stopped after {} images; {}", summary.images,
                                 form->is_folder()
                                     ? "run the same command again to go on"
                                     : c.out + " is one file of all and was not written"));
}

}  // namespace

std::vector<Name> random_source_choices() { return names_of(kRandomSources); }

Command add_sample_command(CLI::App& root) {
  auto c = std::make_shared<SampleCommand>();
  CLI::App* app = root.add_subcommand("sample", "Draw images from a trained model");
  c->app = app;
  add_average_option(*app, c->average);
  add_variant_option(*app, c->variant);
  app->add_option("--model", c->model, "model folder in diffusers' layout, or a run of `ito train`")
      ->required();
  app->add_option(
         "--out", c->out,
         "a folder: one NNNNNN.png per seed (those already there are left alone); "
         "FILE.png: a grid; FILE.npz or FILE.safetensors: images as numbers [n,c,h,w], .npz also "
         "arr_0 as bytes [n,h,w,c]")
      ->required();
  add_sampler_options(*app, c->job.options);
  app->add_option("--seeds", c->seeds_text, "seeds, one per image: 0-63 or 3 or 0-3,9");
  app->add_option("--seed", c->seed,
                  "the first seed, with --num: 0 to 4294967295; -1: a random one, which is said")
      ->capture_default_str();
  app->add_option("--num", c->num, "number of images, with --seed")
      ->check(CLI::Range(int64_t{1}, int64_t{100'000'000}))
      ->capture_default_str();
  app->add_option("--batch", c->job.options.batch, "images computed together; changes no image")
      ->check(CLI::Range(int64_t{1}, int64_t{65536}))
      ->capture_default_str();
  app->add_option("--class", c->job.classes,
                  "class, or classes to cycle through, by name or number: sneaker or 3 or 0-4 or "
                  "1,bag; all: seed modulo the number of classes, of those that were trained on")
      ->capture_default_str();
  app->add_option("--size", c->job.size, "side of the images; 0: the model's")
      ->check(at_least(0))
      ->capture_default_str();
  app->add_option("--columns", c->job.columns, "columns of a grid; 0: about square")
      ->check(at_least(0))
      ->capture_default_str();
  app->add_option("--classifier", c->job.classifier,
                  "folder of an `ito train --classifier`: count the images it recognises");
  app->add_option("--context", c->job.context,
                  ".safetensors with encoder_hidden_states [n,length,d]: what a model with a "
                  "context is told; image: row seed modulo n");
  app->add_option(
      "--negative-context", c->job.negative_context,
      "like --context, of an empty text or of what is not wanted: what --guidance-scale "
      "leads a model with a context away from; image: row (seed modulo n) modulo its own");
  app->add_flag("--vae-tiling", c->job.options.tiled,
                "a model on latents: decode large ones in tiles that overlap");
  add_control_options(*app, c->job.control);
  app->add_option("--rng", c->random,
                  with_choices("sample --rng",
                               "where noise comes from; with torch images are those of diffusers "
                               "with the image's seed"))
      ->capture_default_str();
  app->add_option("--preview-every", c->job.preview_every,
                  "write the estimate of the finished images every so many steps; 0: never")
      ->check(at_least(0))
      ->capture_default_str();
  add_precision_option(*app, c->job.options.multiply);
  add_farm_options(*app, c->farm);
  add_device_option(*app, c->device);
  add_devices_option(*app, *c->ranks, "draws");
  app->add_flag("--json", c->json, "print JSON");
  app->footer(
      "An image depends on model, method, seed and class alone: not on the batch, nor on how\n"
      "a job is split. The settings are stored in each PNG; `ito inspect FILE.png` shows them.\n"
      "Ctrl-C finishes the batch and ends with 130; the same command goes on with the folder.");
  return {app, [c] { return check(*c); }, [c] { return run(*c); }, {}, c->ranks};
}

}  // namespace ito::apps
