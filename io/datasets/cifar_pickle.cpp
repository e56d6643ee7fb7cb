// CIFAR-10 and CIFAR-100 in their Python version: dicts with an array of bytes [n,3072] and lists
// of labels, pickled by Python 2. Read by io/pickle.h, so that nothing in them is run.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "io/datasets/readers.h"
#include "io/pickle.h"

namespace ito {
namespace {

constexpr size_t kPicturePixels = 32 * 32;
using Kind = PickleValue::Kind;

// What NumPy's arrays and bytes of Python 3 are made by.
constexpr std::array<std::string_view, 6> kAllowed = {"numpy.core.multiarray._reconstruct",
                                                      "numpy._core.multiarray._reconstruct",
                                                      "numpy.ndarray",
                                                      "numpy.dtype",
                                                      "_codecs.encode",
                                                      "collections.OrderedDict"};

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

// The bytes of an array of NumPy: _reconstruct(ndarray, …) whose state is (version, shape, dtype,
// Fortran order, bytes).
Result<std::string> array_bytes(const Pickle& pickle, const PickleValue& value, size_t columns,
                                const std::string& where) {
  const Error wrong = corrupt("{}: 'data' is not an array of bytes [n,{}]", where, columns);
  if (value.kind != Kind::kCall || value.items.size() != 3) return wrong;
  if (pickle.item(value, 0).text.find("_reconstruct") == std::string::npos) return wrong;
  const PickleValue& state = pickle.item(value, 2);
  if (state.kind != Kind::kTuple || state.items.size() != 5) return wrong;
  const PickleValue &shape = pickle.item(state, 1), &type = pickle.item(state, 2),
                    &content = pickle.item(state, 4);
  if (shape.kind != Kind::kTuple || shape.items.size() != 2) return wrong;
  const bool bytes = type.kind == Kind::kCall && type.items.size() >= 2 &&
                     pickle.item(type, 0).text == "numpy.dtype" &&
                     !pickle.item(type, 1).items.empty() &&
                     pickle.item(pickle.item(type, 1), 0).text == "u1";
  if (!bytes || pickle.item(state, 3).integer != 0) return wrong;
  std::string raw;
  if (content.is_text()) {
    raw = content.text;
  } else if (content.kind == Kind::kCall && pickle.item(content, 0).text == "_codecs.encode" &&
             !pickle.item(content, 1).items.empty()) {
    // Protocol 2 of Python 3 writes bytes as Latin-1 text, which UTF-8 spells with one or two
    // bytes.
    const std::string& text = pickle.item(pickle.item(content, 1), 0).text;
    for (size_t i = 0; i < text.size(); ++i) {
      const auto c = static_cast<unsigned char>(text[i]);
      const bool wide = (c & 0xfe) == 0xc2 && i + 1 < text.size();
      raw += wide ? static_cast<char>((c & 3) << 6 | (text[i + 1] & 0x3f)) : static_cast<char>(c);
      i += wide ? 1 : 0;
    }
  }
  const int64_t rows = pickle.item(shape, 0).integer;
  if (rows < 1 || pickle.item(shape, 1).integer != static_cast<int64_t>(columns) ||
      raw.size() / columns != static_cast<size_t>(rows) || raw.size() % columns != 0)
    return wrong;
  return raw;
}

Result<Pickle> read_dict(const Path& path) {
  ITO_ASSIGN(const std::string bytes, read_file(path, uint64_t{1} << 30));
  ITO_ASSIGN(Pickle pickle, parse_pickle(bytes, path.string(), [](std::string_view name) {
               return std::find(kAllowed.begin(), kAllowed.end(), name) != kAllowed.end();
             }));
  if (pickle.root().kind != Kind::kDict) return corrupt("{}: the pickle is no dict", path.string());
  return pickle;
}

Status read_batch(const Path& path, const PickledSet& layout, ImageDataset& data) {
  ITO_ASSIGN(const Pickle dict, read_dict(path));
  const PickleValue *images = dict.find(dict.root(), "data"),
                    *labels = dict.find(dict.root(), layout.labels);
  if (images == nullptr || labels == nullptr || labels->kind != Kind::kList)
    return corrupt("{}: no 'data' and '{}' in it", path.string(), layout.labels);
  ITO_ASSIGN(const std::string raw, array_bytes(dict, *images, 3 * kPicturePixels, path.string()));
  const size_t count = raw.size() / (3 * kPicturePixels);
  if (labels->items.size() != count)
    return corrupt("{}: {} labels, but {} images", path.string(), labels->items.size(), count);
  for (size_t n = 0; n < count; ++n) {
    const PickleValue& label = dict.item(*labels, n);
    if (label.kind != Kind::kInt || label.integer < 0 || label.integer >= layout.classes)
      return corrupt("{}: image {} has label {}; expected 0 to {}", path.string(), n, label.integer,
                     layout.classes - 1);
    data.labels->push_back(static_cast<int32_t>(label.integer));
    for (size_t p = 0; p < kPicturePixels; ++p)
      for (size_t k = 0; k < 3; ++k)
        data.pixels.push_back(static_cast<uint8_t>(raw[(n * 3 + k) * kPicturePixels + p]));
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
        data.names.push_back(meta.item(*names, i).text);
  }
  for (int k = static_cast<int>(data.names.size()); k < layout.classes; ++k)
    data.names.push_back(std::to_string(k));
  return data;
}

}  // namespace ito
