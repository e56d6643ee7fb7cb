// Random graphs of mixed ops (make_graph_case of random_programs.h). Values stay of order one, and
// no op is discontinuous in a computed value, so that rounding cannot decide anything.
#include <algorithm>
#include <cmath>

#include "tests/support/random_programs.h"

namespace ito::test {
namespace {

// Rounding grows a little with every op on the way.
constexpr double kLimit = 5e-5;

class GraphMaker {
 public:
  explicit GraphMaker(RandomCase& test) : test_(test), random_(test.random) {}

  void make(int nodes) {
    // Few extents, so that shapes meet again.
    for (int64_t& extent : extents_) extent = random_.extent() % 24 + 1;
    const int states = static_cast<int>(random_.integer(0, 2));
    for (int i = 0; i < 3; ++i) pool_.push_back(test_.input(shape()));
    for (int i = 0; i < nodes; ++i) pool_.push_back(step());
    for (int i = 0; i < states; ++i) {
      const Tensor state = test_.input(pick().shape());
      // Used before it is replaced, and by the value that replaces it or not.
      pool_.push_back(state * 0.5 + fitting(state.shape()));
      const Tensor value =
          random_.chance(0.6) ? tanh(state) + fitting(state.shape()) : fitting(state.shape()) * 0.5;
      test_.update(state, value, kLimit);
    }
    const int results = static_cast<int>(random_.integer(2, 4));
    for (int i = 0; i < results; ++i) test_.output("y", pool_[pool_.size() - 1 - back(i)], kLimit);
  }

 private:
  // The last nodes, and one from anywhere.
  size_t back(int result) {
    if (result < 2) return static_cast<size_t>(result);
    return static_cast<size_t>(random_.integer(0, static_cast<int64_t>(pool_.size()) - 1));
  }

  Shape shape() {
    Shape shape(std::vector<int64_t>(static_cast<size_t>(random_.integer(1, 3))));
    for (int i = 0; i < shape.rank(); ++i) shape[i] = extents_[random_.integer(0, 3)];
    return shape;
  }

  Tensor pick() {
    // Late nodes more often, so that chains get long.
    const int64_t size = static_cast<int64_t>(pool_.size());
    const int64_t first = random_.chance(0.6) ? std::max<int64_t>(0, size - 4) : 0;
    return pool_[static_cast<size_t>(random_.integer(first, size - 1))];
  }

  // Some tensor brought to `shape`: as it is, summed up and broadcast, or a new input.
  Tensor fitting(const Shape& shape) {
    for (int attempt = 0; attempt < 8; ++attempt) {
      const Tensor x = pick();
      if (x.shape() == shape) return x;
      if (x.shape().numel() == shape.numel()) return reshape(x, shape);
      if (x.rank() <= shape.rank()) {
        bool fits = true;
        for (int i = 1; i <= x.rank(); ++i) fits &= x.dim(-i) == 1 || x.dim(-i) == shape[-i];
        if (fits) return broadcast_to(x, shape);
      }
    }
    if (random_.chance(0.5)) return broadcast_to(mean_all(pick()), shape);
    return test_.input(shape);
  }

  Tensor elementwise(Tensor x) {
    switch (random_.integer(0, 9)) {
      case 0:
        return silu(x);
      case 1:
        return sin(x);
      case 2:
        return sqrt(square(x) + 1.0) - 1.0;
      case 3:
        return exp(-square(x));
      case 4:
        return x / (1.0 + abs(x));
      case 5:
        return tanh(x) * fitting(x.shape());
      case 6:
        return (x + fitting(x.shape())) * 0.6;
      case 7:
        return maximum(x, fitting(x.shape()));
      case 8:
        return x - fitting(x.shape());
      default: {
        // A condition that does not depend on rounding.
        const int axis = static_cast<int>(random_.integer(0, x.rank() - 1));
        const Tensor at = iota(*test_.program.graph, x.shape(), axis);
        const Tensor bound =
            full(*test_.program.graph, x.shape(),
                 static_cast<double>(random_.integer(0, x.dim(axis))), DType::kU32);
        return select(less(at, bound), x, fitting(x.shape()));
      }
    }
  }

  Tensor movement(Tensor x) {
    const int axis = static_cast<int>(random_.integer(0, x.rank() - 1));
    switch (random_.integer(0, 6)) {
      case 0:
        return transpose(x, axis, static_cast<int>(random_.integer(0, x.rank() - 1)));
      case 1:
        return flip(x, {axis});
      case 2:
        return x.dim(axis) > 1 ? slice_axis(x, axis, 1, x.dim(axis)) : x * 0.5;
      case 3: {
        std::vector<int64_t> low(static_cast<size_t>(x.rank()), 0), high = low, interior = low;
        low[static_cast<size_t>(axis)] = random_.integer(0, 2);
        high[static_cast<size_t>(axis)] = random_.integer(0, 2);
        interior[static_cast<size_t>(axis)] = random_.integer(0, 1);
        return pad(x, low, high, 0, interior);
      }
      case 4: {
        std::vector<Tensor> parts = {x};
        for (int64_t i = random_.integer(1, 5); i > 0; --i) parts.push_back(fitting(x.shape()));
        return concat(parts, axis);
      }
      case 5:
        return reshape(x, {x.shape().numel()});
      default: {
        const Tensor index = test_.input({random_.integer(1, 9)}, DType::kU32, Fill::kFew);
        return gather(x, index);
      }
    }
  }

  Tensor reduction(Tensor x) {
    const int axis = static_cast<int>(random_.integer(0, x.rank() - 1));
    const bool keep = x.rank() == 1 || random_.chance(0.5);
    switch (random_.integer(0, 4)) {
      case 0:
        return mean(x, {axis}, keep);
      case 1:
        return max(x, {axis}, keep);
      case 2:
        return softmax(x * 2.0);
      case 3: {
        const Tensor centred = x - mean(x, {axis}, true);
        return centred * rsqrt(mean(square(centred), {axis}, true) + 0.1);
      }
      default:
        return logsumexp(x, {axis}, keep) * 0.3;
    }
  }

  Tensor contraction(Tensor x) {
    if (x.rank() < 2) x = reshape(x, {1, x.dim(0)});
    const int64_t in = x.dim(-1), out = extents_[random_.integer(0, 3)];
    const Tensor weight = test_.input({in, out});
    return matmul(x, weight) * (1 / std::sqrt(static_cast<double>(in)));
  }

  Tensor step() {
    const Tensor x = pick();
    const double kind = random_.real(0, 1);
    Tensor y = kind < 0.5    ? elementwise(x)
               : kind < 0.75 ? movement(x)
               : kind < 0.9  ? reduction(x)
                             : contraction(x);
    // What has grown is cut, so that graphs stay small.
    if (y.shape().numel() > 6000) y = slice_axis(reshape(y, {-1}), 0, 0, 997);
    return y;
  }

  RandomCase& test_;
  Random& random_;
  int64_t extents_[4] = {};
  std::vector<Tensor> pool_;
};

}  // namespace

RandomCase make_graph_case(uint64_t seed, int nodes) {
  RandomCase test(seed);
  GraphMaker(test).make(nodes);
  return test;
}

}  // namespace ito::test
