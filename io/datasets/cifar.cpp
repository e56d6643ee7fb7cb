// CIFAR-10 and CIFAR-100 in their binary version (cs.toronto.edu/~kriz/cifar.html): records of
// label bytes and 3x32x32 planes.
#include <algorithm>

#include "base/error.h"
#include "io/datasets/readers.h"

namespace ito {
namespace {

constexpr size_t kPixels = 32 * 32;

const std::vector<std::string>& cifar10_names() {
  static const std::vector<std::string> kNames = {
      "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
  return kNames;
}

// One name a line, as batches.meta.txt and fine_label_names.txt have them; nothing without the
// file.
std::vector<std::string> names_file(const Path& path) {
  std::vector<std::string> names;
  const auto text = read_file(path, 1 << 20);
  if (!text.ok()) return names;
  size_t begin = 0;
  while (begin < text->size()) {
    const size_t end = std::min(text->find('\n', begin), text->size());
    std::string line = text->substr(begin, end - begin);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) names.push_back(line);
    begin = end + 1;
  }
  return names;
}

// label_bytes: how many stand before the planes; the last of them is the class.
Result<ImageDataset> read_records(const std::vector<Path>& files, const char* what,
                                  size_t label_bytes, int classes) {
  const size_t record = label_bytes + 3 * kPixels;
  ImageDataset data;
  data.h = data.w = 32;
  data.c = 3;
  data.labels.emplace();
  data.facts.format = what;
  for (const Path& path : files) {
    ITO_ASSIGN(std::string bytes, read_file(path, kMaxDatasetBytes));
    if (bytes.empty() || bytes.size() % record != 0)
      return corrupt(
          "{}: {} bytes are no multiple of {}'s records of {} bytes; the file is "
          "truncated",
          path.string(), bytes.size(), what, record);
    for (size_t at = 0; at < bytes.size(); at += record) {
      int label = static_cast<unsigned char>(bytes[at + label_bytes - 1]);
      if (label >= classes)
        return corrupt("{}: record {} has label {}; expected 0 to {}", path.string(), at / record,
                       label, classes - 1);
      data.labels->push_back(label);
      for (size_t p = 0; p < kPixels; ++p)
        for (size_t k = 0; k < 3; ++k)
          data.pixels.push_back(static_cast<uint8_t>(bytes[at + label_bytes + k * kPixels + p]));
      ++data.count;
    }
  }
  return data;
}

}  // namespace

Result<ImageDataset> read_cifar10(const std::vector<Path>& files) {
  ITO_ASSIGN(ImageDataset data, read_records(files, "CIFAR-10", 1, 10));
  data.names = cifar10_names();
  if (!files.empty()) {
    const std::vector<std::string> names = names_file(files[0].parent_path() / "batches.meta.txt");
    if (names.size() == 10) data.names = names;
  }
  return data;
}

bool is_cifar_batch_name(const std::string& name) {
  return (name.starts_with("data_batch_") || name == "test_batch.bin") && name.ends_with(".bin");
}

bool is_cifar10_binary(const Path& folder) {
  return file_exists(folder / "data_batch_1.bin") || file_exists(folder / "test_batch.bin");
}

Result<ImageDataset> read_cifar10_binary(const Path& folder, Split split, const DatasetOptions&) {
  const bool train = split == Split::kTrain;
  std::vector<Path> files;
  if (!train) files.push_back(folder / "test_batch.bin");
  for (int i = 1; train && i <= 5; ++i)
    files.push_back(folder / fmt::format("data_batch_{}.bin", i));
  ITO_ASSIGN(ImageDataset data, read_cifar10(files));
  data.facts.part = train ? "train" : "test";
  return data;
}

bool is_cifar100_binary(const Path& folder) {
  if (!file_exists(folder / "train.bin") && !file_exists(folder / "test.bin")) return false;
  const Path file = file_exists(folder / "train.bin") ? folder / "train.bin" : folder / "test.bin";
  std::error_code ignored;
  const auto size = std::filesystem::file_size(file, ignored);
  return !ignored && (file_exists(folder / "fine_label_names.txt") ||
                      (size > 0 && size % (2 + 3 * kPixels) == 0));
}

Result<ImageDataset> read_cifar100_binary(const Path& folder, Split split, const DatasetOptions&) {
  const bool train = split == Split::kTrain;
  ITO_ASSIGN(ImageDataset data,
             read_records({folder / (train ? "train.bin" : "test.bin")}, "CIFAR-100", 2, 100));
  data.names = names_file(folder / "fine_label_names.txt");
  if (data.names.size() != 100) data.names.clear();
  for (int k = static_cast<int>(data.names.size()); k < 100; ++k)
    data.names.push_back(std::to_string(k));
  data.facts.part = train ? "train" : "test";
  return data;
}

}  // namespace ito
