// fingerprint: what settings keep of numbers that an image depends on.
#pragma once

#include <fmt/core.h>

#include <string>
#include <vector>

#include "base/hash.h"

namespace ito {

template <typename T>
std::string fingerprint(const std::vector<T>& values) {
  return fmt::format("{:016x}", hash_bytes({reinterpret_cast<const char*>(values.data()),
                                            values.size() * sizeof(T)}));
}

}  // namespace ito
