#include "api/latents_file.h"

#include "base/error.h"
#include "io/layout.h"
#include "io/safetensors.h"

namespace ito {

std::vector<float> Latents::of(std::span<const SampleRequest> requests) const {
  const size_t row = values.size() / static_cast<size_t>(rows);
  std::vector<float> chosen;
  chosen.reserve(requests.size() * row);
  for (const SampleRequest& request : requests) {
    const auto begin =
        values.begin() + static_cast<ptrdiff_t>(request.seed % static_cast<size_t>(rows) * row);
    chosen.insert(chosen.end(), begin, begin + static_cast<ptrdiff_t>(row));
  }
  return chosen;
}

Result<Latents> read_latents(const Path& path, const Shape& image) {
  ITO_ASSIGN(const TensorFile file, read_safetensors(path));
  const auto found = file.tensors.find(kLatents);
  if (found == file.tensors.end())
    return invalid_argument(
        "{}: tensor '{}' is missing; expected what --sampler ddim-inverse writes", path.string(),
        kLatents);
  const Shape& shape = found->second.shape;
  if (shape.rank() != 4 || shape[0] < 1 || shape[1] != image[2] || shape[2] != image[0] ||
      shape[3] != image[1])
    return invalid_argument("{}: tensor '{}' has shape {}, expected [n,{},{},{}]", path.string(),
                            kLatents, shape.to_string(), image[2], image[0], image[1]);
  return Latents{.rows = shape[0], .values = nchw_to_nhwc(to_floats(found->second), shape)};
}

}  // namespace ito
