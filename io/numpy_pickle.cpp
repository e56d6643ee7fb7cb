#include "io/numpy_pickle.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/error.h"

namespace ito {
namespace {

using Kind = PickleValue::Kind;

// NumPy 2 has moved its modules: numpy.core is numpy._core there.
constexpr std::string_view kReconstruct = "_reconstruct", kFromBuffer = "_frombuffer",
                           kScalar = "scalar";
constexpr std::array<std::string_view, 10> kNumpyNames = {"numpy.core.multiarray._reconstruct",
                                                          "numpy._core.multiarray._reconstruct",
                                                          "numpy.core.numeric._frombuffer",
                                                          "numpy._core.numeric._frombuffer",
                                                          "numpy.core.multiarray.scalar",
                                                          "numpy._core.multiarray.scalar",
                                                          "numpy.ndarray",
                                                          "numpy.dtype",
                                                          "_codecs.encode",
                                                          "collections.OrderedDict"};

// The last part of the name of what a value was made by; empty for what was made by nothing.
std::string_view maker_of(const Pickle& pickle, const PickleValue& value) {
  if (value.kind != Kind::kCall) return {};
  const std::string_view name = pickle.item(value, 0).text;
  if (!name.starts_with("numpy.")) return {};
  return name.substr(name.rfind('.') + 1);
}

// "<u1" of numpy.dtype("u1", …) with the state (version, byte order, …).
std::optional<std::string> descr_of(const Pickle& pickle, const PickleValue& type) {
  if (maker_of(pickle, type) != "dtype" || pickle.item(type, 1).items.empty()) return std::nullopt;
  std::string order = "|";
  if (type.items.size() > 2) {
    const PickleValue& state = pickle.item(type, 2);
    if (state.kind != Kind::kTuple || state.items.size() < 2) return std::nullopt;
    order = pickle.item(state, 1).text;
  }
  return order + pickle.item(pickle.item(type, 1), 0).text;
}

// What the three ways to write an array have in common.
struct ArrayParts {
  std::string descr;
  std::vector<int64_t> shape;
  bool fortran_order = false;
  const PickleValue* content = nullptr;
};

std::optional<std::vector<int64_t>> numpy_integers(const Pickle& pickle, const PickleValue& tuple) {
  std::vector<int64_t> numbers;
  if (tuple.kind != Kind::kTuple) return std::nullopt;
  for (size_t i = 0; i < tuple.items.size(); ++i) {
    if (pickle.item(tuple, i).kind != Kind::kInt) return std::nullopt;
    numbers.push_back(pickle.item(tuple, i).integer);
  }
  return numbers;
}

std::optional<ArrayParts> array_parts(const Pickle& pickle, const PickleValue& value) {
  const std::string_view maker = maker_of(pickle, value);
  const PickleValue *type = nullptr, *shape = nullptr;
  ArrayParts parts;
  if (maker == kReconstruct) {  // and then a state: version, shape, type, Fortran's order, bytes
    if (value.items.size() != 3) return std::nullopt;
    const PickleValue& state = pickle.item(value, 2);
    if (state.kind != Kind::kTuple || state.items.size() != 5) return std::nullopt;
    shape = &pickle.item(state, 1);
    type = &pickle.item(state, 2);
    parts.fortran_order = pickle.item(state, 3).integer != 0;
    parts.content = &pickle.item(state, 4);
  } else if (maker == kFromBuffer) {  // of bytes, type, shape, "C" or "F"
    const PickleValue& arguments = pickle.item(value, 1);
    if (arguments.items.size() != 4) return std::nullopt;
    parts.content = &pickle.item(arguments, 0);
    type = &pickle.item(arguments, 1);
    shape = &pickle.item(arguments, 2);
    const std::string& order = pickle.item(arguments, 3).text;
    if (order != "C" && order != "F") return std::nullopt;
    parts.fortran_order = order == "F";
  } else if (maker == kScalar) {  // of type, bytes
    const PickleValue& arguments = pickle.item(value, 1);
    if (arguments.items.size() != 2) return std::nullopt;
    type = &pickle.item(arguments, 0);
    parts.content = &pickle.item(arguments, 1);
  } else {
    return std::nullopt;
  }
  auto descr = descr_of(pickle, *type);
  if (!descr) return std::nullopt;
  parts.descr = *std::move(descr);
  if (shape == nullptr) return parts;
  auto extents = numpy_integers(pickle, *shape);
  if (!extents) return std::nullopt;
  parts.shape = *std::move(extents);
  return parts;
}

}  // namespace

bool is_numpy_name(std::string_view name) {
  return std::find(kNumpyNames.begin(), kNumpyNames.end(), name) != kNumpyNames.end();
}

bool is_numpy_value(const Pickle& pickle, const PickleValue& value) {
  const std::string_view maker = maker_of(pickle, value);
  return maker == kReconstruct || maker == kFromBuffer || maker == kScalar;
}

Result<HostTensor> numpy_array(const Pickle& pickle, const PickleValue& value,
                               std::string_view where) {
  const std::optional<ArrayParts> parts = array_parts(pickle, value);
  if (!parts) return corrupt("{}: not an array of NumPy", where);
  const ArrayLayout layout{parts->descr, parts->fortran_order, parts->shape};
  if (parts->content->is_text()) return array_of_bytes(layout, parts->content->text, where);
  const std::optional<std::string> bytes = pickle.bytes_of(*parts->content);
  if (!bytes) return corrupt("{}: an array of NumPy without its bytes", where);
  return array_of_bytes(layout, *bytes, where);
}

Result<NpyTexts> numpy_object_texts(const Pickle& pickle, const PickleValue& value,
                                    std::string_view where) {
  const std::optional<ArrayParts> parts = array_parts(pickle, value);
  if (!parts || parts->content->kind != Kind::kList)
    return corrupt("{}: not an array of Python's objects", where);
  const std::optional<int64_t> numel = checked_numel(parts->shape, 1);
  if (!numel || static_cast<size_t>(*numel) != parts->content->items.size())
    return corrupt("{}: shape {} for {} objects", where, Shape(parts->shape).to_string(),
                   parts->content->items.size());
  NpyTexts texts{Shape(parts->shape), {}};
  // A pickle may name one long text again and again.
  uint64_t left = pickle_memory(pickle.size());
  for (size_t i = 0; i < parts->content->items.size(); ++i) {
    std::optional<std::string> text = pickle.bytes_of(pickle.item(*parts->content, i));
    if (!text) return unsupported("{}: an array of Python's objects that are not all texts", where);
    const uint64_t taken = 3 * sizeof(std::string) + text->size();
    if (taken > left) return corrupt("{}: its texts take many times the file", where);
    left -= taken;
    texts.texts.push_back(*std::move(text));
  }
  return texts;
}

}  // namespace ito
