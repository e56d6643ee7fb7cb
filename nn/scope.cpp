#include "nn/scope.h"

#include "base/check.h"

namespace ito {

std::string segment_name(std::string_view name, size_t segment, size_t of) {
  std::string full(name);
  if (of > 1) full += '.' + std::to_string(segment);
  return full;
}

FlatTensors flat_inputs(Graph& graph, std::string_view name, const ParameterSet& set) {
  FlatTensors flat;
  const std::span<const Segment> segments = set.segments();
  for (size_t k = 0; k < segments.size(); ++k)
    flat.push_back(
        parameter_input(graph, segment_name(name, k, segments.size()), Shape{segments[k].size}));
  return flat;
}

Scope::Scope(const ParameterSet& set, FlatTensors flat) : set_(&set), flat_(std::move(flat)) {
  CHECK(flat_.size() == set.segments().size(), "a set of " + std::to_string(set.segments().size()) +
                                                   " segments in " + std::to_string(flat_.size()) +
                                                   " tensors");
  for (size_t k = 0; k < flat_.size(); ++k)
    CHECK(flat_[k].shape() == Shape{set.segments()[k].size} && flat_[k].dtype() == DType::kF32,
          "flat parameters must be f32[" + std::to_string(set.segments()[k].size) + "], not " +
              flat_[k].shape().to_string());
}

Scope Scope::operator/(std::string_view name) const {
  Scope child = *this;
  if (!child.path_.empty()) child.path_ += '.';
  child.path_ += name;
  return child;
}

Scope Scope::operator/(int64_t index) const { return *this / std::to_string(index); }

Scope Scope::frozen() const {
  Scope scope = *this;
  for (Tensor& flat : scope.flat_) flat = stop_gradient(flat);
  return scope;
}

Scope Scope::drawing(const Randomness& random) const {
  Scope scope = *this;
  scope.random_ = random;
  return scope;
}

Tensor Scope::parameter(std::string_view name, const ParameterSpec& spec) const {
  const std::string full_name = (*this / name).path_;
  if (declared_ != nullptr) {
    declared_->declare(full_name, spec);
    return input(*scratch_, full_name, internal_shape(spec));
  }
  const Parameter* parameter = set_->find(full_name);
  CHECK(parameter != nullptr, "the parameter set belongs to another network: no " + full_name);
  ParameterSpec asked = spec;
  asked.trainable &= parameter->spec.trainable;  // a set may freeze what a layer would train
  CHECK(parameter->spec == asked, "the parameter set belongs to another network: " + full_name);
  return parameter_view(*set_, *parameter, flat_);
}

ScopeLabel::ScopeLabel(Graph& graph, const Scope& scope) : graph_(graph), saved_(graph.label()) {
  graph.set_label(scope.path());
}

ScopeLabel::~ScopeLabel() { graph_.set_label(saved_); }

ParameterSet declare_parameters(const std::function<void(Graph&, const Scope&)>& network) {
  ParameterSet set;
  Graph scratch;
  Scope scope;
  scope.declared_ = &set;
  scope.scratch_ = &scratch;
  network(scratch, scope);
  set.finish();
  return set;
}

Tensor parameter_view(const ParameterSet& set, const Parameter& parameter,
                      const FlatTensors& flat) {
  const int64_t first = parameter.offset - set.segments()[parameter.segment].first;
  return reshape(slice_axis(flat[parameter.segment], 0, first, first + parameter.numel()),
                 parameter.shape);
}

FlatTensors flat_gradient(const ParameterSet& set, const FlatTensors& flat, Tensor loss) {
  std::vector<const Parameter*> trainable;
  std::vector<Tensor> views;
  for (const Parameter& parameter : set.parameters()) {
    if (!parameter.spec.trainable) continue;
    trainable.push_back(&parameter);
    views.push_back(parameter_view(set, parameter, flat));
  }
  CHECK(!views.empty(), "a network without trainable parameters has no gradient");
  const std::vector<Tensor> gradients = grad(loss, views);
  // Parameters are declared in the order of their offsets (ParameterSet::finish).
  FlatTensors result;
  size_t i = 0;
  for (size_t k = 0; k < flat.size(); ++k) {
    const Segment& segment = set.segments()[k];
    std::vector<Tensor> pieces;
    int64_t end = segment.first;
    const auto fill_to = [&](int64_t offset) {
      if (offset > end) pieces.push_back(full(flat[k].graph(), Shape{offset - end}, 0));
      end = offset;
    };
    for (; i < trainable.size() && trainable[i]->segment == k; ++i) {
      fill_to(trainable[i]->offset);
      pieces.push_back(reshape(gradients[i], Shape{trainable[i]->numel()}));
      end += trainable[i]->numel();
    }
    fill_to(segment.first + segment.size);
    result.push_back(pieces.size() == 1 ? pieces[0] : concat(std::move(pieces), 0));
  }
  return result;
}

Tensor flat_gradient(const ParameterSet& set, Tensor flat, Tensor loss) {
  return flat_gradient(set, FlatTensors{flat}, loss).front();
}

}  // namespace ito
