#include "nn/parameters.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/integer.h"
#include "base/philox.h"

namespace ito {
namespace {

int64_t align_up(int64_t n) {
  return ceil_div(n, ParameterSet::kAlignment) * ParameterSet::kAlignment;
}

// Values of one parameter in PyTorch's element order.
std::vector<float> draw(const Parameter& parameter, uint64_t seed) {
  const ParameterSpec& spec = parameter.spec;
  std::vector<float> values(static_cast<size_t>(parameter.numel()), 0.0f);
  if (spec.init == Init::kZeros) return values;
  if (spec.init == Init::kOnes) {
    std::fill(values.begin(), values.end(), 1.0f);
    return values;
  }
  const uint64_t stream = hash_bytes(parameter.name);
  const PhiloxKey key = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  const double bound = 1.0 / std::sqrt(static_cast<double>(spec.fan_in));
  for (size_t i = 0; i < values.size(); i += 4) {
    const uint64_t block = i / 4;
    const PhiloxCounter counter = {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                                   static_cast<uint32_t>(stream),
                                   static_cast<uint32_t>(stream >> 32)};
    std::array<double, 4> x;
    if (spec.init == Init::kUniform) {
      const std::array<uint32_t, 4> words = philox4x32_10(counter, key);
      for (size_t j = 0; j < 4; ++j) x[j] = (2 * philox_uniform(words[j]) - 1) * bound;
    } else {
      x = philox_normal(counter, key);
    }
    for (size_t j = 0; j < 4 && i + j < values.size(); ++j) {
      values[i + j] = static_cast<float>(x[j] * spec.init_scale);
    }
  }
  return values;
}

}  // namespace

Shape internal_shape(const ParameterSpec& spec) {
  const Shape& s = spec.foreign_shape;
  switch (spec.layout) {
    case Layout::kPlain:
      break;
    case Layout::kLinear:
      CHECK(s.rank() == 2, "a linear weight has two axes, not " + s.to_string());
      return Shape{s[1], s[0]};
    case Layout::kConv:
      CHECK(s.rank() == 4, "a convolution weight has four axes, not " + s.to_string());
      return Shape{s[2], s[3], s[1], s[0]};
  }
  return s;
}

void ParameterSet::declare(std::string name, ParameterSpec spec) {
  Parameter parameter;
  parameter.shape = internal_shape(spec);
  parameter.spec = std::move(spec);
  parameter.name = name;
  const bool is_new = by_name_.emplace(std::move(name), parameters_.size()).second;
  CHECK(is_new, "parameter declared twice: " + parameter.name);
  parameters_.push_back(std::move(parameter));
}

void ParameterSet::freeze(const std::function<bool(std::string_view name)>& which) {
  for (Parameter& parameter : parameters_)
    if (which(parameter.name)) parameter.spec.trainable = false;
  finish();
}

void ParameterSet::finish() {
  int64_t offset = 0;
  for (const bool trainable : {true, false}) {
    for (Parameter& parameter : parameters_) {
      if (parameter.spec.trainable != trainable) continue;
      parameter.offset = offset;
      offset = align_up(offset + parameter.numel());
    }
    if (trainable) trainable_size_ = offset;
  }
  size_ = offset;
  for (Parameter& parameter : parameters_) parameter.segment = 0;
  segments_ = {{.first = 0, .size = size_, .trainable_size = trainable_size_}};
}

int64_t most_segment_elements(const DeviceCaps& caps) {
  constexpr uint64_t kMost = std::numeric_limits<int32_t>::max();
  const uint64_t elements = std::min<uint64_t>(kMost, caps.max_allocation_bytes / sizeof(float));
  return static_cast<int64_t>(elements) / ParameterSet::kAlignment * ParameterSet::kAlignment;
}

Status ParameterSet::cut(int64_t most) {
  std::vector<Parameter*> order;  // of the offsets
  for (const bool trainable : {true, false})
    for (Parameter& parameter : parameters_)
      if (parameter.spec.trainable == trainable) order.push_back(&parameter);
  for (const Parameter* parameter : order)
    if (align_up(parameter->numel()) > most)
      return unsupported(
          "parameter {} has {} numbers {}, which lie in one piece of device memory, and the most "
          "that one holds here is {}; use a smaller network or another device",
          parameter->name, parameter->numel(), parameter->shape.to_string(), most);
  segments_ = {Segment{}};
  for (Parameter* parameter : order) {
    const int64_t room = align_up(parameter->numel());
    if (segments_.back().size + room > most)
      segments_.push_back({.first = parameter->offset, .size = 0, .trainable_size = 0});
    Segment& segment = segments_.back();
    parameter->segment = segments_.size() - 1;
    segment.size += room;
    if (parameter->spec.trainable) segment.trainable_size = segment.size;
  }
  return {};
}

const Parameter* ParameterSet::find(std::string_view name) const {
  const auto it = by_name_.find(std::string(name));
  return it == by_name_.end() ? nullptr : &parameters_[it->second];
}

int64_t ParameterSet::count() const {
  int64_t n = 0;
  for (const Parameter& parameter : parameters_) n += parameter.numel();
  return n;
}

std::vector<float> to_internal(const ParameterSpec& spec, std::span<const float> data) {
  CHECK(static_cast<int64_t>(data.size()) == spec.foreign_shape.numel(), "element count");
  std::vector<float> out(data.size());
  for_each_element(spec, [&](int64_t internal, int64_t foreign) {
    out[static_cast<size_t>(internal)] = data[static_cast<size_t>(foreign)];
  });
  return out;
}

std::vector<float> to_foreign(const ParameterSpec& spec, std::span<const float> data) {
  CHECK(static_cast<int64_t>(data.size()) == spec.foreign_shape.numel(), "element count");
  std::vector<float> out(data.size());
  for_each_element(spec, [&](int64_t internal, int64_t foreign) {
    out[static_cast<size_t>(foreign)] = data[static_cast<size_t>(internal)];
  });
  return out;
}

Status check_foreign_shape(const Parameter& parameter, const Shape* found) {
  const Shape& expected = parameter.spec.foreign_shape;
  if (found == nullptr)
    return not_found("tensor {} is missing: the network expects it with shape {}, found none",
                     parameter.name, expected.to_string());
  if (*found != expected)
    return invalid_argument("tensor {} has the wrong shape: expected {}, found {}", parameter.name,
                            expected.to_string(), found->to_string());
  return {};
}

ForeignTensors unpack_parameters(const ParameterSet& set, std::span<const float> flat) {
  CHECK(static_cast<int64_t>(flat.size()) == set.size(), "flat parameter vector of another set");
  ForeignTensors tensors;
  for (const Parameter& parameter : set.parameters()) {
    const auto values =
        flat.subspan(static_cast<size_t>(parameter.offset), static_cast<size_t>(parameter.numel()));
    tensors[parameter.name] = {parameter.spec.foreign_shape, to_foreign(parameter.spec, values)};
  }
  return tensors;
}

std::vector<float> initial_parameters(const ParameterSet& set, uint64_t seed) {
  std::vector<float> flat(static_cast<size_t>(set.size()), 0.0f);
  for (const Parameter& parameter : set.parameters()) {
    const std::vector<float> values = to_internal(parameter.spec, draw(parameter, seed));
    std::copy(values.begin(), values.end(), flat.begin() + parameter.offset);
  }
  return flat;
}

}  // namespace ito
