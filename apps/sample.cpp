// ito sample: images from a trained model: one file per seed, a grid, or an array.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "api/sample_files.h"
#include "api/sampling.h"
#include "api/scoring.h"
#include "apps/choices.h"
#include "apps/command.h"
#include "apps/control_options.h"
#include "apps/latents.h"
#include "apps/open_model.h"
#include "apps/rows.h"
#include "apps/sampler_options.h"
#include "base/error.h"
#include "diffusion/process.h"
#include "io/class_names.h"
#include "io/json.h"
#include "io/png.h"

namespace ito::apps {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kSeeds = int64_t{1} << 32;
constexpr int64_t kRandomSeed = -1;

struct SampleCommand {
  CLI::App* app = nullptr;
  DeviceChoice device;
  SampleOptions options;
  ControlOptions control;
  std::string model, out, seeds_text, class_text = "all", classifier, context, negative_context,
                                      random = "device";
  int preview_every = 0;
  int64_t seed = 0;
  bool random_seed = false;
  int64_t num = 16;
  int size = 0, columns = 0;
  bool json = false;
  // Of check():
  std::vector<uint32_t> seeds;
  std::optional<ClassNames> names;  // of run()
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

Status check(SampleCommand& c) {
  if (c.app->count("--seeds") > 0) {
    if (c.app->count("--seed") + c.app->count("--num") > 0)
      return invalid_argument("give --seeds, or --seed and --num, not both");
    ITO_ASSIGN(c.seeds, parse_ranges(c.seeds_text, "--seeds"));
  } else {
    std::random_device entropy;
    c.random_seed = c.seed == kRandomSeed;
    if (c.random_seed) c.seed = std::uniform_int_distribution<int64_t>(0, kSeeds - c.num)(entropy);
    if (c.seed < 0 || c.seed + c.num > kSeeds)
      return invalid_argument(
          "--seed is {} with --num {}; seeds are 0 to {}, and -1 is a random one", c.seed, c.num,
          kSeeds - 1);
    for (int64_t i = 0; i < c.num; ++i) c.seeds.push_back(static_cast<uint32_t>(c.seed + i));
  }
  // Names need the model; what is plainly meant to be numbers is checked before it is read.
  if (c.class_text.find_first_not_of("0123456789-,") == std::string::npos)
    ITO_TRY(parse_ranges(c.class_text, "--class"));
  ITO_TRY(sample_form(c.out));
  ITO_TRY(check_sampler_options(*c.app, c.options));
  ITO_TRY(check_control_options(*c.app, c.control));
  ITO_ASSIGN(const RandomRow* random,
             row_called(std::span<const RandomRow>(kRandomSources), c.random, "--rng"));
  c.options.random = random->source;
  if (c.app->count("--guidance-scale") > 0 && c.control.classifier.empty())
    c.options.classifier_free = ClassifierFree{
        .scale = c.control.scale, .null_class = c.control.null_class, .rescale = c.control.rescale};
  if (!c.negative_context.empty() && (c.context.empty() || !c.options.classifier_free))
    return invalid_argument("--negative-context needs --context and --guidance-scale");
  c.options.previews = c.preview_every > 0;
  c.options.batch = std::min(c.options.batch, static_cast<int64_t>(c.seeds.size()));
  return {};
}

// What only the model's own choice of a sampler decides: a sampler that makes latents of pictures
// takes one, as it is, and writes numbers.
Status check_inversion(SampleCommand& c, const Model& model) {
  if (!inverts(c.options.sampler)) return {};
  if (c.control.initial.empty())
    return invalid_argument("--sampler {} makes latents of a picture: give --init-image",
                            c.options.sampler);
  if (c.app->count("--strength") > 0)
    return invalid_argument("--strength has no meaning for --sampler {}", c.options.sampler);
  ITO_ASSIGN(const SampleForm form, sample_form(c.out));
  if (!holds_numbers(form))
    return invalid_argument(
        "--out is \"{}\", expected FILE.safetensors or FILE.npz: {} writes "
        "latents, which are numbers",
        c.out, c.options.sampler);
  if (model.decoder)
    return unsupported(
        "the model in {} is on latents of an autoencoder, whose encoder is not run "
        "here",
        c.model);
  // One picture, one row, unless more seeds were asked for.
  if (c.app->count("--num") + c.app->count("--seeds") == 0) c.seeds.resize(1);
  c.options.batch = std::min(c.options.batch, static_cast<int64_t>(c.seeds.size()));
  return {};
}

// Does the work of one call: the requests in batches, each finished before the next.
class Sampling {
 public:
  Sampling(const SampleCommand& command, const Model& model) : c_(command), model_(model) {}

  Status run(vk::Device& device);
  void print() const;

 private:
  Result<Shape> picture_shape() const;
  Status load_controls(vk::Device& device);
  Status load_initial();
  Result<Shape> image_shape() const;
  Status prepare_previews(SamplingSession& session);
  Status load_context();
  // Of the labels: the model's, or else those of the classifier that guides it.
  uint32_t classes() const;
  Status choose_requests();
  Status open_files();
  Status score(std::span<const SampleRequest> batch, const std::vector<float>& images);
  std::string progress_text(size_t first, double steps_done, double steps_in_all,
                            double seconds) const;
  Json inpainting_settings() const;
  Json settings() const;

  const SampleCommand& c_;
  const Model& model_;
  SampleControl control_;
  std::optional<Inpainting> inpainting_;  // of a model that fills in
  std::optional<InitialImage> initial_;
  std::optional<Latents> latents_;
  Status preview_status_;
  std::optional<ContextStates> context_, negative_;
  std::optional<SampleFiles> files_;
  std::vector<SampleRequest> requests_;
  std::optional<Component> classifier_;
  std::unique_ptr<Scorer> scorer_;
  int64_t recognised_ = 0;
  double seconds_ = 0;
};

// [h, w, c] of what the network denoises.
Result<Shape> Sampling::image_shape() const {
  ITO_ASSIGN(Shape shape, picture_shape());
  const Signature& signature = model_.network.signature();
  const int64_t factor = model_.decoder ? model_.decoder->network.autoencoder()->factor : 1;
  return Shape{shape[0] / factor, shape[1] / factor, sample_channels(signature)};
}

// [h, w, c] of the pictures.
Result<Shape> Sampling::picture_shape() const {
  const Signature& signature = model_.network.signature();
  const auto size = signature.sample_size;
  if (!size && c_.size == 0)
    return invalid_argument("the model has no sample_size; give the image size");
  const Autoencoder* autoencoder = model_.decoder ? model_.decoder->network.autoencoder() : nullptr;
  const int64_t factor = autoencoder != nullptr ? autoencoder->factor : 1;
  const int64_t h = c_.size > 0 ? c_.size : (*size)[0] * factor;
  const int64_t w = c_.size > 0 ? c_.size : (*size)[1] * factor;
  const int64_t channels = autoencoder != nullptr ? model_.decoder->network.signature().out_channels
                                                  : sample_channels(signature);
  return Shape{h, w, channels};
}

Status Sampling::load_controls(vk::Device& device) {
  const Signature& signature = model_.network.signature();
  const bool fills = fills_in(signature);
  const std::string other = !c_.control.colorize.empty()  ? "--colorize: "
                            : !c_.control.inverse.empty() ? "--inverse: "
                                                          : "";
  if (fills && c_.control.inpaint.empty())
    return invalid_argument(
        "{}the model in {} fills in pictures (in_channels {} for {} out_channels): give --inpaint "
        "PICTURE --mask MASK",
        other, c_.model, signature.in_channels, signature.out_channels);
  if (fills && c_.control.noise_std)
    return unsupported("--noise-std: the model in {} fills in, and its picture has no noise",
                       c_.model);
  if (!fills && model_.decoder && c_.control.observes())
    return unsupported(
        "{}the model in {} works on latents and does not fill in (in_channels {} for {} "
        "out_channels)",
        c_.control.inpaint.empty() ? other : "--inpaint: ", c_.model, signature.in_channels,
        signature.out_channels);
  if (!c_.control.any()) return {};
  ITO_ASSIGN(const Shape shape, picture_shape());
  ControlOptions options = c_.control;
  if (fills) {
    ITO_ASSIGN(MaskedPicture masked, load_masked_picture(options, shape));
    for (float& value : masked.known) value = 1 - value;
    ITO_ASSIGN(inpainting_, inpainting_of(device, model_, shape, masked.picture, masked.known));
    options.inpaint.clear();
  }
  ITO_ASSIGN(control_, load_control(options, shape));
  return {};
}

// Where all images begin: at a picture, noised or as it is, or at latents.
Status Sampling::load_initial() {
  if (c_.control.initial.empty() && c_.control.latents.empty()) return {};
  if (!c_.control.latents.empty()) {
    ITO_ASSIGN(const Shape shape, image_shape());
    ITO_ASSIGN(latents_, read_latents(c_.control.latents, shape));
    return {};
  }
  if (model_.decoder)
    return unsupported("--init-image: the model in {} works on latents, which begin at noise here",
                       c_.model);
  ITO_ASSIGN(const Shape shape, picture_shape());
  ITO_ASSIGN(std::vector<float> pixels, read_padded("--init-image", c_.control.initial, shape));
  if (inverts(c_.options.sampler)) {
    latents_ = Latents{.rows = 1, .values = std::move(pixels)};
  } else {
    initial_ = InitialImage{.pixels = std::move(pixels), .strength = c_.control.strength};
  }
  return {};
}

// Pictures of the batch under way, beside a grid's file or in the folder.
Status Sampling::prepare_previews(SamplingSession& session) {
  if (c_.preview_every == 0) return {};
  return session.preview(c_.preview_every, [this, &session](int step, const auto& images) {
    const Shape one = session.shape(1);
    const Shape shape = session.shape(static_cast<int64_t>(images.size()) / one.numel());
    if (preview_status_.ok())
      preview_status_ =
          write_png(files_->preview_path(step), grid_from_floats(images, shape, c_.columns));
  });
}

Status Sampling::load_context() {
  if (c_.context.empty()) return {};
  const int64_t features = model_.network.signature().context;
  if (features == 0)
    return invalid_argument("the model in {} attends to no context, --context {} was given",
                            c_.model, c_.context);
  ITO_ASSIGN(context_, read_context(c_.context, features));
  if (!c_.negative_context.empty()) {
    ITO_ASSIGN(negative_, read_context(c_.negative_context, features));
  }
  return {};
}

uint32_t Sampling::classes() const {
  if (model_.num_classes() > 0 || !control_.guidance)
    return static_cast<uint32_t>(model_.num_classes());
  return static_cast<uint32_t>(control_.guidance->classifier.network.signature().out_channels);
}

// Image i gets the i-th seed and, where classes cycle, the class (i mod number). Without --class it
// is the seed that chooses, so that a seed means one image however a job is split.
Status Sampling::choose_requests() {
  const uint32_t classes = this->classes();
  std::vector<uint32_t> drawn;
  // The model may have a row more, for images of no class.
  if (c_.names && c_.names->names.size() <= static_cast<size_t>(model_.num_classes()))
    drawn = c_.names->trained();
  if (classes == 0 && c_.class_text != "all")
    return invalid_argument("the model in {} has no classes, --class {} was given", c_.model,
                            c_.class_text);
  std::vector<uint32_t> asked;
  if (c_.class_text != "all") {
    ITO_ASSIGN(asked, classes_called(c_.class_text, c_.names, classes, "--class", c_.model));
  }
  for (size_t i = 0; i < c_.seeds.size(); ++i) {
    SampleRequest request{.seed = c_.seeds[i], .label = 0};
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

Json Sampling::inpainting_settings() const {
  if (!inpainting_) return Json::object();
  return {{"inpaint", c_.control.inpaint},
          {"mask", c_.control.mask},
          {"known", fingerprint(inpainting_->known)},
          {"fill", fingerprint(inpainting_->fill)}};
}

// What all images have in common and depend on, besides the model.
Json Sampling::settings() const {
  Json settings = sample_settings(c_.options);
  if (c_.size > 0) settings["size"] = c_.size;
  if (c_.options.tiled) settings["vae_tiling"] = true;
  if (process_row(model_.scheduler.process).predicts)
    settings["prediction_type"] = model_.scheduler.prediction_type;
  settings.update(control_settings(c_.control, control_));
  settings.update(inpainting_settings());
  if (context_) settings["context"] = fingerprint(context_->values);
  if (negative_) settings["negative_context"] = fingerprint(negative_->values);
  return settings;
}

Status Sampling::open_files() {
  ITO_ASSIGN(files_, SampleFiles::open({.out = c_.out,
                                        .columns = c_.columns,
                                        .settings = settings(),
                                        .remarks = {{"model", c_.model}},
                                        .model = model_key(model_),
                                        .labelled = classes() > 0,
                                        .with_context = context_.has_value(),
                                        .name = inverts(c_.options.sampler) ? kLatents : "images",
                                        .all = !c_.classifier.empty()},  // the score needs them
                                       requests_));
  if (files_->replaced() > 0)
    fmt::print(stderr, "{} images in {} are of another model or other settings and are made anew\n",
               files_->replaced(), c_.out);
  return {};
}

Status Sampling::score(std::span<const SampleRequest> batch, const std::vector<float>& images) {
  std::vector<uint32_t> labels;
  for (const SampleRequest& request : batch) labels.push_back(request.label);
  ITO_ASSIGN(const int64_t count, scorer_->count_recognised(images, labels));
  recognised_ += count;
  return {};
}

// steps_in_all is 0 where nobody knows.
std::string Sampling::progress_text(size_t first, double steps_done, double steps_in_all,
                                    double seconds) const {
  const double images = static_cast<double>(requests_.size());
  if (steps_in_all == 0)
    return fmt::format("{} of {} images, {} steps of the ODE", first, images, steps_done);
  return fmt::format("{} of {} images  {:.2f} images/s  {} left", first, images,
                     images * steps_done / (steps_in_all * seconds),
                     duration_text(seconds * (steps_in_all / steps_done - 1)));
}

Status Sampling::run(vk::Device& device) {
  ITO_TRY(load_controls(device));
  ITO_TRY(load_initial());
  ITO_TRY(load_context());
  ITO_TRY(choose_requests());
  if (!c_.classifier.empty()) {
    if (classes() == 0) return invalid_argument("--classifier needs a model with classes");
    ITO_ASSIGN(classifier_, load_classifier(c_.classifier));
  }
  ITO_TRY(open_files());
  if (requests_.empty()) return {};
  SampleOptions options = c_.options;
  if (control_.guidance || control_.observation) options.control = &control_;
  options.inpainting = inpainting_;
  options.initial = initial_;
  if (context_) options.context = &*context_;
  if (negative_) options.negative_context = &*negative_;
  const int64_t factor = model_.decoder ? model_.decoder->network.autoencoder()->factor : 1;
  if (c_.size % factor != 0)
    return invalid_argument("--size is {}, expected a multiple of {} for this model's latents",
                            c_.size, factor);
  options.height = options.width = static_cast<int>(c_.size / factor);
  ITO_ASSIGN(auto session, SamplingSession::create(device, model_, options));
  ITO_TRY(prepare_previews(*session));
  if (classifier_) {
    ITO_ASSIGN(scorer_, Scorer::create(device, *classifier_, session->shape(session->batch())));
  }
  ProgressLine line;
  const Clock::time_point start = Clock::now();
  const size_t batch = static_cast<size_t>(session->batch());
  const double steps_in_all =
      static_cast<double>((requests_.size() + batch - 1) / batch) * session->steps();
  double steps_done = 0;
  for (size_t first = 0; first < requests_.size(); first += batch) {
    const auto part =
        std::span(requests_).subspan(first, std::min(batch, requests_.size() - first));
    const auto after_step = [&] {
      ++steps_done;
      const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
      line.update(progress_text(first, steps_done, steps_in_all, seconds));
      return true;
    };
    ITO_ASSIGN(const std::vector<float> images,
               latents_ ? session->sample_from(latents_->of(part), part, after_step)
                        : session->sample(part, after_step));
    ITO_TRY(preview_status_);
    const Shape shape = session->shape(static_cast<int64_t>(part.size()));
    ITO_TRY(files_->add(part, images, shape));
    if (scorer_) ITO_TRY(score(part, images));
  }
  seconds_ = std::chrono::duration<double>(Clock::now() - start).count();
  return files_->finish(session->shape(1));
}

void Sampling::print() const {
  const size_t made = requests_.size();
  if (c_.json) {
    Json json = {
        {"out", c_.out}, {"images", made}, {"skipped", files_->skipped()}, {"seconds", seconds_}};
    if (classifier_) json["recognised"] = recognised_;
    fmt::print("{}", dump_json(json));
    return;
  }
  fmt::print(
      "{} images in {:.1f} s{} in {}\n", made, seconds_,
      files_->skipped() > 0 ? fmt::format(" ({} more were there already)", files_->skipped()) : "",
      c_.out);
  if (classifier_)
    fmt::print("{} of {} ({:.1f}%) are recognised as their class\n", recognised_, made,
               100.0 * static_cast<double>(recognised_) / static_cast<double>(made));
}

// A network that is told its guidance scale is told --guidance-scale, and takes no other guidance.
Status embed_guidance(SampleCommand& c, const Signature& signature) {
  if (signature.guidance == 0) return {};
  for (const char* option : {"--guidance-classifier", "--guidance-rescale", "--null-class"})
    if (c.app->count(option) > 0)
      return unsupported(
          "{}: the model in {} is told its guidance scale (time_cond_proj_dim) and takes no other "
          "guidance",
          option, c.model);
  if (c.app->count("--guidance-scale") == 0)
    return invalid_argument(
        "the model in {} is told its guidance scale (time_cond_proj_dim): give --guidance-scale",
        c.model);
  c.options.classifier_free.reset();
  c.options.guidance_scale = c.control.scale;
  return {};
}

Status run(SampleCommand& c) {
  ITO_ASSIGN(const Model model, open_scheduled_model(c.model));
  ITO_ASSIGN(c.names, read_class_names(c.model));
  ITO_TRY(embed_guidance(c, model.network.signature()));
  c.options = resolved(c.options, model.network, model.scheduler);
  ITO_TRY(check_sampler_options(*c.app, c.options));
  ITO_TRY(check_inversion(c, model));
  ITO_ASSIGN(
      auto device,
      open_and_announce(
          c.device,
          fmt::format(
              "sampling {} images of {} with {}{},", c.seeds.size(), c.model, c.options.sampler,
              c.options.steps == 0 ? std::string() : fmt::format(", {} steps", c.options.steps))));
  if (c.random_seed) fmt::print(stderr, "the first seed is {}\n", c.seeds.front());
  Sampling sampling(c, model);
  ITO_TRY(sampling.run(*device));
  sampling.print();
  return {};
}

}  // namespace

std::vector<Name> random_source_choices() { return names_of(kRandomSources); }

Command add_sample_command(CLI::App& root) {
  auto c = std::make_shared<SampleCommand>();
  CLI::App* app = root.add_subcommand("sample", "Draw images from a trained model");
  c->app = app;
  app->add_option("--model", c->model, "model folder in diffusers' layout, or a run of `ito train`")
      ->required();
  app->add_option(
         "--out", c->out,
         "a folder: one NNNNNN.png per seed (those already there are left alone); "
         "FILE.png: a grid; FILE.npz or FILE.safetensors: images as numbers [n,c,h,w], .npz also "
         "arr_0 as bytes [n,h,w,c]")
      ->required();
  add_sampler_options(*app, c->options);
  app->add_option("--seeds", c->seeds_text, "seeds, one per image: 0-63 or 3 or 0-3,9");
  app->add_option("--seed", c->seed,
                  "the first seed, with --num: 0 to 4294967295; -1: a random one, which is said")
      ->capture_default_str();
  app->add_option("--num", c->num, "number of images, with --seed")
      ->check(CLI::Range(int64_t{1}, int64_t{100'000'000}))
      ->capture_default_str();
  app->add_option("--batch", c->options.batch, "images computed together; changes no image")
      ->check(CLI::Range(int64_t{1}, int64_t{65536}))
      ->capture_default_str();
  app->add_option("--class", c->class_text,
                  "class, or classes to cycle through, by name or number: sneaker or 3 or 0-4 or "
                  "1,bag; all: seed modulo the number of classes, of those that were trained on")
      ->capture_default_str();
  app->add_option("--size", c->size, "side of the images; 0: the model's")
      ->check(at_least(0))
      ->capture_default_str();
  app->add_option("--columns", c->columns, "columns of a grid; 0: about square")
      ->check(at_least(0))
      ->capture_default_str();
  app->add_option("--classifier", c->classifier,
                  "folder of an `ito train --classifier`: count the images it recognises");
  app->add_option("--context", c->context,
                  ".safetensors with encoder_hidden_states [n,length,d]: what a model with a "
                  "context is told; image: row seed modulo n");
  app->add_option(
      "--negative-context", c->negative_context,
      "like --context, of an empty text or of what is not wanted: what --guidance-scale "
      "leads a model with a context away from; image: row (seed modulo n) modulo its own");
  app->add_flag("--vae-tiling", c->options.tiled,
                "a model on latents: decode large ones in tiles that overlap");
  add_control_options(*app, c->control);
  app->add_option("--rng", c->random,
                  with_choices("sample --rng",
                               "where noise comes from; with torch images are those of diffusers "
                               "with the image's seed"))
      ->capture_default_str();
  app->add_option("--preview-every", c->preview_every,
                  "write the estimate of the finished images every so many steps; 0: never")
      ->check(at_least(0))
      ->capture_default_str();
  add_device_option(*app, c->device);
  app->add_flag("--json", c->json, "print JSON");
  app->footer(
      "An image depends on model, method, seed and class alone: not on the batch, nor on how\n"
      "a job is split. The settings are stored in each PNG; `ito inspect FILE.png` shows them.");
  return {app, [c] { return check(*c); }, [c] { return run(*c); }};
}

}  // namespace ito::apps
