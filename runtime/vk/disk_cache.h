// DiskCache: small binary entries in a folder, each under a 128-bit key, checksummed, written
// atomically. A missing, torn or altered entry reads as absent; a folder that cannot be written
// turns writing off without an error, since a cache is never needed for correctness.
// Not for checkpoints or user data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ito::vk {

struct CacheKey {
  uint64_t high = 0, low = 0;
  bool operator==(const CacheKey&) const = default;
  std::string hex() const;  // 32 digits
};

// The key of a list of texts; the boundaries between them count.
CacheKey cache_key(std::span<const std::string_view> parts);

class DiskCache {
 public:
  // `folder` is made when first written to; empty: nothing is ever found or stored.
  explicit DiskCache(std::string folder) : folder_(std::move(folder)) {}

  std::optional<std::vector<std::byte>> load(const CacheKey& key) const;
  // Whether there is a file for it, which load() may still find torn.
  bool has(const CacheKey& key) const;
  // Replaces the entry whole; a reader sees the old one or the new one.
  void store(const CacheKey& key, std::span<const std::byte> data) const;
  // The file an entry lives in.
  std::string path(const CacheKey& key) const;

 private:
  std::string folder_;
};

}  // namespace ito::vk
