// ParameterSet: what a network's weights are called, how they look in PyTorch's layout and in ours,
// and where each one lives in the flat f32 numbers [size()] that hold them all. On a device these
// are one tensor, so that an optimiser step, an average or a norm is one kernel over all weights,
// or, where a device or 32-bit indices do not reach so far, a few tensors one after the other:
// segments. Here are also the conversions between the flat host vector and named tensors in PyTorch
// layout. Not for reading files (io) and not for building graphs (nn/scope.h).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/device_caps.h"
#include "base/result.h"
#include "base/shape.h"

namespace ito {

// How PyTorch's axes become ours.
enum class Layout : uint8_t {
  kPlain,   // the same axes
  kLinear,  // [out, in] → [in, out]
  // [out, in, kh, kw] → [kh, kw, in, out]. The same permutation serves ConvTranspose2d, whose
  // [in, out, kh, kw] becomes [kh, kw, out, in]: what conv2d_grad_input takes as its weight.
  kConv,
};

// PyTorch's default initialisations.
enum class Init : uint8_t {
  kUniform,  // U(-1/sqrt(fan_in), 1/sqrt(fan_in)): kaiming_uniform with a = sqrt(5); its biases too
  kZeros,
  kOnes,
  kNormal,  // N(0, 1): embeddings
};

// What a layer asks for.
struct ParameterSpec {
  Shape foreign_shape;  // as PyTorch holds it
  Layout layout = Layout::kPlain;
  Init init = Init::kZeros;
  int64_t fan_in = 1;     // kUniform: inputs of one output
  double init_scale = 1;  // multiplies the drawn value
  bool trainable = true;  // false: kept, saved and loaded, but no optimiser touches it
  bool operator==(const ParameterSpec&) const = default;
};

struct Parameter {
  std::string name;  // as diffusers names it, e.g. "down_blocks.0.resnets.0.conv1.weight"
  ParameterSpec spec;
  Shape shape;         // as the graph sees it
  int64_t offset = 0;  // first of the flat numbers; a multiple of kAlignment
  size_t segment = 0;  // the segment it lies in, as a whole
  int64_t numel() const { return shape.numel(); }
};

// Flat numbers [first, first + size), which one tensor holds on a device.
struct Segment {
  int64_t first = 0;
  int64_t size = 0;
  int64_t trainable_size = 0;  // its first so many are of trainable parameters, the rest are not
};

// Elements that a segment may have on a device: what one piece of its memory holds, and what 32-bit
// indices reach. A multiple of ParameterSet::kAlignment.
int64_t most_segment_elements(const DeviceCaps& caps);

class ParameterSet {
 public:
  // Every parameter starts at a multiple of this many floats; the gaps hold zeros and stay zero.
  static constexpr int64_t kAlignment = 16;

  // Adds a parameter. Names are unique (CHECK). Offsets are not known before finish().
  void declare(std::string name, ParameterSpec spec);
  // Makes the parameters of these names ones that no optimiser touches (after finish(), which it
  // calls again: offsets change).
  void freeze(const std::function<bool(std::string_view name)>& which);
  // Gives every parameter its offset, in order of declaration, the trainable ones first, all in one
  // segment.
  void finish();
  // Cuts the flat numbers into segments of at most `most` elements (a multiple of kAlignment), none
  // through a parameter. Offsets stay. Error kUnsupported naming a parameter that is larger.
  Status cut(int64_t most);

  // In order of declaration.
  std::span<const Parameter> parameters() const { return parameters_; }
  // Null if there is no such parameter.
  const Parameter* find(std::string_view name) const;

  // How many flat numbers there are, gaps included.
  int64_t size() const { return size_; }
  // At least one; one after the other they are all flat numbers.
  std::span<const Segment> segments() const { return segments_; }
  // Flat numbers [0, trainable_size()) hold all trainable parameters and only those.
  int64_t trainable_size() const { return trainable_size_; }
  // Number of weights, without gaps: what papers call the parameter count.
  int64_t count() const;

 private:
  std::vector<Parameter> parameters_;
  std::unordered_map<std::string, size_t> by_name_;
  int64_t size_ = 0;
  int64_t trainable_size_ = 0;
  std::vector<Segment> segments_ = {Segment{}};
};

// A tensor on the host in PyTorch layout, row-major.
struct ForeignTensor {
  Shape shape;
  std::vector<float> data;
};
// Such tensors by name.
using ForeignTensors = std::map<std::string, ForeignTensor>;

// Calls f(internal index, foreign index) for every element.
template <typename F>
void for_each_element(const ParameterSpec& spec, F f) {
  const Shape& s = spec.foreign_shape;
  switch (spec.layout) {
    case Layout::kPlain:
      for (int64_t i = 0; i < s.numel(); ++i) f(i, i);
      return;
    case Layout::kLinear:
      for (int64_t o = 0; o < s[0]; ++o) {
        for (int64_t i = 0; i < s[1]; ++i) f(i * s[0] + o, o * s[1] + i);
      }
      return;
    case Layout::kConv: {
      const int64_t taps = s[2] * s[3];
      for (int64_t o = 0; o < s[0]; ++o) {
        for (int64_t i = 0; i < s[1]; ++i) {
          for (int64_t k = 0; k < taps; ++k) {
            f((k * s[1] + i) * s[0] + o, (o * s[1] + i) * taps + k);
          }
        }
      }
      return;
    }
  }
}

// PyTorch's layout → ours, and back. `data` has spec.foreign_shape.numel() elements.
std::vector<float> to_internal(const ParameterSpec& spec, std::span<const float> data);
std::vector<float> to_foreign(const ParameterSpec& spec, std::span<const float> data);
Shape internal_shape(const ParameterSpec& spec);

// Whether a tensor of the parameter's name has its shape; null: there is none. Errors name it, with
// expected and found.
Status check_foreign_shape(const Parameter& parameter, const Shape* found);

// Flat [set.size()] → named tensors.
ForeignTensors unpack_parameters(const ParameterSet& set, std::span<const float> flat);

// Initial weights, flat [set.size()]. Each value is a function of (seed, parameter name, element
// index in PyTorch's layout) through Philox4x32-10, so it does not depend on the order in which
// layers are built, and adding a layer leaves the others as they were. Uniform values are exact in
// IEEE arithmetic; normal ones use the platform's log, cos and sin in double before rounding to
// float.
std::vector<float> initial_parameters(const ParameterSet& set, uint64_t seed);

}  // namespace ito
