#include "nn/scope.h"

#include "base/check.h"

namespace ito {

Scope::Scope(const ParameterSet& set, Tensor flat) : set_(&set), flat_(flat) {
  CHECK(flat.shape() == Shape{set.size()} && flat.dtype() == DType::kF32,
        "flat parameters must be f32[" + std::to_string(set.size()) + "], not " +
            flat.shape().to_string());
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
  if (scope.flat_) scope.flat_ = stop_gradient(scope.flat_);
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
  CHECK(parameter->spec == spec, "the parameter set belongs to another network: " + full_name);
  return parameter_view(*parameter, flat_);
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

Tensor parameter_view(const Parameter& parameter, Tensor flat) {
  return reshape(slice_axis(flat, 0, parameter.offset, parameter.offset + parameter.numel()),
                 parameter.shape);
}

Tensor flat_gradient(const ParameterSet& set, Tensor flat, Tensor loss) {
  std::vector<const Parameter*> trainable;
  std::vector<Tensor> views;
  for (const Parameter& parameter : set.parameters()) {
    if (!parameter.spec.trainable) continue;
    trainable.push_back(&parameter);
    views.push_back(parameter_view(parameter, flat));
  }
  CHECK(!views.empty(), "a network without trainable parameters has no gradient");
  const std::vector<Tensor> gradients = grad(loss, views);
  // Parameters are declared in the order of their offsets (ParameterSet::finish).
  std::vector<Tensor> pieces;
  int64_t end = 0;
  const auto fill_to = [&](int64_t offset) {
    if (offset > end) pieces.push_back(full(flat.graph(), Shape{offset - end}, 0));
    end = offset;
  };
  for (size_t i = 0; i < trainable.size(); ++i) {
    fill_to(trainable[i]->offset);
    pieces.push_back(reshape(gradients[i], Shape{trainable[i]->numel()}));
    end += trainable[i]->numel();
  }
  fill_to(set.size());
  return pieces.size() == 1 ? pieces[0] : concat(std::move(pieces), 0);
}

}  // namespace ito
