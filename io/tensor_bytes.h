// TensorBytes: the bytes of a tensor: its own, or a part of something that lives as long as any
// tensor of it does, such as a mapped file, so that reading weights copies nothing. Not for what
// the bytes mean (io/host_tensor.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace ito {

class TensorBytes {
 public:
  TensorBytes() = default;
  TensorBytes(std::vector<uint8_t> own) : own_(std::move(own)) {}
  TensorBytes(std::initializer_list<uint8_t> own) : own_(own) {}
  // A part of what `owner` keeps alive and unchanged.
  static TensorBytes part_of(std::shared_ptr<const void> owner, std::string_view part) {
    TensorBytes bytes;
    bytes.owner_ = std::move(owner);
    bytes.part_ = part;
    return bytes;
  }

  size_t size() const { return owner_ ? part_.size() : own_.size(); }
  bool empty() const { return size() == 0; }
  const uint8_t* data() const {
    return owner_ ? reinterpret_cast<const uint8_t*>(part_.data()) : own_.data();
  }
  const uint8_t* begin() const { return data(); }
  const uint8_t* end() const { return data() + size(); }
  uint8_t operator[](size_t i) const { return data()[i]; }

  // To be written to: what was another's part becomes the tensor's own copy.
  std::vector<uint8_t>& own() {
    if (owner_) {
      own_.assign(begin(), end());
      owner_ = nullptr;
      part_ = {};
    }
    return own_;
  }

  bool operator==(const TensorBytes& other) const {
    return size() == other.size() &&
           std::string_view(reinterpret_cast<const char*>(data()), size()) ==
               std::string_view(reinterpret_cast<const char*>(other.data()), size());
  }

 private:
  std::vector<uint8_t> own_;
  std::shared_ptr<const void> owner_;
  std::string_view part_;
};

}  // namespace ito
