// Data sets as arrays: .npy, .npz (ours, Keras', MedMNIST's, those of metric tools) and
// .safetensors.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>

#include "base/error.h"
#include "io/datasets/readers.h"
#include "io/layout.h"
#include "io/npy.h"
#include "io/png.h"
#include "io/safetensors.h"

namespace ito {
namespace {

// Beyond the range by no more than this is rounding.
constexpr float kRounding = 1e-4f;

struct ArrayNames {
  std::string_view images, labels, part;  // part: "train", "test", "val", or "all"
};
// In the order in which they are looked for.
constexpr std::array<ArrayNames, 11> kArrayNames = {{{"images", "labels", "all"},
                                                     {"x", "y", "all"},
                                                     {"arr_0", "arr_1", "all"},
                                                     {"data", "labels", "all"},
                                                     {"x_train", "y_train", "train"},
                                                     {"X_train", "Y_train", "train"},
                                                     {"train_images", "train_labels", "train"},
                                                     {"x_test", "y_test", "test"},
                                                     {"X_test", "Y_test", "test"},
                                                     {"test_images", "test_labels", "test"},
                                                     {"val_images", "val_labels", "val"}}};

// The arrays of a file by name, read when they are asked for.
struct Arrays {
  std::string where;
  std::vector<std::string> names;
  std::function<Result<HostTensor>(std::string_view)> read;
  bool ours = false;  // written by `ito sample`

  bool has(std::string_view name) const {
    return std::find(names.begin(), names.end(), name) != names.end();
  }
};

Result<Arrays> open_arrays(const Path& path) {
  Arrays arrays;
  arrays.where = path.string();
  const std::string ending = path.extension().string();
  if (ending == ".safetensors") {
    ITO_ASSIGN(TensorFile file, read_safetensors(path));
    for (const auto& [name, tensor] : file.tensors) arrays.names.push_back(name);
    arrays.ours = file.metadata.contains("settings");
    auto shared = std::make_shared<TensorFile>(std::move(file));
    arrays.read = [shared, where = arrays.where](std::string_view name) -> Result<HostTensor> {
      ITO_ASSIGN(const HostTensor* tensor, find_tensor(*shared, std::string(name), where));
      return *tensor;
    };
    return arrays;
  }
  ITO_ASSIGN(NpzFile opened, NpzFile::open(path));
  auto file = std::make_shared<NpzFile>(std::move(opened));
  arrays.names = file->names();
  arrays.ours = file->has("seeds") && file->has("images");
  arrays.read = [file](std::string_view name) { return file->read(name); };
  return arrays;
}

// [count,h,w] or [count,h,w,c] of what may have its channels second, or may be one picture.
Result<HostTensor> images_last(HostTensor images, bool ours, int64_t labels, ImageDataset& data,
                               const std::string& where) {
  const std::vector<int64_t> dims = images.shape.dims();
  const auto is_channels = [](int64_t n) { return n == 1 || n == 3 || n == 4; };
  const auto is_side = [](int64_t n) { return n > 4; };
  const std::string shape = images.shape.to_string();
  if (dims.size() == 2)
    return invalid_argument(
        "{}: extents {} could be one picture or {} flattened ones; reshape it to [count,h,w] or "
        "[count,h,w,c]",
        where, shape, dims[0]);
  if (dims.size() == 3 && labels != dims[0]) {
    const bool last = is_channels(dims[2]) && is_side(dims[0]) && is_side(dims[1]);
    const bool first = (dims[0] == 3 || dims[0] == 4) && is_side(dims[1]) && is_side(dims[2]);
    if (last || first)
      return invalid_argument(
          "{}: extents {} could be one picture or {} pictures; reshape it to [1,{},{},{}] or to "
          "[count,h,w,1]",
          where, shape, dims[0], dims[0], dims[1], dims[2]);
  }
  if (dims.size() != 4) return images;
  const bool last = dims[3] >= 1 && dims[3] <= 4;
  const bool first = dims[1] == 1 || dims[1] == 3 || dims[1] == 4;
  if (!first || (last && !ours)) {
    if (first && last && (is_side(dims[1]) || is_side(dims[2])))
      data.facts.notes.push_back(
          fmt::format("{} is read as [count,h,w,c], though it could be [count,c,h,w]", shape));
    return images;
  }
  if (!ours) data.facts.notes.push_back(fmt::format("{} is read as [count,c,h,w]", shape));
  const size_t width = host_type_size(images.type);
  const size_t n = static_cast<size_t>(dims[0]), c = static_cast<size_t>(dims[1]);
  const size_t pixels = static_cast<size_t>(dims[2]) * static_cast<size_t>(dims[3]);
  std::vector<uint8_t> moved(images.bytes.size());
  for (size_t i = 0; i < n; ++i)
    for (size_t k = 0; k < c; ++k)
      for (size_t p = 0; p < pixels; ++p)
        std::copy_n(
            images.bytes.begin() + static_cast<ptrdiff_t>(((i * c + k) * pixels + p) * width),
            width, moved.begin() + static_cast<ptrdiff_t>(((i * pixels + p) * c + k) * width));
  images.bytes = std::move(moved);
  images.shape = Shape{dims[0], dims[2], dims[3], dims[1]};
  return images;
}

bool is_floating(HostType type) {
  return type == HostType::kF32 || type == HostType::kF16 || type == HostType::kF64 ||
         type == HostType::kBF16;
}

// Values of the range to [-1,1] and to bytes.
Status take_floats(ImageDataset& data, const HostTensor& images, const DatasetOptions& options,
                   bool ours, const std::string& where) {
  std::vector<float> values = to_floats(images);
  float least = std::numeric_limits<float>::infinity(), most = -least;
  for (const float v : values) {
    if (!std::isfinite(v)) return corrupt("{}: pixel value {} is not a number", where, v);
    least = std::min(least, v);
    most = std::max(most, v);
  }
  data.facts.least = least;
  data.facts.most = most;
  ValueRange range = options.range;
  if (range == ValueRange::kAuto) {
    range = least >= 0 && !ours ? ValueRange::kUnit : ValueRange::kSigned;
    if (range == ValueRange::kUnit && most <= 1 + kRounding)
      data.facts.notes.push_back(
          "no value is below 0, so 0 is taken for black and 1 for white; --range=-1,1 says "
          "otherwise");
  }
  const float low = range == ValueRange::kSigned ? -1.0f : 0.0f;
  const float high = range == ValueRange::kBytes ? 255.0f : 1.0f;
  const float slack = kRounding * (high - low);
  if (ours && (least < low || most > high)) {
    data.facts.notes.push_back("values beyond [-1,1] are cut off");
  } else if (least < low - slack || most > high + slack) {
    return corrupt(
        "{}: pixel value {}; expected floating-point images in [-1,1] or [0,1]; --range 0,255 "
        "takes "
        "those of bytes",
        where, least < low - slack ? least : most);
  }
  bool bytes_enough = true;
  for (float& v : values) {
    v = std::clamp(v, low, high);
    v = range == ValueRange::kUnit ? 2 * v - 1 : range == ValueRange::kBytes ? v / 127.5f - 1 : v;
    const uint8_t byte = to_byte(v);
    const float again = static_cast<float>(byte) / 127.5f - 1.0f;
    bytes_enough = bytes_enough && std::abs(again - v) <= 1e-6f;
    data.pixels.push_back(byte);
  }
  if (!bytes_enough) data.floats = std::move(values);
  return {};
}

Status take_integers(ImageDataset& data, const HostTensor& images, const std::string& where) {
  if (images.type == HostType::kBool) {
    for (const uint8_t v : images.bytes) data.pixels.push_back(v != 0 ? 255 : 0);
    data.facts.least = 0;
    data.facts.most = 1;
    data.facts.notes.push_back("false is black and true is white");
    return {};
  }
  ITO_ASSIGN(const std::vector<int64_t> values, to_int64(images, where));
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  data.facts.least = static_cast<double>(*least);
  data.facts.most = static_cast<double>(*most);
  const bool words = images.type == HostType::kU16 && *most > 255;
  if (*least < 0 || (!words && *most > 255))
    return corrupt("{}: pixel value {}; expected integers from 0 to 255", where,
                   *least < 0 ? *least : *most);
  for (const int64_t v : values) {
    data.pixels.push_back(static_cast<uint8_t>(words ? (v + 128) / 257 : v));
    if (words) data.floats.push_back(static_cast<float>(v) / 32767.5f - 1.0f);
  }
  if (!words && images.type == HostType::kU16)
    data.facts.notes.push_back("no value is above 255, so 255 is taken for white");
  return {};
}

Result<ImageDataset> dataset_from_tensor(HostTensor tensor, const DatasetOptions& options,
                                         bool ours, int64_t labels, const std::string& where) {
  ImageDataset data;
  data.facts.format = "arrays";
  ITO_ASSIGN(const HostTensor images, images_last(std::move(tensor), ours, labels, data, where));
  ITO_TRY(set_extents(data, images.shape.dims(), where));
  if (images.type == HostType::kU8) {
    data.pixels.assign(images.bytes.begin(), images.bytes.end());
  } else if (is_floating(images.type)) {
    ITO_TRY(take_floats(data, images, options, ours, where));
  } else {
    ITO_TRY(take_integers(data, images, where));
  }
  return data;
}

// Labels [n], [n,1], or [n,k] of which one is 1.
Status take_labels(ImageDataset& data, const HostTensor& tensor, const std::string& where) {
  const std::vector<int64_t> dims = tensor.shape.dims();
  const int64_t rows = dims.empty() ? 1 : dims[0];
  const int64_t columns = rows > 0 ? tensor.shape.numel() / rows : 0;
  if (rows != data.count) return corrupt("{}: {} labels, but {} images", where, rows, data.count);
  std::vector<int64_t> values;
  if (is_floating(tensor.type)) {
    for (const float v : to_floats(tensor)) {
      if (v != std::floor(v) || std::abs(v) > 1e9f)
        return corrupt("{}: label {}; expected whole numbers", where, v);
      values.push_back(static_cast<int64_t>(v));
    }
  } else {
    ITO_ASSIGN(values, to_int64(tensor, where + ": labels"));
  }
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < rows; ++i) {
    const auto row = values.begin() + i * columns;
    int64_t label = columns > 0 ? *row : 0;
    if (columns > 1) {
      const auto one = std::max_element(row, row + columns);
      const bool single = *one == 1 && std::count(row, row + columns, 0) == columns - 1;
      if (!single) {
        data.facts.notes.push_back(
            fmt::format("labels of extents {} name several classes an image; they are left out",
                        tensor.shape.to_string()));
        return {};
      }
      label = one - row;
    }
    if (label < 0 || label > std::numeric_limits<int32_t>::max())
      return corrupt("{}: label {}; expected 0 or more", where, label);
    labels.push_back(static_cast<int32_t>(label));
  }
  data.labels = std::move(labels);
  return {};
}

// The rows of kArrayNames whose images the file has and that the split means.
const ArrayNames* names_for(const Arrays& arrays, Split split, bool& parted) {
  const ArrayNames* found = nullptr;
  for (const ArrayNames& row : kArrayNames) {
    if (!arrays.has(row.images)) continue;
    const bool part = row.part != "all";
    parted = parted || part;
    const bool wanted = !part || (row.part == "train") == (split == Split::kTrain);
    if (wanted && found == nullptr) found = &row;
  }
  return found;
}

}  // namespace

Result<ImageDataset> read_array_dataset(const Path& path, Split split,
                                        const DatasetOptions& options) {
  if (path.extension() == ".npy") {
    ITO_ASSIGN(HostTensor images, read_npy(path));
    ITO_ASSIGN(ImageDataset data,
               dataset_from_tensor(std::move(images), options, false, -1, path.string()));
    data.facts.part = "all";
    return data;
  }
  ITO_ASSIGN(const Arrays arrays, open_arrays(path));
  bool parted = false;
  const ArrayNames* row = names_for(arrays, split, parted);
  ArrayNames alone;
  if (row == nullptr && parted)
    return not_found("{}: no array of {} images; there are {}", path.string(),
                     split == Split::kTrain ? "training" : "test", listed(arrays.names));
  if (row == nullptr && arrays.names.size() == 1) {
    alone = {arrays.names[0], "", "all"};
    row = &alone;
  }
  if (row == nullptr)
    return not_found("{}: no array named images, x or arr_0; there are {}", path.string(),
                     arrays.names.empty() ? "none" : listed(arrays.names));
  ITO_ASSIGN(HostTensor images, arrays.read(row->images));
  std::string_view labels_name = arrays.has(row->labels) ? row->labels : "";
  // What `ito sample` writes beside its images.
  if (labels_name.empty() && row->part == "all" && arrays.has("classes")) labels_name = "classes";
  std::optional<HostTensor> labels;
  if (!labels_name.empty()) {
    ITO_ASSIGN(labels, arrays.read(labels_name));
  }
  const int64_t count = labels && labels->shape.rank() > 0 ? labels->shape[0] : -1;
  ITO_ASSIGN(ImageDataset data,
             dataset_from_tensor(std::move(images), options, arrays.ours && row->images == "images",
                                 count, path.string()));
  data.facts.part = row->part;
  if (labels) ITO_TRY(take_labels(data, *labels, path.string()));
  name_known_classes(data, path);
  return data;
}

bool is_array_folder(const Path& folder) {
  int arrays = 0;
  for (const std::string& name : visible_names(folder)) {
    const std::string ending = Path(name).extension().string();
    arrays += ending == ".npz" || ending == ".npy" ? 1 : 0;
  }
  return arrays > 0 && !has_pictures(folder);
}

// One file, or images and labels beside one another (Kuzushiji-49: k49-train-imgs.npz and
// k49-train-labels.npz).
Result<ImageDataset> read_array_folder(const Path& folder, Split split,
                                       const DatasetOptions& options) {
  std::vector<std::string> files;
  for (const std::string& name : visible_names(folder)) {
    const std::string ending = Path(name).extension().string();
    if (ending == ".npz" || ending == ".npy") files.push_back(name);
  }
  if (files.size() == 1) return read_array_dataset(folder / files[0], split, options);
  if (are_sample_archives(folder, files)) return read_sample_archives(folder, files);
  const char* part = split == Split::kTrain ? "train" : "test";
  std::vector<std::string> images;
  for (const std::string& name : files)
    if (name.find(part) != std::string::npos &&
        (name.find("imgs") != std::string::npos || name.find("images") != std::string::npos ||
         name.starts_with("x_") || name.starts_with("X_")))
      images.push_back(name);
  if (images.size() != 1)
    return images.empty() && split == Split::kTest
               ? not_found("{}: no array of test images; there are {}", folder.string(),
                           listed(files))
               : invalid_argument("{} holds several arrays; give one of {}", folder.string(),
                                  listed(files));
  std::string labels = images[0];
  for (const auto& [from, to] : {std::pair<std::string_view, std::string_view>{"imgs", "labels"},
                                 {"images", "labels"},
                                 {"x_", "y_"},
                                 {"X_", "Y_"}}) {
    const size_t at = labels.find(from);
    if (at == std::string::npos) continue;
    labels.replace(at, from.size(), to);
    break;
  }
  ITO_ASSIGN(ImageDataset data, read_array_dataset(folder / images[0], split, options));
  data.facts.part = part;
  if (labels == images[0] || !file_exists(folder / labels)) {
    data.facts.notes.push_back(
        fmt::format("there are no labels beside {}", (folder / images[0]).string()));
    return data;
  }
  if (Path(labels).extension() == ".npy") {
    ITO_ASSIGN(const HostTensor tensor, read_npy(folder / labels));
    ITO_TRY(take_labels(data, tensor, (folder / labels).string()));
    return data;
  }
  ITO_ASSIGN(const Arrays arrays, open_arrays(folder / labels));
  if (arrays.names.empty())
    return corrupt("{}: there is no array in it", (folder / labels).string());
  ITO_ASSIGN(const HostTensor tensor, arrays.read(arrays.names[0]));
  ITO_TRY(take_labels(data, tensor, (folder / labels).string()));
  return data;
}

}  // namespace ito
