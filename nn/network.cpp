#include "nn/network.h"

#include <string>
#include <utility>

#include "base/error.h"

namespace ito {
namespace {

constexpr double kLeastLogVariance = -30, kMostLogVariance = 20;

void check_input(const char* what, Tensor tensor, bool wanted) {
  CHECK(static_cast<bool>(tensor) == wanted,
        std::string(wanted ? "the network is told " : "the ") + what +
            (wanted ? ", which was not given" : " that was given means nothing to it"));
}

void check_conditioning(const Signature& signature, int64_t n, const Conditioning& given) {
  check_input("class", given.classes, signature.classes.told());
  check_input("context", given.context, signature.context > 0);
  check_input("guidance", given.guidance, signature.guidance > 0);
  check_input("latent", given.latent, signature.latent > 0);
  if (given.classes)
    CHECK(given.classes.shape() == signature.classes.shape(n),
          "classes of the wrong shape: " + given.classes.shape().to_string());
  if (given.context)
    CHECK(given.context.rank() == 3 && given.context.dim(0) == n &&
              given.context.dim(2) == signature.context,
          "a context of the wrong shape: " + given.context.shape().to_string());
  if (given.guidance)
    CHECK(given.guidance.shape() == (Shape{n, signature.guidance}),
          "a guidance of the wrong shape: " + given.guidance.shape().to_string());
  if (given.latent)
    CHECK(given.latent.shape() == (Shape{n, signature.latent}),
          "a latent of the wrong shape: " + given.latent.shape().to_string());
}

}  // namespace

std::string ClassInput::what() const {
  switch (kind) {
    case Kind::kNone:
      return "nothing";
    case Kind::kIndices:
      return "class labels";
    case Kind::kValues:
      return "numbers";
    case Kind::kEmbeddings:
      return "embeddings";
  }
  CHECK(false, "unknown kind of class input");
}

Conditioning conditioning_inputs(Graph& graph, const Signature& signature, int64_t n,
                                 const ConditioningNames& names) {
  Conditioning conditioning;
  const ClassInput& classes = signature.classes;
  if (names.classes != nullptr && classes.told())
    conditioning.classes = input(graph, names.classes, classes.shape(n), classes.dtype());
  if (names.context != nullptr && signature.context > 0) {
    CHECK(signature.context_length > 0, "the length of the context is not settled");
    conditioning.context =
        input(graph, names.context, Shape{n, signature.context_length, signature.context});
  }
  if (names.guidance != nullptr && signature.guidance > 0)
    conditioning.guidance = input(graph, names.guidance, Shape{n, signature.guidance});
  if (names.latent != nullptr && signature.latent > 0)
    conditioning.latent = input(graph, names.latent, Shape{n, signature.latent});
  return conditioning;
}

LatentGaussian latent_gaussian(Tensor moments) {
  const int64_t channels = moments.dim(3) / 2;
  const Tensor log_variance =
      clamp(slice_axis(moments, 3, channels, 2 * channels), kLeastLogVariance, kMostLogVariance);
  return {.mean = slice_axis(moments, 3, 0, channels), .std = exp(log_variance * 0.5)};
}

Network::Network(NetworkDefinition definition, ParameterSet own)
    : definition_(std::make_shared<const NetworkDefinition>(std::move(definition))),
      own_(std::make_shared<const ParameterSet>(std::move(own))),
      set_(own_) {}

Network Network::among(ParameterSet set) const {
  for (const Parameter& parameter : own_->parameters()) {
    const Parameter* found = set.find(parameter.name);
    CHECK(found != nullptr && found->spec == parameter.spec,
          "the set lacks the network's parameter " + parameter.name);
  }
  Network network = *this;
  network.set_ = std::make_shared<const ParameterSet>(std::move(set));
  return network;
}

Network Network::with_frozen(const std::function<bool(std::string_view name)>& which) const {
  ParameterSet own = *own_, set = *set_;
  own.freeze(which);
  set.freeze(which);
  Network network = *this;
  network.own_ = std::make_shared<const ParameterSet>(std::move(own));
  network.set_ = std::make_shared<const ParameterSet>(std::move(set));
  return network;
}

Network Network::with_context(int64_t length) const {
  NetworkDefinition definition = this->definition();
  definition.signature.context_length = length;
  Network network = *this;
  network.definition_ = std::make_shared<const NetworkDefinition>(std::move(definition));
  return network;
}

Result<Network> Network::for_device(const DeviceCaps& caps) const {
  const int64_t most = most_segment_elements(caps);
  if (set().segments().size() == 1 && set().size() <= most) return *this;
  ParameterSet set = this->set();
  ITO_TRY(set.cut(most));
  Network network = *this;
  network.set_ = std::make_shared<const ParameterSet>(std::move(set));
  return network;
}

Tensor Network::build(const Scope& scope, Tensor x, Tensor t,
                      const Conditioning& conditioning) const {
  const Signature& signature = definition().signature;
  CHECK(x.dim(-1) == signature.in_channels, "the network takes " +
                                                std::to_string(signature.in_channels) +
                                                " channels, not " + x.shape().to_string());
  check_input("time", t, signature.told_time());
  if (t) CHECK(t.shape() == Shape{x.dim(0)}, "a time of the wrong shape: " + t.shape().to_string());
  check_conditioning(signature, x.dim(0), conditioning);
  return definition().build(scope, x, t, conditioning);
}

Tensor Network::build(const FlatTensors& flat, Tensor x, Tensor t,
                      const Conditioning& conditioning) const {
  return build(Scope(set(), flat), x, t, conditioning);
}

Tensor Network::build(Tensor flat, Tensor x, Tensor t, const Conditioning& conditioning) const {
  return build(Scope(set(), flat), x, t, conditioning);
}

Status Network::check_size(int64_t h, int64_t w) const {
  return definition().check_size ? definition().check_size(h, w) : Status{};
}

Status Network::expect_row(std::string_view wanted, const std::string& where) const {
  if (row() == wanted) return {};
  return unsupported("{}: expected the folder of a {}, found one of {}", where, wanted, row());
}

}  // namespace ito
