#include "nn/dropout.h"

#include "base/check.h"
#include "base/hash.h"

namespace ito {
namespace {

// The streams from 2^31 on are dropout's; diffusion/streams.h has those below. Two layers of one
// network share one with a chance of 2^-31, and would only leave out the same elements.
constexpr uint32_t kFirstDropoutStream = uint32_t{1} << 31;

uint32_t dropout_stream(std::string_view path) {
  return kFirstDropoutStream | static_cast<uint32_t>(hash_combine(hash_bytes(path), 0));
}

// For each of n samples the place of its image in the batch.
Tensor places(Tensor image, int64_t n) {
  const int64_t batch = image.dim(0);
  CHECK(n % batch == 0, "dropout: samples that are no whole batches");
  if (n == batch) return image;
  return concat(std::vector<Tensor>(static_cast<size_t>(n / batch), image), 0);
}

}  // namespace

Tensor dropout(const Scope& scope, Tensor x, double p) {
  CHECK(p >= 0 && p <= 1, "dropout: no probability");
  const Randomness& random = scope.randomness();
  if (p == 0 || !random.key) return x;
  Graph& graph = x.graph();
  const ScopeLabel label(graph, scope);
  const Tensor none = full(graph, x.shape(), 0);
  if (p == 1) return none;
  const Tensor u = random_uniform(x.shape(), random.key, places(random.image, x.dim(0)),
                                  random.step, dropout_stream(scope.path()));
  return select(less(u, full(graph, x.shape(), p)), none, x * (1 / (1 - p)));
}

}  // namespace ito
