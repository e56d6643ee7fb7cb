// An NPZ archive of many bytes that lie elsewhere, in a mapped file say, and are not copied. Not
// for archives whose arrays are in memory (io/npy.h).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/shape.h"
#include "io/file.h"
#include "io/host_tensor.h"
#include "io/npy.h"

namespace ito {

// The archive's first array is `name`, of type u8 and this shape; then come those of `more`.
// Atomic. Errors as of write_npz.
Status write_npz_of_bytes(const Path& path, const std::string& name, const Shape& shape,
                          std::string_view bytes, const TensorFile& more,
                          const TextArrays& texts = {});

}  // namespace ito
