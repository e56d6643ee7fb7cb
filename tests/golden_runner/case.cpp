#include "tests/golden_runner/case.h"

#include <cmath>
#include <limits>
#include <numeric>

#include "base/check.h"
#include "base/error.h"
#include "io/safetensors.h"

namespace ito::golden {

Array permuted(const Array& source, const std::vector<int>& order) {
  const int rank = source.shape.rank();
  CHECK(order.size() == static_cast<size_t>(rank), "an order must name every axis");
  Array result{.shape = Shape(std::vector<int64_t>(static_cast<size_t>(rank))),
               .data = {},
               .integer = source.integer};
  const std::vector<int64_t> source_strides = source.shape.strides();
  std::vector<int64_t> strides(static_cast<size_t>(rank));
  for (int i = 0; i < rank; ++i) {
    const int axis = order[static_cast<size_t>(i)];
    result.shape[i] = source.shape[axis];
    strides[static_cast<size_t>(i)] = source_strides[static_cast<size_t>(axis)];
  }
  result.data.reserve(source.data.size());
  std::vector<int64_t> index(static_cast<size_t>(rank), 0);
  for (size_t count = 0; count < source.data.size(); ++count) {
    const int64_t at = std::inner_product(index.begin(), index.end(), strides.begin(), int64_t{0});
    result.data.push_back(source.data[static_cast<size_t>(at)]);
    for (int i = rank - 1; i >= 0; --i) {
      if (++index[static_cast<size_t>(i)] < result.shape[i]) break;
      index[static_cast<size_t>(i)] = 0;
    }
  }
  return result;
}

std::vector<int> inverse_order(const std::vector<int>& order) {
  std::vector<int> inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i)
    inverse[static_cast<size_t>(order[i])] = static_cast<int>(i);
  return inverse;
}

std::vector<int> channels_last_order(int rank) {
  std::vector<int> order(static_cast<size_t>(rank));
  std::iota(order.begin(), order.end(), 0);
  if (rank > 2) {
    order.erase(order.begin() + 1);
    order.push_back(1);
  }
  return order;
}

std::vector<int> matrix_order() { return {1, 0}; }
std::vector<int> convolution_order() { return {2, 3, 1, 0}; }

Array row(const Array& source, int64_t index) {
  std::vector<int64_t> dims(source.shape.dims().begin() + 1, source.shape.dims().end());
  Array result{.shape = Shape(std::move(dims)), .data = {}, .integer = source.integer};
  const auto begin = source.data.begin() + index * result.shape.numel();
  result.data.assign(begin, begin + result.shape.numel());
  return result;
}

HostValue to_value(const Array& array) { return {array.shape, array.data}; }

Array to_array(const HostValue& value) {
  return {.shape = value.shape, .data = value.data, .integer = false};
}

Array to_array(const HostValue& value, const std::vector<int>& order) {
  return permuted(to_array(value), inverse_order(order));
}

Result<Array> Case::array(const std::string& tensor) const {
  ITO_ASSIGN(const HostTensor* found, find_tensor(tensors, tensor, name));
  Array array{.shape = found->shape, .data = {}, .integer = true};
  switch (found->type) {
    case HostType::kF16:
    case HostType::kBF16:
    case HostType::kF32:
    case HostType::kF64: {
      const std::vector<float> values = to_floats(*found);
      array.data.assign(values.begin(), values.end());
      array.integer = false;
      break;
    }
    default: {
      ITO_ASSIGN(const std::vector<int64_t> values, to_int64(*found, tensor));
      array.data.assign(values.begin(), values.end());
    }
  }
  return array;
}

std::vector<std::string> Case::tensor_names() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors.tensors) names.push_back(name);
  return names;
}

Result<Case> load_case(const Path& folder, const std::string& name) {
  Case golden;
  golden.name = name;
  golden.folder = folder;
  ITO_ASSIGN(golden.json, read_json(folder / (name + ".json")));
  if (!golden.json.is_object())
    return corrupt("{}.json: expected an object, found {}", name, describe_json(golden.json));
  const Path tensors = folder / (name + ".safetensors");
  if (file_exists(tensors)) {
    ITO_ASSIGN(golden.tensors, read_safetensors(tensors));
  }
  return golden;
}

namespace {

Result<const Json*> find(const Json& object, const std::string& key) {
  if (!object.is_object() || !object.contains(key)) return corrupt("key '{}' is missing", key);
  return &object.at(key);
}

bool absent(const Json& object, const std::string& key) {
  return !object.is_object() || !object.contains(key) || object.at(key).is_null();
}

Error wrong(const std::string& key, std::string_view expected, const Json& found) {
  return corrupt("key '{}': expected {}, found {}", key, expected, describe_json(found));
}

}  // namespace

Result<double> number(const Json& object, const std::string& key) {
  ITO_ASSIGN(const Json* value, find(object, key));
  if (value->is_number()) return value->get<double>();
  if (value->is_string()) {
    const auto& word = value->get_ref<const std::string&>();
    if (word == "inf") return std::numeric_limits<double>::infinity();
    if (word == "-inf") return -std::numeric_limits<double>::infinity();
  }
  return wrong(key, "a number", *value);
}

Result<int64_t> integer(const Json& object, const std::string& key) {
  ITO_ASSIGN(const Json* value, find(object, key));
  if (value->is_number_integer()) return value->get<int64_t>();
  if (value->is_number_float()) {
    const double number = value->get<double>();
    if (number == std::floor(number) && std::fabs(number) < 1e15)
      return static_cast<int64_t>(number);
  }
  return wrong(key, "an integer", *value);
}

Result<bool> boolean(const Json& object, const std::string& key) {
  ITO_ASSIGN(const Json* value, find(object, key));
  if (!value->is_boolean()) return wrong(key, "true or false", *value);
  return value->get<bool>();
}

Result<std::string> text(const Json& object, const std::string& key) {
  ITO_ASSIGN(const Json* value, find(object, key));
  if (!value->is_string()) return wrong(key, "a text", *value);
  return value->get<std::string>();
}

Result<std::vector<int64_t>> integers(const Json& object, const std::string& key) {
  ITO_ASSIGN(const Json* value, find(object, key));
  if (!value->is_array()) return wrong(key, "a list of integers", *value);
  std::vector<int64_t> numbers;
  for (const Json& item : *value) {
    if (!item.is_number_integer()) return wrong(key, "a list of integers", *value);
    numbers.push_back(item.get<int64_t>());
  }
  return numbers;
}

Result<double> number_or(const Json& object, const std::string& key, double fallback) {
  if (absent(object, key)) return fallback;
  return number(object, key);
}

Result<int64_t> integer_or(const Json& object, const std::string& key, int64_t fallback) {
  if (absent(object, key)) return fallback;
  return integer(object, key);
}

Result<bool> boolean_or(const Json& object, const std::string& key, bool fallback) {
  if (absent(object, key)) return fallback;
  return boolean(object, key);
}

Result<Json> object(const Json& parent, const std::string& key) {
  ITO_ASSIGN(const Json* value, find(parent, key));
  if (!value->is_object()) return wrong(key, "an object", *value);
  return *value;
}

Result<Json> array(const Json& parent, const std::string& key) {
  ITO_ASSIGN(const Json* value, find(parent, key));
  if (!value->is_array()) return wrong(key, "an array", *value);
  return *value;
}

Result<double> noise_floor(const Case& golden, const std::string& tensor) {
  if (absent(golden.json, "torch_fp32_err")) return 0.0;
  ITO_ASSIGN(const Json floors, object(golden.json, "torch_fp32_err"));
  return number_or(floors, tensor, 0.0);
}

}  // namespace ito::golden
