// Data sets from folders of image files and from NumPy arrays.
#include <algorithm>
#include <cctype>
#include <limits>

#include "base/error.h"
#include "io/dataset_readers.h"
#include "io/image.h"
#include "io/npy.h"
#include "io/png.h"

namespace ito {
namespace {

bool is_image_name(const std::string& name) {
  std::string extension = Path(name).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

Result<std::vector<Path>> images_in(const Path& folder) {
  ITO_ASSIGN(std::vector<std::string> names, list_folder(folder));
  std::vector<Path> paths;
  for (const std::string& name : names)
    if (is_image_name(name)) paths.push_back(folder / name);
  return paths;
}

Status append_image(ImageDataset& data, const Path& path, const ImageFolderOptions& options,
                    const Path& first) {
  int channels = data.count == 0 ? options.channels : data.c;
  ITO_ASSIGN(Image image, read_image(path, channels));
  if (options.size > 0) image = resize(centre_crop_square(image), options.size, options.size);
  if (data.count == 0) {
    data.h = image.h;
    data.w = image.w;
    data.c = image.c;
  } else if (image.h != data.h || image.w != data.w) {
    return corrupt(
        "{}: image of {}x{}, but {} has {}x{}; expected one size (or ask for a size to "
        "crop and resize to)",
        path.string(), image.w, image.h, first.string(), data.w, data.h);
  }
  data.pixels.insert(data.pixels.end(), image.pixels.begin(), image.pixels.end());
  ++data.count;
  return {};
}

const HostTensor* first_of(const TensorFile& file, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    auto it = file.tensors.find(name);
    if (it != file.tensors.end()) return &it->second;
  }
  return nullptr;
}

Result<ImageDataset> dataset_from_tensor(const HostTensor& images, const std::string& where) {
  ImageDataset data;
  ITO_TRY(set_extents(data, images.shape.dims(), where));
  if (images.type == HostType::kU8) {
    data.pixels = images.bytes;
    return data;
  }
  if (images.type != HostType::kF32 && images.type != HostType::kF16 &&
      images.type != HostType::kF64)
    return unsupported("{}: images of type {}; expected U8 or floating point", where,
                       host_type_name(images.type));
  for (float value : to_floats(images)) {
    if (!(value >= -1.0f && value <= 1.0f))
      return corrupt("{}: pixel value {}; expected floating-point images in [-1,1]", where, value);
    data.pixels.push_back(to_byte(value));
  }
  return data;
}

}  // namespace

Result<ImageDataset> read_image_folder(const Path& folder, const ImageFolderOptions& options) {
  ITO_ASSIGN(std::vector<Path> loose, images_in(folder));
  ITO_ASSIGN(std::vector<std::string> names, list_folder(folder));
  ImageDataset data;
  Path first;
  auto append_all = [&](const std::vector<Path>& paths) -> Status {
    for (const Path& path : paths) {
      if (data.count == 0) first = path;
      ITO_TRY(append_image(data, path, options, first));
    }
    return {};
  };
  ITO_TRY(append_all(loose));
  if (!loose.empty()) return data;

  data.labels.emplace();
  for (const std::string& name : names) {
    if (name.starts_with(".") || !folder_exists(folder / name)) continue;
    ITO_ASSIGN(std::vector<Path> paths, images_in(folder / name));
    if (paths.empty()) continue;
    ITO_TRY(append_all(paths));
    data.labels->resize(static_cast<size_t>(data.count), static_cast<int32_t>(data.names.size()));
    data.names.push_back(name);
  }
  if (data.count == 0)
    return not_found("{}: no IDX, CIFAR-10, PNG or JPEG files in it", folder.string());
  return data;
}

Result<ImageDataset> read_numpy_dataset(const Path& path) {
  if (path.extension() == ".npy") {
    ITO_ASSIGN(HostTensor images, read_npy(path));
    return dataset_from_tensor(images, path.string());
  }
  ITO_ASSIGN(TensorFile file, read_npz(path));
  const HostTensor* images = first_of(file, {"images", "x", "arr_0"});
  if (images == nullptr) return not_found("{}: no array named images, x or arr_0", path.string());
  ITO_ASSIGN(ImageDataset data, dataset_from_tensor(*images, path.string()));
  const HostTensor* labels = first_of(file, {"labels", "y", "arr_1"});
  if (labels == nullptr) return data;
  ITO_ASSIGN(std::vector<int64_t> values, to_int64(*labels, path.string() + ": labels"));
  if (static_cast<int64_t>(values.size()) != data.count)
    return corrupt("{}: {} labels, but {} images", path.string(), values.size(), data.count);
  data.labels.emplace();
  for (int64_t value : values) {
    if (value < 0 || value > std::numeric_limits<int32_t>::max())
      return corrupt("{}: label {}; expected 0 or more", path.string(), value);
    data.labels->push_back(static_cast<int32_t>(value));
  }
  return data;
}

}  // namespace ito
