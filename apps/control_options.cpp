#include "apps/control_options.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <numbers>
#include <span>
#include <utility>

#include "apps/choices.h"
#include "apps/command.h"
#include "apps/rows.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/registry.h"
#include "io/dataset.h"
#include "io/image.h"

namespace ito::apps {
namespace {

// Deviation of the rounding of pixels in [-1, 1] to 256 values: what is known of a picture's noise.
constexpr double kRoundingStd = 1 / 127.5 / (2 * std::numbers::sqrt3);

// What --inverse undoes.
struct InverseRow {
  Name name;
  Result<Measurement> (*make)(const Shape& size, double number);
  bool whole;        // takes whole numbers only
  double noise_std;  // of the observation, unless --noise-std says otherwise
};
constexpr InverseRow kInverses[] = {
    {{"blur", "blur:K, means over KxK pixels, K odd, periodic", "Kawar et al. 2022", ""},
     [](const Shape& size, double number) {
       return Measurement::blur(size, box_kernel(static_cast<int>(number)));
     },
     true,
     kRoundingStd},
    {{"gaussian", "gaussian:D, a blur of deviation D pixels, periodic", "Kawar et al. 2022", ""},
     [](const Shape& size, double number) {
       return Measurement::blur(size, gaussian_kernel(number, std::min(size[0], size[1])));
     },
     false,
     kRoundingStd},
    {{"downsample", "downsample:F, means over blocks of FxF", "Kawar et al. 2022", ""},
     [](const Shape& size, double number) {
       return Measurement::downsample(size, static_cast<int>(number));
     },
     true,
     0},
};

// --inverse, taken apart: NAME:NUMBER.
struct Inverse {
  const InverseRow* row = nullptr;
  double number = 0;
};

Result<Inverse> parse_inverse(const std::string& text) {
  const size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  const std::span<const InverseRow> rows = kInverses;
  Inverse inverse{.row = find_row(rows, name)};
  if (inverse.row == nullptr)
    return invalid_argument("--inverse is \"{}\", expected NAME:NUMBER, the name {}", text,
                            expected_names(rows));
  const char* first = text.data() + (colon == std::string::npos ? text.size() : colon + 1);
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(first, last, inverse.number);
  const bool whole = !inverse.row->whole || inverse.number == std::floor(inverse.number);
  if (error != std::errc() || end != last || !whole || !(inverse.number > 0) ||
      inverse.number > 4096)
    return invalid_argument("--inverse is \"{}\", expected a positive number after \"{}:\"", text,
                            name);
  return inverse;
}

Error named(const std::string& option, const std::string& value, const Error& error) {
  return {error.kind, fmt::format("{} {}: {}", option, value, error.message)};
}

std::vector<float> padded(const Image& image, const Shape& size) {
  ImageDataset data;
  data.count = 1;
  data.h = image.h;
  data.w = image.w;
  data.c = image.c;
  data.pixels = image.pixels;
  std::vector<float> values(static_cast<size_t>(size[0] * size[1] * image.c));
  normalised_images(data, {0}, static_cast<int>(size[0]), static_cast<int>(size[1]), values.data());
  return values;
}

Status check_fit(const std::string& option, const Path& path, const Image& image, const Shape& size,
                 bool exactly) {
  const bool fits =
      exactly ? image.h == size[0] && image.w == size[1] : image.h <= size[0] && image.w <= size[1];
  if (fits) return {};
  return invalid_argument("{} {}: the picture is {}x{}, expected {}{}x{}", option, path.string(),
                          image.h, image.w, exactly ? "" : "at most ", size[0], size[1]);
}

Result<Image> read_fitting(const std::string& option, const Path& path, const Shape& size,
                           int channels, bool exactly) {
  ITO_ASSIGN(const Picture picture, read_picture(path));
  if (picture.is_transparent())
    fmt::print(stderr, "note: {} {}: what is transparent in it lies on white\n", option,
               path.string());
  Image image = image_of(picture, channels);
  ITO_TRY(check_fit(option, path, image, size, exactly));
  return image;
}

// Black and white, or opaque and transparent: where a picture has transparent pixels, they are the
// hole, whatever colour hides in them.
Result<Image> read_mask(const Path& path, const Shape& size) {
  ITO_ASSIGN(const Picture picture, read_picture(path));
  Picture grey{picture.h, picture.w, 1, picture.bits, {}};
  const bool transparent = picture.is_transparent();
  if (transparent) {
    const size_t c = static_cast<size_t>(picture.c);
    for (size_t i = c - 1; i < picture.samples.size(); i += c)
      grey.samples.push_back(picture.samples[i]);
  } else {
    grey = with_channels(flattened(picture), 1);
  }
  const Image mask = image_of(grey, 1);
  ITO_TRY(check_fit("--mask", path, mask, size, true));
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    const int value = mask.pixels[i];
    if (value != 0 && value != 255)
      return invalid_argument(
          "--mask {}: the {} of pixel {},{} is {}, expected 0 ({}, to fill) or 255 ({}, kept)",
          path.string(), transparent ? "alpha" : "value", i % static_cast<size_t>(mask.w),
          i / static_cast<size_t>(mask.w), value, transparent ? "transparent" : "black",
          transparent ? "opaque" : "white");
  }
  return mask;
}

Result<Observation> inpainting(const ControlOptions& options, const Shape& size) {
  ITO_ASSIGN(MaskedPicture masked, load_masked_picture(options, size));
  ITO_ASSIGN(Measurement measurement, Measurement::mask(size, masked.known));
  return Observation{.measurement = std::move(measurement), .y = std::move(masked.picture)};
}

Result<Observation> colourisation(const ControlOptions& options, const Shape& size) {
  auto measurement = Measurement::luminance(size);
  if (!measurement.ok()) return named("--colorize", options.colorize, measurement.error());
  ITO_ASSIGN(const Image image, read_fitting("--colorize", options.colorize, size, 3, false));
  const std::vector<float> pixels = padded(image, size);
  Observation observation{.measurement = std::move(measurement).value(), .y = {}};
  observation.limit_colours = true;
  for (size_t i = 0; i < pixels.size(); i += 3)
    observation.y.push_back(
        static_cast<float>((double{pixels[i]} + pixels[i + 1] + pixels[i + 2]) / std::sqrt(3.0)));
  return observation;
}

Result<Observation> inverse_problem(const ControlOptions& options, const Shape& size) {
  ITO_ASSIGN(const Inverse inverse, parse_inverse(options.inverse));
  auto measurement = inverse.row->make(size, inverse.number);
  if (!measurement.ok()) return named("--inverse", options.inverse, measurement.error());
  const Shape shape = measurement->observation();
  ITO_ASSIGN(const Image image, read_fitting("--observation", options.observation, shape,
                                             static_cast<int>(shape[2]), true));
  Observation observation{.measurement = std::move(measurement).value(), .y = padded(image, shape)};
  // Undoing a blur would blow up the rounding of the picture's pixels.
  observation.noise_std = inverse.row->noise_std;
  return observation;
}

}  // namespace

std::vector<Name> inverse_choices() { return names_of(kInverses); }

void add_control_options(CLI::App& app, ControlOptions& options) {
  app.add_option("--guidance-classifier", options.classifier,
                 "folder of an `ito train --classifier --noisy`: guides each image to its class");
  app.add_option(
         "--guidance-scale", options.scale,
         "weight of the classifier's gradient, 0: none, above 1: more typical of the class; "
         "without --guidance-classifier: classifier-free guidance, 1: none, or what a model with "
         "time_cond_proj_dim is told")
      ->capture_default_str();
  app.add_option("--guidance-rescale", options.rescale,
                 "classifier-free guidance: share by which the guided output's deviation is moved "
                 "back to the conditional one's")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--null-class", options.null_class,
                 "classifier-free guidance: the class that stands for none; left out: the last");
  app.add_option("--init-image", options.initial,
                 "picture to begin at, noised --strength of the way (image to image)");
  app.add_option("--strength", options.strength,
                 "of --init-image: 1 keeps nothing of the picture, near 0 all of it")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--latents", options.latents,
                 ".safetensors that --sampler ddim-inverse wrote: images begin there; image: row "
                 "seed modulo their number");
  app.add_option(
      "--inpaint", options.inpaint,
      "picture whose pixels are kept where --mask is white; what a model with in_channels "
      "2 c + 1 fills in");
  app.add_option("--mask", options.mask, "grey picture: white 255 is kept, black 0 is filled");
  app.add_option("--colorize", options.colorize, "picture whose luminance is kept");
  app.add_option("--inverse", options.inverse,
                 with_choices("sample --inverse", "how --observation was made, NAME:NUMBER"));
  app.add_option("--observation", options.observation, "picture that --inverse made");
  app.add_option("--noise-std", options.noise_std,
                 "deviation of the noise in the picture that is matched, in units of [-1, 1]; left "
                 "out: 0, for blurs that of rounding to 8 bits");
}

Status check_control_options(const CLI::App& app, const ControlOptions& o) {
  const auto given = [&](const char* option) { return app.count(option) > 0; };
  const auto needs = [&](const char* option, const char* other) -> Status {
    if (given(option) && !given(other)) return invalid_argument("{} needs {}", option, other);
    return {};
  };
  for (const char* option : {"--guidance-rescale", "--null-class"}) {
    ITO_TRY(needs(option, "--guidance-scale"));
    if (given(option) && given("--guidance-classifier"))
      return invalid_argument("{} is of classifier-free guidance, not of --guidance-classifier",
                              option);
  }
  ITO_TRY(needs("--strength", "--init-image"));
  if (given("--latents") && given("--init-image"))
    return invalid_argument("--latents and --init-image exclude each other");
  ITO_TRY(needs("--inpaint", "--mask"));
  ITO_TRY(needs("--mask", "--inpaint"));
  ITO_TRY(needs("--inverse", "--observation"));
  ITO_TRY(needs("--observation", "--inverse"));
  const int observations = static_cast<int>(given("--inpaint")) +
                           static_cast<int>(given("--colorize")) +
                           static_cast<int>(given("--inverse"));
  if (observations > 1)
    return invalid_argument("--inpaint, --colorize and --inverse exclude each other");
  if (o.noise_std && observations == 0)
    return invalid_argument("--noise-std needs --inpaint, --colorize or --inverse");
  if (o.noise_std && (!(*o.noise_std >= 0) || !std::isfinite(*o.noise_std)))
    return invalid_argument("--noise-std is {}, expected 0 or more", *o.noise_std);
  if (!std::isfinite(o.scale))
    return invalid_argument("--guidance-scale is {}, expected a finite number", o.scale);
  if (!o.inverse.empty()) ITO_TRY(parse_inverse(o.inverse));
  return {};
}

Result<std::vector<float>> read_padded(const std::string& option, const Path& path,
                                       const Shape& size) {
  ITO_ASSIGN(const Image image, read_fitting(option, path, size, static_cast<int>(size[2]), false));
  return padded(image, size);
}

Result<MaskedPicture> load_masked_picture(const ControlOptions& options, const Shape& size) {
  ITO_ASSIGN(const Image image,
             read_fitting("--inpaint", options.inpaint, size, static_cast<int>(size[2]), false));
  ITO_ASSIGN(Image mask, read_mask(options.mask, {image.h, image.w, 1}));
  // Upside down, so that the padding of -1 is what an observed pixel is.
  for (uint8_t& pixel : mask.pixels) pixel = static_cast<uint8_t>(255 - pixel);
  MaskedPicture result{.picture = padded(image, size), .known = padded(mask, size)};
  for (float& value : result.known) value = (1 - value) / 2;
  const auto black_or_white = Measurement::mask(size, result.known);
  if (!black_or_white.ok()) return named("--mask", options.mask, black_or_white.error());
  return result;
}

Result<SampleControl> load_control(const ControlOptions& options, const Shape& size) {
  SampleControl control;
  if (!options.classifier.empty()) {
    control.guidance.emplace();
    control.guidance->scale = options.scale;
    ITO_ASSIGN(control.guidance->classifier, load_noisy_classifier(options.classifier));
  }
  if (!options.inpaint.empty()) {
    ITO_ASSIGN(control.observation, inpainting(options, size));
  } else if (!options.colorize.empty()) {
    ITO_ASSIGN(control.observation, colourisation(options, size));
  } else if (!options.inverse.empty()) {
    ITO_ASSIGN(control.observation, inverse_problem(options, size));
  }
  if (control.observation && options.noise_std) control.observation->noise_std = *options.noise_std;
  return control;
}

Json control_settings(const ControlOptions& options, const SampleControl& control) {
  Json settings = Json::object();
  if (!options.initial.empty()) settings["init_image"] = options.initial;
  if (!options.latents.empty()) settings["latents"] = options.latents;
  if (control.guidance) {
    settings["guidance_classifier"] = options.classifier;
    settings["guidance_scale"] = options.scale;
    settings["guidance_weights"] = fingerprint(control.guidance->classifier.weights);
  }
  if (!control.observation) return settings;
  for (const auto& [key, value] : {std::pair{"inpaint", options.inpaint},
                                   {"mask", options.mask},
                                   {"colorize", options.colorize},
                                   {"inverse", options.inverse},
                                   {"observation", options.observation}}) {
    if (!value.empty()) settings[key] = value;
  }
  settings["noise_std"] = control.observation->noise_std;
  settings["observed"] = fingerprint(control.observation->y);
  settings["operator"] = fingerprint(control.observation->measurement.singular());
  return settings;
}

}  // namespace ito::apps
