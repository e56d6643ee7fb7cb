// ito sample: images from a trained model: one file per seed, a grid, or an array.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>

#include "api/sampling.h"
#include "api/scoring.h"
#include "apps/command.h"
#include "apps/control_options.h"
#include "apps/sampler_options.h"
#include "base/error.h"
#include "io/class_names.h"
#include "io/json.h"
#include "io/layout.h"
#include "io/npy.h"
#include "io/png.h"
#include "io/safetensors.h"

namespace ito::apps {
namespace {

using Clock = std::chrono::steady_clock;

struct SampleCommand {
  CLI::App* app = nullptr;
  DeviceChoice device;
  SampleOptions options;
  ControlOptions control;
  std::string model, out, seeds_text, class_text = "all", classifier, context, random = "device";
  int preview_every = 0;
  uint32_t seed = 0;
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

// What --out asks for, by its ending.
enum class Output { kFolder, kGrid, kNpz, kSafetensors };

Output output_of(const std::string& out) {
  const std::string ending = Path(out).extension().string();
  if (folder_exists(out)) return Output::kFolder;
  if (ending == ".png") return Output::kGrid;
  if (ending == ".npz") return Output::kNpz;
  if (ending == ".safetensors") return Output::kSafetensors;
  return Output::kFolder;
}

// Refuses what looks like a file of another kind: a folder of that name would surprise.
Status check_output(const std::string& out) {
  const std::string ending = Path(out).extension().string();
  const bool letters =
      ending.size() > 1 && std::isalpha(static_cast<unsigned char>(ending[1])) != 0;
  if (output_of(out) != Output::kFolder || !letters || folder_exists(out)) return {};
  return invalid_argument(
      "--out is {}, expected FILE.png, FILE.npz, FILE.safetensors or a folder; {}/ is a folder",
      out, out);
}

Status check(SampleCommand& c) {
  if (c.app->count("--seeds") > 0) {
    if (c.app->count("--seed") + c.app->count("--num") > 0)
      return invalid_argument("give --seeds, or --seed and --num, not both");
    ITO_ASSIGN(c.seeds, parse_ranges(c.seeds_text, "--seeds"));
  } else {
    if (uint64_t{c.seed} + static_cast<uint64_t>(c.num) > uint64_t{1} << 32)
      return invalid_argument("--seed {} and --num {} lead beyond the last seed, 4294967295",
                              c.seed, c.num);
    for (int64_t i = 0; i < c.num; ++i) c.seeds.push_back(c.seed + static_cast<uint32_t>(i));
  }
  // Names need the model; what is plainly meant to be numbers is checked before it is read.
  if (c.class_text.find_first_not_of("0123456789-,") == std::string::npos)
    ITO_TRY(parse_ranges(c.class_text, "--class"));
  ITO_TRY(check_output(c.out));
  ITO_TRY(check_sampler_options(*c.app, c.options));
  ITO_TRY(check_control_options(*c.app, c.control));
  ITO_ASSIGN(const RandomRow* random,
             row_called(std::span<const RandomRow>(kRandomSources), c.random, "--rng"));
  c.options.random = random->source;
  if (c.app->count("--guidance-scale") > 0 && c.control.classifier.empty())
    c.options.classifier_free = ClassifierFree{
        .scale = c.control.scale, .null_class = c.control.null_class, .rescale = c.control.rescale};
  c.options.previews = c.preview_every > 0;
  c.options.batch = std::min(c.options.batch, static_cast<int64_t>(c.seeds.size()));
  return {};
}

Json settings_of(const SampleCommand& c, const Model& model) {
  Json settings = sample_settings(c.options);
  settings["software"] = "ito";
  settings["model"] = c.model;
  if (c.options.tiled) settings["vae_tiling"] = true;
  if (!is_continuous(model.scheduler.process))
    settings["prediction_type"] = model.scheduler.prediction_type;
  return settings;
}

// Does the work of one call: the requests in batches, each finished before the next.
class Sampling {
 public:
  Sampling(const SampleCommand& command, const Model& model) : c_(command), model_(model) {}

  Status run(vk::Device& device);
  void print() const;

 private:
  Status load_controls();
  Status load_initial();
  Status prepare_previews(SamplingSession& session);
  Status load_context();
  // Of the labels: the model's, or else those of the classifier that guides it.
  uint32_t classes() const;
  Status choose_requests();
  Status prepare_output();
  Status score(std::span<const SampleRequest> batch, const std::vector<float>& images);
  Status write_images(std::span<const SampleRequest> batch, const std::vector<float>& images,
                      const Shape& shape);
  Status write_whole(const Shape& batch_shape);
  std::string progress_text(size_t first, double steps_done, double steps_in_all,
                            double seconds) const;
  Json image_settings(const SampleRequest& request) const;
  Path image_path(uint32_t seed) const { return Path(c_.out) / fmt::format("{:06}.png", seed); }

  const SampleCommand& c_;
  const Model& model_;
  SampleControl control_;
  std::optional<InitialImage> initial_;
  Status preview_status_;
  std::optional<ContextStates> context_;
  std::vector<SampleRequest> requests_;
  size_t skipped_ = 0;
  std::vector<float> all_;  // NHWC, unless the output is a folder
  std::optional<Component> classifier_;
  std::unique_ptr<Scorer> scorer_;
  int64_t recognised_ = 0;
  double seconds_ = 0;
};

Status Sampling::load_controls() {
  if (!c_.control.any()) return {};
  const Signature& signature = model_.network.signature();
  const auto size = signature.sample_size;
  if (!size && c_.size == 0)
    return invalid_argument("the model has no sample_size; give the image size");
  const int64_t h = c_.size > 0 ? c_.size : (*size)[0], w = c_.size > 0 ? c_.size : (*size)[1];
  ITO_ASSIGN(control_, load_control(c_.control, {h, w, signature.in_channels}));
  return {};
}

// The picture to begin at, for all images.
Status Sampling::load_initial() {
  if (c_.control.initial.empty()) return {};
  const Signature& signature = model_.network.signature();
  const auto size = signature.sample_size;
  if (!size && c_.size == 0)
    return invalid_argument("the model has no sample_size; give the image size");
  const int64_t h = c_.size > 0 ? c_.size : (*size)[0], w = c_.size > 0 ? c_.size : (*size)[1];
  ITO_ASSIGN(std::vector<float> pixels,
             read_padded("--init-image", c_.control.initial, {h, w, signature.in_channels}));
  initial_ = InitialImage{.pixels = std::move(pixels), .strength = c_.control.strength};
  return {};
}

// OUT.preview-STEP.png of the batch under way, beside a grid's file or in the folder.
Status Sampling::prepare_previews(SamplingSession& session) {
  if (c_.preview_every == 0) return {};
  return session.preview(c_.preview_every, [this, &session](int step, const auto& images) {
    const Path out(c_.out);
    const std::string name = fmt::format("preview-{:04}.png", step);
    const Path path = output_of(c_.out) == Output::kFolder
                          ? out / name
                          : out.parent_path() / (out.stem().string() + "." + name);
    const Shape one = session.shape(1);
    const Shape shape = session.shape(static_cast<int64_t>(images.size()) / one.numel());
    if (preview_status_.ok())
      preview_status_ = write_png(path, grid_from_floats(images, shape, c_.columns));
  });
}

Status Sampling::load_context() {
  if (c_.context.empty()) return {};
  const int64_t features = model_.network.signature().context;
  if (features == 0)
    return invalid_argument("the model in {} attends to no context, --context {} was given",
                            c_.model, c_.context);
  ITO_ASSIGN(context_, read_context(c_.context, features));
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

Json Sampling::image_settings(const SampleRequest& request) const {
  Json settings = settings_of(c_, model_);
  settings.update(control_settings(c_.control, control_));
  if (context_) settings["context"] = fingerprint(context_->values);
  settings["seed"] = request.seed;
  if (classes() > 0) settings["class"] = request.label;
  if (context_) settings["context_row"] = request.context;
  return settings;
}

// A folder's images that are there already, whole and with these settings, are not made again.
Status Sampling::prepare_output() {
  if (output_of(c_.out) != Output::kFolder) {
    const Path parent = Path(c_.out).parent_path();
    return parent.empty() ? Status{} : make_folders(parent);
  }
  ITO_TRY(make_folders(c_.out));
  if (!c_.classifier.empty()) return {};  // all are needed for the score
  std::vector<SampleRequest> missing;
  for (const SampleRequest& request : requests_) {
    const auto settings = read_png_settings(image_path(request.seed));
    if (!settings.ok() || *settings != image_settings(request)) missing.push_back(request);
  }
  skipped_ = requests_.size() - missing.size();
  requests_ = std::move(missing);
  return {};
}

Status Sampling::score(std::span<const SampleRequest> batch, const std::vector<float>& images) {
  std::vector<uint32_t> labels;
  for (const SampleRequest& request : batch) labels.push_back(request.label);
  ITO_ASSIGN(const int64_t count, scorer_->count_recognised(images, labels));
  recognised_ += count;
  return {};
}

Status Sampling::write_images(std::span<const SampleRequest> batch,
                              const std::vector<float>& images, const Shape& shape) {
  if (output_of(c_.out) != Output::kFolder) {
    all_.insert(all_.end(), images.begin(), images.end());
    return {};
  }
  for (size_t i = 0; i < batch.size(); ++i) {
    const Json settings = image_settings(batch[i]);
    ITO_TRY(write_png(image_path(batch[i].seed),
                      image_from_floats(images, shape, static_cast<int64_t>(i)), &settings));
  }
  return {};
}

Status Sampling::write_whole(const Shape& batch_shape) {
  if (output_of(c_.out) == Output::kFolder) return {};
  Shape shape = batch_shape;
  shape[0] = static_cast<int64_t>(requests_.size());
  Json settings = settings_of(c_, model_);
  settings.update(control_settings(c_.control, control_));
  if (context_) settings["context"] = fingerprint(context_->values);
  std::vector<uint32_t> seeds, labels;
  for (const SampleRequest& request : requests_) {
    seeds.push_back(request.seed);
    labels.push_back(request.label);
  }
  settings["seeds"] = seeds;
  if (classes() > 0) settings["classes"] = labels;
  if (output_of(c_.out) == Output::kGrid)
    return write_png(c_.out, grid_from_floats(all_, shape, c_.columns), &settings);
  const Shape nchw{shape[0], shape[3], shape[1], shape[2]};
  TensorFile file;
  // What programs that measure samples look for.
  if (output_of(c_.out) == Output::kNpz) {
    std::vector<uint8_t> bytes(all_.size());
    std::transform(all_.begin(), all_.end(), bytes.begin(), to_byte);
    file.tensors.emplace("arr_0", tensor_from_bytes(shape, bytes));
  }
  file.tensors.emplace("images", tensor_from_floats(nchw, nhwc_to_nchw(all_, shape)));
  file.tensors.emplace("seeds", tensor_from_uint32({shape[0]}, seeds));
  if (classes() > 0) file.tensors.emplace("classes", tensor_from_uint32({shape[0]}, labels));
  if (output_of(c_.out) == Output::kNpz) return write_npz(c_.out, file);
  file.metadata["settings"] = dump_json_line(settings);
  return write_safetensors(c_.out, file);
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
  ITO_TRY(load_controls());
  ITO_TRY(load_initial());
  ITO_TRY(load_context());
  ITO_TRY(choose_requests());
  if (!c_.classifier.empty()) {
    if (classes() == 0) return invalid_argument("--classifier needs a model with classes");
    ITO_ASSIGN(classifier_, load_classifier(c_.classifier));
  }
  ITO_TRY(prepare_output());
  if (requests_.empty()) return {};
  SampleOptions options = c_.options;
  if (c_.control.any()) options.control = &control_;
  options.initial = initial_;
  if (context_) options.context = &*context_;
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
    ITO_ASSIGN(const std::vector<float> images, session->sample(part, after_step));
    ITO_TRY(preview_status_);
    const Shape shape = session->shape(static_cast<int64_t>(part.size()));
    ITO_TRY(write_images(part, images, shape));
    if (scorer_) ITO_TRY(score(part, images));
  }
  seconds_ = std::chrono::duration<double>(Clock::now() - start).count();
  return write_whole(session->shape(1));
}

void Sampling::print() const {
  const size_t made = requests_.size();
  if (c_.json) {
    Json json = {{"out", c_.out}, {"images", made}, {"skipped", skipped_}, {"seconds", seconds_}};
    if (classifier_) json["recognised"] = recognised_;
    fmt::print("{}", dump_json(json));
    return;
  }
  fmt::print("{} images in {:.1f} s{} in {}\n", made, seconds_,
             skipped_ > 0 ? fmt::format(" ({} more were there already)", skipped_) : "", c_.out);
  if (classifier_)
    fmt::print("{} of {} ({:.1f}%) are recognised as their class\n", recognised_, made,
               100.0 * static_cast<double>(recognised_) / static_cast<double>(made));
}

Status run(SampleCommand& c) {
  ITO_ASSIGN(const Model model, load_scheduled_model(c.model));
  ITO_ASSIGN(c.names, read_class_names(c.model));
  c.options = resolved(c.options, model.network, model.scheduler);
  ITO_TRY(check_sampler_options(*c.app, c.options));
  ITO_ASSIGN(
      auto device,
      open_and_announce(
          c.device,
          fmt::format(
              "sampling {} images of {} with {}{},", c.seeds.size(), c.model, c.options.sampler,
              c.options.steps == 0 ? std::string() : fmt::format(", {} steps", c.options.steps))));
  Sampling sampling(c, model);
  ITO_TRY(sampling.run(*device));
  sampling.print();
  return {};
}

}  // namespace

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
  app->add_option("--seed", c->seed, "the first seed, with --num")->capture_default_str();
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
  app->add_flag("--vae-tiling", c->options.tiled,
                "a model on latents: decode large ones in tiles that overlap");
  add_control_options(*app, c->control);
  app->add_option("--rng", c->random,
                  "where noise comes from: device; torch: PyTorch's CPU generator seeded with each "
                  "image's seed, for the images of diffusers")
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
