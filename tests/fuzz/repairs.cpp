// Checksums and lengths made right again after a mutation, as far as the rest still tells where
// they lie. Each writes only inside of the bytes that it was given.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/sha256.h"
#include "io/compress.h"
#include "tests/fuzz/reader.h"

namespace ito::fuzz {
namespace {

template <typename T>
T get(const std::string& bytes, size_t at) {
  T value{};
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}
template <typename T>
void set(std::string& bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof(T));
}

}  // namespace

void repair_png(std::string& bytes) {
  constexpr size_t kSignature = 8, kFrame = 12;
  for (size_t at = kSignature; bytes.size() >= kFrame && at <= bytes.size() - kFrame;) {
    const size_t length = __builtin_bswap32(get<uint32_t>(bytes, at));
    if (length > bytes.size() - at - kFrame) return;
    const std::string_view body = std::string_view(bytes).substr(at + 4, 4 + length);
    set(bytes, at + 8 + length, __builtin_bswap32(crc32_of(body)));
    at += kFrame + length;
  }
}

void repair_safetensors(std::string& bytes) {
  // Up to the last brace, which seldom is one of the data.
  const size_t end = bytes.rfind('}');
  if (end != std::string::npos && end >= 8) set<uint64_t>(bytes, 0, end + 1 - 8);
}

void repair_zip(std::string& bytes) {
  constexpr std::string_view kCentral("PK\x01\x02", 4);
  for (size_t at = bytes.find(kCentral); at != std::string::npos && bytes.size() - at >= 46;
       at = bytes.find(kCentral, at + 4)) {
    const uint64_t local = get<uint32_t>(bytes, at + 42), stored = get<uint32_t>(bytes, at + 20);
    if (local + 30 > bytes.size() || get<uint16_t>(bytes, at + 10) != 0) continue;
    const uint64_t data =
        local + 30 + get<uint16_t>(bytes, local + 26) + get<uint16_t>(bytes, local + 28);
    if (data > bytes.size() || stored > bytes.size() - data) continue;
    set(bytes, at + 16, crc32_of(std::string_view(bytes).substr(data, stored)));
    set(bytes, at + 24, static_cast<uint32_t>(stored));
  }
}

void repair_tar(std::string& bytes) {
  constexpr size_t kBlock = 512, kSum = 148, kDigits = 6;
  for (size_t at = 0; at + kBlock <= bytes.size(); at += kBlock) {
    // Headers begin with a name; a block of a file's content is changed as well as not.
    if (bytes.compare(at + 257, 5, "ustar") != 0) continue;
    std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(at + kSum), 8, ' ');
    uint32_t sum = 0;
    for (size_t i = 0; i < kBlock; ++i) sum += static_cast<unsigned char>(bytes[at + i]);
    for (size_t i = kDigits; i-- > 0; sum /= 8)
      bytes[at + kSum + i] = static_cast<char>('0' + sum % 8);
    bytes[at + kSum + kDigits] = '\0';
  }
}

void repair_pack(std::string& bytes) {
  constexpr size_t kSizes = 8, kDigest = 24, kDigits = 64, kHeader = kDigest + kDigits;
  if (bytes.size() < kHeader) return;
  const uint64_t rest = bytes.size() - kHeader;
  const uint64_t description = std::min(get<uint64_t>(bytes, kSizes), rest);
  set(bytes, kSizes, description);
  set(bytes, kSizes + 8, rest - description);
  Sha256 digest;
  digest.update(std::string_view(bytes).substr(kSizes, kDigest - kSizes));
  digest.update(std::string_view(bytes).substr(kHeader));
  bytes.replace(kDigest, kDigits, digest.hex());
}

}  // namespace ito::fuzz
