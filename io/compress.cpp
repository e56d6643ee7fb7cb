#include "io/compress.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace ito {
namespace {

class Inflater {
 public:
  explicit Inflater(Compression format) {
    // zlib's window parameter: +16 means gzip, negative means no header.
    int window = format == Compression::kGzip ? 15 + 16 : format == Compression::kZlib ? 15 : -15;
    ok_ = inflateInit2(&stream, window) == Z_OK;
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() {
    if (ok_) inflateEnd(&stream);
  }
  bool ok() const { return ok_; }

  z_stream stream = {};

 private:
  bool ok_;
};

// What will come, as far as anybody says: a gzip member ends in its content's size, modulo 2^32.
uint64_t expected_size(std::string_view bytes, Compression format, uint64_t most) {
  constexpr size_t kTail = 4;
  if (format != Compression::kGzip || bytes.size() < kTail) return most;
  uint32_t size = 0;
  std::memcpy(&size, bytes.data() + bytes.size() - kTail, kTail);
  return std::min<uint64_t>(size, most);
}

// Passes over zeros of what zlib has not used and of what it was not given yet.
void skip_zeros(z_stream& stream, std::string_view& rest) {
  while (stream.avail_in > 0 && *stream.next_in == 0) {
    ++stream.next_in;
    --stream.avail_in;
  }
  if (stream.avail_in > 0) return;
  rest.remove_prefix(std::min(rest.find_first_not_of('\0'), rest.size()));
}

}  // namespace

uint64_t most_inflated(uint64_t packed) {
  constexpr uint64_t kHarmless = uint64_t{16} << 20, kMaxRatio = 500;
  return packed > UINT64_MAX / kMaxRatio ? UINT64_MAX : std::max(kHarmless, packed * kMaxRatio);
}

bool is_gzip(std::string_view bytes) { return bytes.starts_with("\x1f\x8b"); }

Result<std::string> inflate(std::string_view bytes, Compression format, std::string_view where,
                            uint64_t max_bytes) {
  Inflater inflater(format);
  if (!inflater.ok()) return out_of_memory("{}: cannot start decompression", where);
  z_stream& stream = inflater.stream;
  std::string_view rest = bytes;              // not yet given to zlib
  constexpr size_t kPiece = size_t{1} << 30;  // zlib counts in 32 bits
  constexpr size_t kChunk = size_t{1} << 18;
  const uint64_t most = std::min(max_bytes, most_inflated(bytes.size()));
  // A gigabyte of a megabyte mostly says so. (One that says less is found out on the way.)
  if (expected_size(bytes, format, UINT64_MAX) > most && format == Compression::kGzip)
    return corrupt("{}: is truncated, or {} bytes say that they inflate to more than {}", where,
                   bytes.size(), most);
  std::string out;
  // Growing costs what was there once more. Beyond the ratios that data have, a size may be a lie.
  constexpr uint64_t kUsualRatio = 16;
  out.reserve(std::min<uint64_t>(expected_size(bytes, format, most), kUsualRatio * bytes.size()) +
              kChunk);
  bool again = true;
  while (again) {
    if (stream.avail_in == 0) {
      size_t n = std::min(rest.size(), kPiece);
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(rest.data()));
      stream.avail_in = static_cast<uInt>(n);
      rest.remove_prefix(n);
    }
    size_t done = out.size();
    out.resize(done + kChunk);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + done);
    stream.avail_out = kChunk;
    int code = ::inflate(&stream, Z_NO_FLUSH);
    out.resize(done + kChunk - stream.avail_out);
    if (out.size() > most)
      return corrupt("{}: {} bytes inflate to more than {}{}", where, bytes.size(), most,
                     most < max_bytes ? ", which no honest data do" : " bytes");
    if (code == Z_STREAM_END) {
      // Tapes and downloads pad with zeros, which gzip itself passes over.
      if (format == Compression::kGzip) skip_zeros(stream, rest);
      again = stream.avail_in > 0 || !rest.empty();
      // A gzip file may be a chain of members; anything else may not go on.
      if (again && (format != Compression::kGzip || inflateReset(&stream) != Z_OK))
        return corrupt("{}: compressed data is followed by other bytes", where);
    } else if (code == Z_BUF_ERROR ||
               (code == Z_OK && stream.avail_in == 0 && rest.empty() && stream.avail_out > 0)) {
      return corrupt("{}: compressed data is truncated", where);
    } else if (code == Z_MEM_ERROR) {
      return out_of_memory("{}: decompression needs more memory", where);
    } else if (code != Z_OK) {
      return corrupt("{}: compressed data is damaged ({})", where,
                     stream.msg != nullptr ? stream.msg : "zlib error");
    }
  }
  return out;
}

std::string inflated_head(std::string_view bytes, Compression format, size_t most) {
  Inflater inflater(format);
  std::string out(inflater.ok() ? most : 0, '\0');
  z_stream& stream = inflater.stream;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(std::min(bytes.size(), size_t{1} << 30));
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  while (stream.avail_out > 0 && ::inflate(&stream, Z_NO_FLUSH) == Z_OK) {
  }
  out.resize(out.size() - stream.avail_out);
  return out;
}

uint32_t crc32_of(std::string_view bytes, uint32_t earlier) {
  if (bytes.empty()) return earlier;  // zlib takes a null pointer for "give me the start value"
  return static_cast<uint32_t>(
      crc32_z(earlier, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace ito
