// TensorBytes: the bytes of a tensor: its own, or a part of something that lives as long as any
// tensor of it does, such as a mapped file, so that reading weights copies nothing, or made when
// they are written, so that writing what lies elsewhere copies none of it whole. Not for what the
// bytes mean (io/host_tensor.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "io/file.h"

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
  // `size` bytes that `make` hands over in order, whenever they are written (write_to); all that it
  // refers to must live until then. They cannot be looked at: data() is a CHECK.
  static TensorBytes made(size_t size, std::function<Status(const ByteSink&)> make) {
    TensorBytes bytes;
    bytes.made_size_ = size;
    bytes.make_ = std::move(make);
    return bytes;
  }

  size_t size() const { return make_ ? made_size_ : owner_ ? part_.size() : own_.size(); }
  bool empty() const { return size() == 0; }
  // All bytes in order, in as many pieces as their maker likes. Errors: its and the sink's.
  Status write_to(const ByteSink& sink) const {
    if (!make_) return sink({reinterpret_cast<const char*>(data()), size()});
    size_t written = 0;
    ITO_TRY(make_([&](std::string_view piece) {
      written += piece.size();
      return sink(piece);
    }));
    CHECK(written == made_size_, "as many bytes as the tensor has");
    return {};
  }
  const uint8_t* data() const {
    CHECK(!make_, "bytes that are made when they are written");
    return owner_ ? reinterpret_cast<const uint8_t*>(part_.data()) : own_.data();
  }
  const uint8_t* begin() const { return data(); }
  const uint8_t* end() const { return data() + size(); }
  uint8_t operator[](size_t i) const { return data()[i]; }

  // To be written to: what was another's part becomes the tensor's own copy.
  std::vector<uint8_t>& own() {
    CHECK(!make_, "bytes that are made when they are written");
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
  size_t made_size_ = 0;
  std::function<Status(const ByteSink&)> make_;
};

}  // namespace ito
