// ImageSource: the images that `ito likelihood` measures as a command line names them (a part of a
// data set, or a picture), read and brought to a model's size and classes. Not for what is measured
// of them (api/measuring.h, api/log_density_lines.h).
#pragma once

#include <functional>
#include <span>
#include <string>

#include "base/registry.h"
#include "base/result.h"
#include "base/shape.h"
#include "io/dataset.h"

namespace ito {

struct ImageSource {
  std::string path;
  std::string part = "test";    // a row of measured_parts()
  DatasetOptions dataset = {};  // how it is read
  std::string model = {};       // folder of the model whose classes the images get
};

// What --split may be.
struct MeasuredPart {
  Name name;
  bool of_its_own;  // not just all there is
  Result<ImageDataset> (*open)(const ImageSource& source);
};
std::span<const MeasuredPart> measured_parts();

// What people are told of the images; either may be empty.
struct ImageNotes {
  std::function<void(const std::string&)> read;  // a line on what was read
  std::function<void(const std::string&)> note;
};

// A part of a data set at the model's size `image` [h, w, c]; images that are smaller are padded
// with black as in training, and grey ones become coloured for a model of colour. Their classes are
// the model's where both have names. Errors: as of reading; larger images; coloured ones, where the
// model is grey.
Result<ImageDataset> open_measured_images(const ImageSource& source, const Shape& image,
                                          const ImageNotes& notes = {});
// The same where the source may be one picture, which must be as large as the model's images. Error
// besides: another number of channels.
Result<ImageDataset> open_line_end(const ImageSource& source, const Shape& image,
                                   const ImageNotes& notes = {});

}  // namespace ito
