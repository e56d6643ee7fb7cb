#include "api/control_files.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <numbers>
#include <span>
#include <utility>

#include "api/choices.h"
#include "api/fingerprint.h"
#include "base/check.h"
#include "base/error.h"
#include "base/registry.h"
#include "io/dataset.h"
#include "io/image.h"

namespace ito {
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
  const ImageDataset data = dataset_of(image);
  std::vector<float> values(static_cast<size_t>(size[0] * size[1] * image.c));
  // Of what lies in memory it has no errors.
  CHECK(normalised_images(data, {0}, static_cast<int>(size[0]), static_cast<int>(size[1]),
                          values.data())
            .ok(),
        "an image in memory");
  return values;
}

Status check_fit(const std::string& option, const Path& path, const Image& image, const Shape& size,
                 bool exactly) {
  const bool fits =
      exactly ? image.h == size[0] && image.w == size[1] : image.h <= size[0] && image.w <= size[1];
  if (fits) return {};
  return invalid_argument("{} {}: the picture is {}x{} (width x height), expected {}{}x{}", option,
                          path.string(), image.w, image.h, exactly ? "" : "at most ", size[1],
                          size[0]);
}

Result<Image> read_fitting(const std::string& option, const Path& path, const Shape& size,
                           int channels, bool exactly, const Background& background,
                           const NoteFunction& note) {
  ITO_ASSIGN(const Picture picture, read_picture(path));
  if (picture.is_transparent() && note)
    note(fmt::format(
        "{} {}: what is transparent in it lies on #{:02x}{:02x}{:02x}; --background says on what "
        "else",
        option, path.string(), background.rgb[0], background.rgb[1], background.rgb[2]));
  Image image = image_of(picture, channels, background);
  ITO_TRY(check_fit(option, path, image, size, exactly));
  return image;
}

// Black and white, or opaque and transparent: where a picture has transparent pixels, they are the
// hole, whatever colour hides in them.
Result<Image> read_mask(const Path& path, const Shape& size, const NoteFunction& note) {
  ITO_ASSIGN(const Picture picture, read_picture(path));
  if (picture.is_transparent() && note)
    note(
        fmt::format("--mask {}: its transparent pixels are filled and the others kept, whatever "
                    "their colours",
                    path.string()));
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

Result<Observation> inpainting(const ControlFiles& files, const Shape& size,
                               const NoteFunction& note) {
  ITO_ASSIGN(MaskedPicture masked, load_masked_picture(files, size, note));
  ITO_ASSIGN(Measurement measurement, Measurement::mask(size, masked.known));
  return Observation{.measurement = std::move(measurement), .y = std::move(masked.picture)};
}

Result<Observation> colourisation(const ControlFiles& files, const Shape& size,
                                  const NoteFunction& note) {
  auto measurement = Measurement::luminance(size);
  if (!measurement.ok()) return named("--colorize", files.colorize, measurement.error());
  ITO_ASSIGN(const Image image,
             read_fitting("--colorize", files.colorize, size, 3, false, files.background, note));
  const std::vector<float> pixels = padded(image, size);
  Observation observation{.measurement = std::move(measurement).value(), .y = {}};
  observation.limit_colours = true;
  for (size_t i = 0; i < pixels.size(); i += 3)
    observation.y.push_back(
        static_cast<float>((double{pixels[i]} + pixels[i + 1] + pixels[i + 2]) / std::sqrt(3.0)));
  return observation;
}

Result<Observation> inverse_problem(const ControlFiles& files, const Shape& size,
                                    const NoteFunction& note) {
  ITO_ASSIGN(const Inverse inverse, parse_inverse(files.inverse));
  auto measurement = inverse.row->make(size, inverse.number);
  if (!measurement.ok()) return named("--inverse", files.inverse, measurement.error());
  const Shape shape = measurement->observation();
  ITO_ASSIGN(const Image image,
             read_fitting("--observation", files.observation, shape, static_cast<int>(shape[2]),
                          true, files.background, note));
  Observation observation{.measurement = std::move(measurement).value(), .y = padded(image, shape)};
  // Undoing a blur would blow up the rounding of the picture's pixels.
  observation.noise_std = inverse.row->noise_std;
  return observation;
}

}  // namespace

std::vector<Name> inverse_choices() { return names_of(kInverses); }

Status check_inverse(const std::string& text) {
  ITO_TRY(parse_inverse(text));
  return {};
}

Result<std::vector<float>> read_padded(const std::string& option, const Path& path,
                                       const Shape& size, const NoteFunction& note,
                                       const Background& background) {
  ITO_ASSIGN(const Image image,
             read_fitting(option, path, size, static_cast<int>(size[2]), false, background, note));
  return padded(image, size);
}

Result<MaskedPicture> load_masked_picture(const ControlFiles& files, const Shape& size,
                                          const NoteFunction& note) {
  ITO_ASSIGN(const Image image,
             read_fitting("--inpaint", files.inpaint, size, static_cast<int>(size[2]), false,
                          files.background, note));
  ITO_ASSIGN(Image mask, read_mask(files.mask, {image.h, image.w, 1}, note));
  // Upside down, so that the padding of -1 is what an observed pixel is.
  for (uint8_t& pixel : mask.pixels) pixel = static_cast<uint8_t>(255 - pixel);
  MaskedPicture result{.picture = padded(image, size), .known = padded(mask, size)};
  for (float& value : result.known) value = (1 - value) / 2;
  const auto black_or_white = Measurement::mask(size, result.known);
  if (!black_or_white.ok()) return named("--mask", files.mask, black_or_white.error());
  return result;
}

Result<std::optional<Observation>> load_observation(const ControlFiles& files, const Shape& size,
                                                    const NoteFunction& note) {
  std::optional<Observation> observation;
  if (!files.inpaint.empty()) {
    ITO_ASSIGN(observation, inpainting(files, size, note));
  } else if (!files.colorize.empty()) {
    ITO_ASSIGN(observation, colourisation(files, size, note));
  } else if (!files.inverse.empty()) {
    ITO_ASSIGN(observation, inverse_problem(files, size, note));
  }
  if (observation && files.noise_std) observation->noise_std = *files.noise_std;
  return observation;
}

Json control_settings(const ControlFiles& files, const SampleControl& control) {
  Json settings = guidance_settings(control.guidance);
  if (!control.observation) return settings;
  if (!files.inverse.empty()) settings["inverse"] = files.inverse;
  settings["noise_std"] = control.observation->noise_std;
  settings["observed"] = fingerprint(control.observation->y);
  settings["operator"] = fingerprint(control.observation->measurement.singular());
  return settings;
}

}  // namespace ito
