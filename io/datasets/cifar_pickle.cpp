// CIFAR-10 and CIFAR-100 in their Python version: dicts with an array of bytes [n,3072] and lists
// of labels, pickled by Python 2, or by whoever wrote them anew, in any protocol. Read by
// io/pickle.h, so that nothing in them is run.
#include "base/error.h"
#include "io/datasets/readers.h"
#include "io/numpy_pickle.h"
#include "io/pickle.h"

namespace ito {
namespace {

constexpr size_t kPicturePixels = 32 * 32;
using Kind = PickleValue::Kind;

struct PickledSet {
  const char* name;
  std::vector<std::string> train;
  std::string test, labels, names_file, names;
  int classes;
};

const PickledSet& pickled_set(const Path& folder) {
  static const PickledSet k10 = {
      "CIFAR-10",
      {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"},
      "test_batch",
      "labels",
      "batches.meta",
      "label_names",
      10};
  static const PickledSet k100 = {"CIFAR-100", {"train"},          "test", "fine_labels",
                                  "meta",      "fine_label_names", 100};
  return file_exists(folder / "data_batch_1") || file_exists(folder / "test_batch") ? k10 : k100;
}

bool is_pickle(const Path& path) {
  const auto file = file_exists(path) ? MappedFile::open(path) : Result<MappedFile>(Error{});
  if (!file.ok() || file->bytes().size() < 16) return false;
  const char first = file->bytes()[0];
  return first == '\x80' || first == '(' || first == '}';
}

// Numbers of an array, or of a list of integers of Python or NumPy.
Result<std::vector<int64_t>> integers_of(const Pickle& pickle, const PickleValue& value,
                                         const std::string& where) {
  if (value.kind != Kind::kList && value.kind != Kind::kTuple) {
    ITO_ASSIGN(const HostTensor array, numpy_array(pickle, value, where));
    return to_int64(array, where);
  }
  std::vector<int64_t> numbers;
  for (size_t i = 0; i < value.items.size(); ++i) {
    const PickleValue& item = pickle.item(value, i);
    if (item.kind == Kind::kInt) {
      numbers.push_back(item.integer);
      continue;
    }
    if (!is_numpy_value(pickle, item)) return corrupt("{}: number {} is no integer", where, i);
    ITO_ASSIGN(const HostTensor scalar, numpy_array(pickle, item, where));
    ITO_ASSIGN(const std::vector<int64_t> one, to_int64(scalar, where));
    if (one.size() != 1) return corrupt("{}: number {} is an array", where, i);
    numbers.push_back(one[0]);
  }
  return numbers;
}

Result<Pickle> read_dict(const Path& path) {
  ITO_ASSIGN(const MappedFile file, MappedFile::open(path));
  const std::string_view bytes = file.bytes();
  ITO_ASSIGN(Pickle pickle,
             parse_pickle(bytes, path.string(), is_numpy_name, pickle_memory(bytes.size())));
  if (pickle.root().kind != Kind::kDict) return corrupt("{}: the pickle is no dict", path.string());
  return pickle;
}

Status read_batch(const Path& path, const PickledSet& layout, ImageDataset& data) {
  ITO_ASSIGN(const Pickle dict, read_dict(path));
  const PickleValue *images = dict.find(dict.root(), "data"),
                    *labels = dict.find(dict.root(), layout.labels);
  if (images == nullptr || labels == nullptr)
    return corrupt("{}: no 'data' and '{}' in it", path.string(), layout.labels);
  const std::string what = path.string() + ": 'data'";
  ITO_ASSIGN(const HostTensor raw, numpy_array(dict, *images, what));
  if (raw.type != HostType::kU8 || raw.shape.rank() != 2 || raw.shape[0] < 1 ||
      raw.shape[1] != int64_t{3 * kPicturePixels})
    return corrupt("{} is {} {}, expected U8 [n,{}]", what, host_type_name(raw.type),
                   raw.shape.to_string(), 3 * kPicturePixels);
  ITO_ASSIGN(const std::vector<int64_t> classes,
             integers_of(dict, *labels, fmt::format("{}: '{}'", path.string(), layout.labels)));
  const auto count = static_cast<size_t>(raw.shape[0]);
  if (classes.size() != count)
    return corrupt("{}: {} labels, but {} images", path.string(), classes.size(), count);
  data.pixels.reserve(data.pixels.size() + count * 3 * kPicturePixels);
  for (size_t n = 0; n < count; ++n) {
    if (classes[n] < 0 || classes[n] >= layout.classes)
      return corrupt("{}: image {} has label {}; expected 0 to {}", path.string(), n, classes[n],
                     layout.classes - 1);
    data.labels->push_back(static_cast<int32_t>(classes[n]));
    const uint8_t* const image = raw.bytes.data() + n * 3 * kPicturePixels;
    for (size_t p = 0; p < kPicturePixels; ++p)
      for (size_t k = 0; k < 3; ++k) data.pixels.push_back(image[k * kPicturePixels + p]);
  }
  data.count += static_cast<int64_t>(count);
  return {};
}

}  // namespace

bool is_cifar_pickle(const Path& folder) {
  if (file_exists(folder / "data_batch_1") || file_exists(folder / "test_batch"))
    return is_pickle(folder / "data_batch_1") || is_pickle(folder / "test_batch");
  return file_exists(folder / "meta") && is_pickle(folder / "train");
}

Result<ImageDataset> read_cifar_pickle(const Path& folder, Split split, const DatasetOptions&) {
  const PickledSet& layout = pickled_set(folder);
  ImageDataset data;
  data.h = data.w = 32;
  data.c = 3;
  data.labels.emplace();
  data.facts.format = std::string(layout.name) + " pickles";
  data.facts.part = split == Split::kTrain ? "train" : "test";
  if (split == Split::kTest) {
    ITO_TRY(read_batch(folder / layout.test, layout, data));
  } else {
    for (const std::string& file : layout.train) ITO_TRY(read_batch(folder / file, layout, data));
  }
  if (file_exists(folder / layout.names_file)) {
    ITO_ASSIGN(const Pickle meta, read_dict(folder / layout.names_file));
    const PickleValue* names = meta.find(meta.root(), layout.names);
    if (names != nullptr && names->items.size() == static_cast<size_t>(layout.classes))
      for (size_t i = 0; i < names->items.size(); ++i)
        data.names.push_back(meta.bytes_of(meta.item(*names, i)).value_or(std::to_string(i)));
  }
  for (int k = static_cast<int>(data.names.size()); k < layout.classes; ++k)
    data.names.push_back(std::to_string(k));
  return data;
}

}  // namespace ito
