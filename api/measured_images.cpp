#include "api/measured_images.h"

#include <fmt/format.h>

#include <optional>

#include "api/run_data.h"
#include "base/error.h"
#include "io/class_names.h"
#include "io/image.h"

namespace ito {
namespace {

constexpr MeasuredPart kMeasuredParts[] = {
    {{"train", "images to train on", "", ""},
     false,
     [](const ImageSource& source) {
       return open_dataset(source.path, Split::kTrain, source.dataset);
     }},
    {{"test", "images to test on, or all where no part is for that", "", ""},
     true,
     [](const ImageSource& source) {
       return open_dataset(source.path, Split::kTest, source.dataset);
     }},
    {{"held-out", "images that the run in --model held out of the data set", "", ""},
     true,
     [](const ImageSource& source) {
       return open_held_out(source.model, source.path, source.dataset.reading);
     }},
};

void tell(const ImageSource& source, const MeasuredPart& part, const ImageDataset& data,
          const ImageNotes& notes) {
  if (notes.read) notes.read(describe(data, "images"));
  if (!notes.note) return;
  for (const std::string& text : data.facts.notes) notes.note(text);
  if (data.facts.part == "all" && part.of_its_own)
    notes.note(fmt::format("{} has no test part; all its images are taken", source.path));
}

}  // namespace

std::span<const MeasuredPart> measured_parts() { return kMeasuredParts; }

Result<ImageDataset> open_measured_images(const ImageSource& given, const Shape& image,
                                          const ImageNotes& notes) {
  ITO_ASSIGN(const MeasuredPart* part, row_called(measured_parts(), given.part, "--split"));
  ImageSource source = given;
  if (image[2] == 3) source.dataset.channels = 3;  // of grey ones, too
  ITO_ASSIGN(ImageDataset data, part->open(source));
  tell(source, *part, data, notes);
  ITO_ASSIGN(const std::optional<ClassNames> names, read_class_names(source.model));
  ITO_TRY(match_classes(data, names));
  if (data.c != image[2])
    return invalid_argument("the {} in {} have {} channel{}, the model's {}{}",
                            kind_of_images(data), data.facts.from.string(), data.c,
                            data.c == 1 ? "" : "s", image[2], channels_remedy(data.c, image[2]));
  const int64_t h = image[0], w = image[1];
  if (data.h > h || data.w > w)
    return invalid_argument(
        "the images in {} are {} wide and {} high, the model's {} and {}; --resize {} makes them "
        "so, cut or, with --pad, surrounded",
        source.path, data.w, data.h, w, h, w == h ? std::to_string(w) : fmt::format("{}x{}", w, h));
  return pad_to(data, static_cast<int>(h), static_cast<int>(w), 0);
}

Result<ImageDataset> open_line_end(const ImageSource& source, const Shape& image,
                                   const ImageNotes& notes) {
  ImageDataset data;
  if (picture_format_of_ending(Path(source.path).extension().string()) != nullptr) {
    ITO_ASSIGN(const Image picture,
               read_image(source.path, image[2] == 1 ? 1 : 3, source.dataset.background));
    data = dataset_of(picture);
  } else {
    ITO_ASSIGN(data, open_measured_images(source, image, notes));
  }
  if (data.h != image[0] || data.w != image[1] || data.c != image[2])
    return invalid_argument("the images in {} are {}x{}x{}, the model expects {}x{}x{}",
                            source.path, data.h, data.w, data.c, image[0], image[1], image[2]);
  return data;
}

}  // namespace ito
