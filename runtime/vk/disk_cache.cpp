#include "runtime/vk/disk_cache.h"

#include <fmt/core.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/hash.h"
#include "base/platform.h"

namespace ito::vk {
namespace {

struct Header {
  char magic[8] = {'i', 't', 'o', 'c', 'a', 'c', 'h', '1'};
  uint64_t key_high = 0;
  uint64_t key_low = 0;
  uint64_t size = 0;      // bytes that follow
  uint64_t checksum = 0;  // of those bytes
};

// No kernel comes near it; a file that somebody else has put there might.
constexpr uint64_t kMaxEntry = uint64_t{256} << 20;

std::string_view as_text(std::span<const std::byte> data) {
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

}  // namespace

std::string CacheKey::hex() const { return fmt::format("{:016x}{:016x}", high, low); }

CacheKey cache_key(std::span<const std::string_view> parts) {
  CacheKey key{0xcbf29ce484222325ull, 0x84222325cbf29ce4ull};
  for (const std::string_view part : parts) {
    key.high = hash_combine(hash_bytes(part, key.high), part.size());
    key.low = hash_combine(hash_bytes(part, key.low), key.high);
  }
  return key;
}

std::string DiskCache::path(const CacheKey& key) const {
  const std::string hex = key.hex();
  return fmt::format("{}/{}/{}", folder_, hex.substr(0, 2), hex.substr(2));
}

std::optional<std::vector<std::byte>> DiskCache::load(const CacheKey& key) const {
  if (folder_.empty()) return std::nullopt;
  const std::string file_path = path(key);
  std::error_code error;
  const uint64_t file_size = std::filesystem::file_size(file_path, error);
  if (error || file_size < sizeof(Header) || file_size > kMaxEntry) return std::nullopt;
  std::ifstream file(file_path, std::ios::binary);
  Header header;
  if (!file.read(reinterpret_cast<char*>(&header), sizeof header)) return std::nullopt;
  const Header expected;
  if (std::memcmp(header.magic, expected.magic, sizeof header.magic) != 0 ||
      header.key_high != key.high || header.key_low != key.low ||
      header.size != file_size - sizeof header)
    return std::nullopt;
  std::vector<std::byte> data(header.size);
  if (!file.read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(data.size())))
    return std::nullopt;
  if (hash_bytes(as_text(data)) != header.checksum) return std::nullopt;
  return data;
}

bool DiskCache::has(const CacheKey& key) const {
  std::error_code error;
  return !folder_.empty() && std::filesystem::exists(path(key), error);
}

void DiskCache::store(const CacheKey& key, std::span<const std::byte> data) const {
  if (folder_.empty()) return;
  static_assert(sizeof(Header) == 40);
  Header header;
  header.key_high = key.high;
  header.key_low = key.low;
  header.size = data.size();
  header.checksum = hash_bytes(as_text(data));
  const std::string file_path = path(key);
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(file_path).parent_path(), error);
  // Unique among threads and processes: this entry's address on the stack and the process id.
  const std::string temporary = fmt::format("{}.{}.{:x}.tmp", file_path, platform::process_number(),
                                            reinterpret_cast<uintptr_t>(&header));
  {
    std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(&header), sizeof header);
    file.write(reinterpret_cast<const char*>(data.data()),
               static_cast<std::streamsize>(data.size()));
    file.close();
    if (!file) {
      std::filesystem::remove(temporary, error);
      return;
    }
  }
  std::filesystem::rename(temporary, file_path, error);
  if (error) std::filesystem::remove(temporary, error);
}

}  // namespace ito::vk
