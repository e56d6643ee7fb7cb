#include "io/dataset.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/error.h"
#include "io/compress.h"
#include "io/dataset_readers.h"

namespace ito {
namespace {

constexpr uint64_t kMaxDatasetBytes = uint64_t{16} << 30;

// One IDX file: extents, and bytes which fill them exactly.
struct Idx {
  std::vector<int64_t> dims;
  std::string bytes;  // with the header
  size_t offset = 0;  // of the first element
};

Result<Idx> read_idx_file(const Path& path) {
  ITO_ASSIGN(std::string bytes, read_file(path, kMaxDatasetBytes));
  if (is_gzip(bytes)) {
    ITO_ASSIGN(bytes, inflate(bytes, Compression::kGzip, path.string(), kMaxDatasetBytes));
  }
  auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  // Magic: two zero bytes, element type (8 = u8), number of extents; then big-endian extents.
  if (bytes.size() < 4) return corrupt("{}: {} bytes are no IDX file", path.string(), bytes.size());
  if (byte(0) != 0 || byte(1) != 0 || byte(2) != 8)
    return corrupt(
        "{}: magic number {:02x}{:02x}{:02x}{:02x}; expected 000008NN, an IDX file of "
        "unsigned bytes",
        path.string(), byte(0), byte(1), byte(2), byte(3));
  Idx idx;
  size_t rank = byte(3);
  idx.offset = 4 + 4 * rank;
  if (bytes.size() < idx.offset) return corrupt("{}: IDX header is truncated", path.string());
  for (size_t i = 0; i < rank; ++i) {
    size_t at = 4 + 4 * i;
    idx.dims.push_back(int64_t{byte(at)} << 24 | byte(at + 1) << 16 | byte(at + 2) << 8 |
                       byte(at + 3));
  }
  std::optional<int64_t> numel = checked_numel(idx.dims, 1);
  if (!numel || static_cast<uint64_t>(*numel) != bytes.size() - idx.offset)
    return corrupt("{}: extents {} do not fit its {} bytes of data; the file is {}", path.string(),
                   Shape(idx.dims).to_string(), bytes.size() - idx.offset,
                   !numel || static_cast<uint64_t>(*numel) > bytes.size() - idx.offset
                       ? "truncated"
                       : "followed by other bytes");
  idx.bytes = std::move(bytes);
  return idx;
}

// The file of that name in folder, plain or gzipped; empty if there is neither.
Path idx_in(const Path& folder, const std::string& name) {
  for (const char* suffix : {"", ".gz"})
    if (file_exists(folder / (name + suffix))) return folder / (name + suffix);
  return {};
}

// "…images-idx3…" → "…labels-idx1…" if that file exists.
Path labels_beside(const Path& images) {
  std::string name = images.filename().string();
  size_t at = name.find("images-idx3");
  if (at == std::string::npos) return {};
  Path labels = images.parent_path() / name.replace(at, 11, "labels-idx1");
  return file_exists(labels) ? labels : Path();
}

Status set_labels(ImageDataset& data, std::vector<int32_t> labels, std::string_view images_name,
                  std::string_view labels_name) {
  if (static_cast<int64_t>(labels.size()) != data.count)
    return corrupt("{}: {} labels, but {} has {} images", labels_name, labels.size(), images_name,
                   data.count);
  data.labels = std::move(labels);
  return {};
}

}  // namespace

Status set_extents(ImageDataset& data, const std::vector<int64_t>& dims, std::string_view where) {
  constexpr int64_t kMaxSide = 1 << 16;
  bool ok = dims.size() == 3 || (dims.size() == 4 && dims[3] >= 1 && dims[3] <= 4);
  if (!ok || dims[1] < 1 || dims[2] < 1 || dims[1] > kMaxSide || dims[2] > kMaxSide)
    return corrupt("{}: extents {} are no images; expected [count,h,w] or [count,h,w,c]", where,
                   Shape(dims).to_string());
  if (dims[0] == 0) return corrupt("{}: there are no images in it", where);
  data.count = dims[0];
  data.h = static_cast<int>(dims[1]);
  data.w = static_cast<int>(dims[2]);
  data.c = dims.size() == 4 ? static_cast<int>(dims[3]) : 1;
  return {};
}

int ImageDataset::num_classes() const {
  if (!labels || labels->empty()) return 0;
  if (!names.empty()) return static_cast<int>(names.size());
  return *std::max_element(labels->begin(), labels->end()) + 1;
}

Result<ImageDataset> read_idx(const Path& images, const Path& labels) {
  ITO_ASSIGN(Idx idx, read_idx_file(images));
  ImageDataset data;
  ITO_TRY(set_extents(data, idx.dims, images.string()));
  data.pixels.assign(idx.bytes.begin() + static_cast<ptrdiff_t>(idx.offset), idx.bytes.end());
  if (labels.empty()) return data;
  ITO_ASSIGN(Idx list, read_idx_file(labels));
  if (list.dims.size() != 1)
    return corrupt("{}: extents {} are no labels; expected [count]", labels.string(),
                   Shape(list.dims).to_string());
  std::vector<int32_t> values;
  for (size_t i = list.offset; i < list.bytes.size(); ++i)
    values.push_back(static_cast<unsigned char>(list.bytes[i]));
  ITO_TRY(set_labels(data, std::move(values), images.string(), labels.string()));
  return data;
}

Result<ImageDataset> read_cifar10(const std::vector<Path>& files) {
  constexpr size_t kPixels = 32 * 32, kRecord = 1 + 3 * kPixels;
  ImageDataset data;
  data.h = data.w = 32;
  data.c = 3;
  data.labels.emplace();
  data.names = {"airplane", "automobile", "bird",  "cat",  "deer",
                "dog",      "frog",       "horse", "ship", "truck"};
  for (const Path& path : files) {
    ITO_ASSIGN(std::string bytes, read_file(path, kMaxDatasetBytes));
    if (bytes.empty() || bytes.size() % kRecord != 0)
      return corrupt(
          "{}: {} bytes are no multiple of CIFAR-10's records of {} bytes; the file is "
          "truncated",
          path.string(), bytes.size(), kRecord);
    for (size_t at = 0; at < bytes.size(); at += kRecord) {
      int label = static_cast<unsigned char>(bytes[at]);
      if (label > 9)
        return corrupt("{}: record {} has label {}; expected 0 to 9", path.string(), at / kRecord,
                       label);
      data.labels->push_back(label);
      for (size_t p = 0; p < kPixels; ++p)
        for (size_t k = 0; k < 3; ++k)
          data.pixels.push_back(static_cast<uint8_t>(bytes[at + 1 + k * kPixels + p]));
      ++data.count;
    }
  }
  return data;
}

Result<ImageDataset> open_dataset(const Path& path, Split split,
                                  const ImageFolderOptions& options) {
  if (!folder_exists(path)) {
    if (!file_exists(path)) return not_found("no data set {}", path.string());
    std::string extension = path.extension().string();
    if (extension == ".npy" || extension == ".npz") return read_numpy_dataset(path);
    return read_idx(path, labels_beside(path));
  }
  bool train = split == Split::kTrain;
  if (!idx_in(path, "train-images-idx3-ubyte").empty() ||
      !idx_in(path, "t10k-images-idx3-ubyte").empty()) {
    std::string prefix = train ? "train" : "t10k";
    Path images = idx_in(path, prefix + "-images-idx3-ubyte");
    if (images.empty())
      return not_found("{}: {}-images-idx3-ubyte or .gz is missing", path.string(), prefix);
    return read_idx(images, idx_in(path, prefix + "-labels-idx1-ubyte"));
  }
  if (file_exists(path / "data_batch_1.bin") || file_exists(path / "test_batch.bin")) {
    std::vector<Path> files;
    if (!train) files.push_back(path / "test_batch.bin");
    for (int i = 1; train && i <= 5; ++i)
      files.push_back(path / fmt::format("data_batch_{}.bin", i));
    return read_cifar10(files);
  }
  Path inner = path / (train ? "train" : "test");
  return read_image_folder(folder_exists(inner) ? inner : path, options);
}

Result<ImageDataset> pad_to(const ImageDataset& data, int size, uint8_t value) {
  if (size < data.h || size < data.w)
    return invalid_argument("images of {}x{} cannot be padded to {}x{}", data.h, data.w, size,
                            size);
  ImageDataset out = data;
  out.h = out.w = size;
  out.pixels.assign(static_cast<size_t>(data.count) * out.image_size(), value);
  auto row = static_cast<ptrdiff_t>(data.w) * data.c;
  ptrdiff_t top = (size - data.h) / 2, left = (size - data.w) / 2;
  for (int64_t n = 0; n < data.count; ++n)
    for (ptrdiff_t y = 0; y < data.h; ++y)
      std::copy_n(data.pixels.begin() + (n * data.h + y) * row, row,
                  out.pixels.begin() + ((n * size + top + y) * size + left) * data.c);
  return out;
}

void normalised_images(const ImageDataset& data, const std::vector<int64_t>& indices, int padded_h,
                       int padded_w, float* out) {
  CHECK(padded_h >= data.h && padded_w >= data.w, "padding cannot shrink images");
  auto w = static_cast<size_t>(data.w) * static_cast<size_t>(data.c);
  auto padded_row = static_cast<size_t>(padded_w) * static_cast<size_t>(data.c);
  auto top = static_cast<size_t>((padded_h - data.h) / 2);
  auto left = static_cast<size_t>((padded_w - data.w) / 2) * static_cast<size_t>(data.c);
  size_t padded_image = static_cast<size_t>(padded_h) * padded_row;
  std::fill_n(out, indices.size() * padded_image, -1.0f);
  for (size_t n = 0; n < indices.size(); ++n) {
    CHECK(indices[n] >= 0 && indices[n] < data.count, "image index out of range");
    const uint8_t* source =
        data.pixels.data() + static_cast<size_t>(indices[n]) * data.image_size();
    float* image = out + n * padded_image;
    for (size_t y = 0; y < static_cast<size_t>(data.h); ++y)
      for (size_t x = 0; x < w; ++x)
        image[(top + y) * padded_row + left + x] =
            static_cast<float>(source[y * w + x]) / 127.5f - 1.0f;
  }
}

}  // namespace ito
