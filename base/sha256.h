// SHA-256 (FIPS 180-4): what `sha256sum` prints, for the contents of files that travel between
// machines. Not for cache keys (base/hash.h), and not for secrets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ito {

class Sha256 {
 public:
  void update(std::string_view bytes);
  // The digest of all bytes so far as 64 hexadecimal digits. Ends the object's use.
  std::string hex();

 private:
  void compress(const char* block);

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<char, 64> rest_ = {};  // of a block that is not full
  size_t filled_ = 0;
  uint64_t bytes_ = 0;
};

inline std::string sha256_hex(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

}  // namespace ito
