// A golden case: the JSON attributes and the tensors of one stem, as files hold them, with checked
// access, so that a malformed case is an error that says what is wrong with it.
// Not for comparing (compare.h) and not for what a case means (one file per family).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/shape.h"
#include "graph/op.h"
#include "io/host_tensor.h"
#include "io/json.h"

namespace ito::golden {

// Values in the layout of the file. Doubles hold float32 and the integers that occur exactly.
struct Array {
  Shape shape;
  std::vector<double> data;
  bool integer = false;
};

// Axis i of the result is axis order[i] of the source.
Array permuted(const Array& source, const std::vector<int>& order);
std::vector<int> inverse_order(const std::vector<int>& order);
// Orders that bring PyTorch's layouts into ours: [n,c,...] → [n,...,c], [out,in] → [in,out],
// [out,in,kh,kw] → [kh,kw,in,out].
std::vector<int> channels_last_order(int rank);
std::vector<int> matrix_order();
std::vector<int> convolution_order();

// Row `index` of the first axis.
Array row(const Array& source, int64_t index);

HostValue to_value(const Array& array);
Array to_array(const HostValue& value);
// The device value in the layout of a file: axis i of ours is axis order[i] of the file's.
Array to_array(const HostValue& value, const std::vector<int>& order);

struct Case {
  std::string name;  // "ops/conv2d_3"
  Path folder;       // the golden folder
  Json json;
  TensorFile tensors;
  DType multiply = DType::kF32;  // of the program that is run for it (graph/program.h)

  bool has(const std::string& tensor) const { return tensors.tensors.count(tensor) != 0; }
  // Error: the tensor is missing.
  Result<Array> array(const std::string& tensor) const;
  std::vector<std::string> tensor_names() const;
};

// Reads STEM.json and, where there is one, STEM.safetensors.
Result<Case> load_case(const Path& folder, const std::string& name);

// Values of a JSON object; errors name the key, what was expected and what was found. Infinite
// numbers are the strings "inf" and "-inf".
Result<double> number(const Json& object, const std::string& key);
Result<int64_t> integer(const Json& object, const std::string& key);
Result<bool> boolean(const Json& object, const std::string& key);
Result<std::string> text(const Json& object, const std::string& key);
Result<std::vector<int64_t>> integers(const Json& object, const std::string& key);
// A missing or null key gives the fallback, a value of the wrong type is an error still.
Result<double> number_or(const Json& object, const std::string& key, double fallback);
Result<int64_t> integer_or(const Json& object, const std::string& key, int64_t fallback);
Result<bool> boolean_or(const Json& object, const std::string& key, bool fallback);
// The object, or the array, at the key; error if it is none.
Result<Json> object(const Json& parent, const std::string& key);
Result<Json> array(const Json& parent, const std::string& key);

// "torch_fp32_err": the noise floor of a tensor, or 0 where the case gives none.
Result<double> noise_floor(const Case& golden, const std::string& tensor);

}  // namespace ito::golden
