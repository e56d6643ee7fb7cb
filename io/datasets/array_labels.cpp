#include "io/datasets/array_labels.h"

#include <utility>

#include "base/error.h"
#include "io/npy.h"

namespace ito {

int64_t Labels::count() const {
  const Shape& shape = numbers ? numbers->shape : names.shape;
  return shape.rank() > 0 ? shape[0] : -1;
}

std::vector<std::string> Labels::classes() const {
  return numbers ? std::vector<std::string>() : classes_of(names);
}

Result<Labels> labels_of(Result<HostTensor> numbers,
                         const std::function<Result<NpyTexts>()>& read_texts) {
  if (numbers.ok()) return Labels{std::move(numbers).value(), {}};
  if (numbers.error().kind != ErrorKind::kUnsupported) return std::move(numbers).error();
  if (read_texts) {
    auto texts = read_texts();
    if (texts.ok()) return Labels{std::nullopt, std::move(texts).value()};
    if (texts.error().kind != ErrorKind::kUnsupported) return std::move(texts).error();
  }
  return unsupported("{}; labels are numbers or texts", numbers.error().message);
}

Result<Labels> read_label_file(const Path& path) {
  if (path.extension() == ".npy")
    return labels_of(read_npy(path), [&] { return read_npy_texts(path); });
  ITO_ASSIGN(NpzFile file, NpzFile::open(path));
  const std::vector<std::string> names = file.names();
  if (names.empty()) return corrupt("{}: there is no array in it", path.string());
  return labels_of(file.read(names[0]), [&] { return file.read_texts(names[0]); });
}

Status take(ImageDataset& data, const Labels& labels, const std::vector<std::string>& known,
            const std::string& where) {
  return labels.numbers ? take_labels(data, *labels.numbers, where)
                        : take_labels(data, labels.names, known, where);
}

}  // namespace ito
