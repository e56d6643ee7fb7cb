// Affine: what a step of a solver makes of what it has, as numbers: a linear combination of x, the
// estimate of x_0, ε, fresh noise z and the states that the solver carries. Solvers do algebra with
// it on the host, so that a step reads like its paper, and what remains of any method is one row of
// numbers. Not the step itself (diffusion/solver.h).
#pragma once

#include <array>
#include <cstddef>

namespace ito {

struct Affine {
  static constexpr size_t kMaxStates = 8;

  double x0 = 0;       // the converted, limited estimate of x_0
  double epsilon = 0;  // ε
  double x = 0;        // the sample that was evaluated
  std::array<double, kMaxStates> states{};
  double z = 0;  // a standard normal of x's shape

  bool operator==(const Affine&) const = default;

  Affine& operator+=(const Affine& b) {
    x0 += b.x0;
    epsilon += b.epsilon;
    x += b.x;
    for (size_t i = 0; i < kMaxStates; ++i) states[i] += b.states[i];
    z += b.z;
    return *this;
  }
  Affine& operator*=(double factor) {
    x0 *= factor;
    epsilon *= factor;
    x *= factor;
    for (double& state : states) state *= factor;
    z *= factor;
    return *this;
  }
};

inline Affine operator+(Affine a, const Affine& b) { return a += b; }
inline Affine operator*(Affine a, double factor) { return a *= factor; }
inline Affine operator*(double factor, Affine a) { return a *= factor; }
inline Affine operator/(Affine a, double divisor) { return a *= 1 / divisor; }
inline Affine operator-(Affine a) { return a *= -1; }
inline Affine operator-(Affine a, const Affine& b) { return a += -b; }

// The terms that combinations are made of.
namespace affine {
inline const Affine kX0{.x0 = 1};
inline const Affine kEpsilon{.epsilon = 1};
inline const Affine kX{.x = 1};
inline const Affine kNoise{.z = 1};
inline Affine state(size_t i) {
  Affine term;
  term.states.at(i) = 1;
  return term;
}
}  // namespace affine

}  // namespace ito
