// Stable 64-bit hashing (FNV-1a with a finisher) for cache keys and value numbering.
// Not cryptographic. The same bytes give the same value on every machine and run.
#pragma once

#include <cstdint>
#include <string_view>

namespace ito {

inline uint64_t hash_bytes(std::string_view bytes, uint64_t seed = 0xcbf29ce484222325ull) {
  uint64_t h = seed;
  for (char c : bytes) {
    h ^= static_cast<unsigned char>(c);
    h *= 0x100000001b3ull;
  }
  return h;
}

inline uint64_t hash_combine(uint64_t a, uint64_t b) {
  uint64_t h = a ^ (b + 0x9e3779b97f4a7c15ull + (a << 6) + (a >> 2));
  h ^= h >> 31;
  h *= 0x7fb5d329728ea185ull;
  h ^= h >> 27;
  return h;
}

}  // namespace ito
