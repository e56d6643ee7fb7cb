// Philox4x32-10 on the host (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"):
// random words that are a function of a key and a counter, the same as the device's. What initial
// weights, data order, the interpreter and tests draw from. Not a stateful generator; PyTorch's is
// diffusion/torch_rng.h.
#pragma once

#include <array>
#include <cstdint>

namespace ito {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

// Four random words of one counter.
std::array<uint32_t, 4> philox4x32_10(PhiloxCounter counter, PhiloxKey key);

// Word x → (x + 0.5) · 2^-32, in (0, 1).
double philox_uniform(uint32_t word);

// Four standard normals: (n0, n1) from uniforms (u0, u1), (n2, n3) from (u2, u3), each
// √(-2 ln u_even) (cos, sin)(2π u_odd) (Box & Muller 1958).
std::array<double, 4> philox_normal(PhiloxCounter counter, PhiloxKey key);

}  // namespace ito
