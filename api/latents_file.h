// Latents of `ito sample`: what a sampler that runs from pictures to noise writes
// (--sampler ddim-inverse --init-image A.png --out A.safetensors), and where one that runs back
// begins (--sampler ddim --latents A.safetensors). Not an autoencoder's latents
// (api/autoencoder.h).
#pragma once

#include <span>
#include <vector>

#include "api/sampling.h"
#include "io/file.h"

namespace ito {

inline constexpr const char* kLatents = "latents";  // the tensor's name, f32 [n, c, h, w]

// Where images begin: image of seed s at row s modulo rows.
struct Latents {
  int64_t rows = 0;
  std::vector<float> values;  // [rows, h, w, c]

  // Of these requests, one after the other.
  std::vector<float> of(std::span<const SampleRequest> requests) const;
};

// The tensor "latents" of a .safetensors file. Errors name file and tensor: missing, no floats, not
// [n, c, h, w] of `image` [h, w, c].
Result<Latents> read_latents(const Path& path, const Shape& image);

}  // namespace ito
