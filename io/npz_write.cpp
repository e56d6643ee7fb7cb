// NumPy's archives, written: numbers as they are, texts as NumPy's own, of 32 bits a character.
#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/error.h"
#include "io/npy.h"
#include "io/npy_types.h"
#include "io/npz_bytes.h"

namespace ito {
namespace {

std::string npy_header(std::string_view descr, const Shape& shape) {
  std::string dims;
  for (int64_t d : shape.dims()) dims += fmt::format("{}, ", d);
  if (shape.rank() == 1) dims.pop_back();  // Python writes (3,)
  if (shape.rank() > 1) dims.resize(dims.size() - 2);
  std::string dict =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, dims);
  // Version 1: magic, version, u16 length, text; the data begin at a multiple of 64 bytes.
  const size_t length = (10 + dict.size() + 1 + 63) / 64 * 64 - 10;
  dict.append(length - 1 - dict.size(), ' ');
  dict += '\n';
  std::string header(kNpyMagic);
  header += {'\x01', '\x00', static_cast<char>(length & 0xff), static_cast<char>(length >> 8)};
  return header + dict;
}

Result<std::string> header_of(const HostTensor& tensor, const Path& path) {
  for (const NpyType& row : kNpyTypes)
    if (row.type == tensor.type) return npy_header(row.descr, tensor.shape);
  return invalid_argument("cannot write {}: NumPy has no type for {}", path.string(),
                          host_type_name(tensor.type));
}

// The characters of a text in UTF-8; a byte that begins none is U+FFFD.
std::vector<uint32_t> characters_of(std::string_view text) {
  constexpr uint32_t kNoCharacter = 0xfffd;
  std::vector<uint32_t> characters;
  for (size_t at = 0; at < text.size();) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const size_t more = byte(at) < 0x80   ? 0
                        : byte(at) < 0xc0 ? text.size()
                        : byte(at) < 0xe0 ? 1
                        : byte(at) < 0xf0 ? 2
                        : byte(at) < 0xf8 ? 3
                                          : text.size();
    bool whole = at + more < text.size();
    uint32_t code = more == 0 ? byte(at) : byte(at) & (0x3fu >> (whole ? more : 0));
    for (size_t i = at + 1; whole && i <= at + more; ++i) {
      whole = (byte(i) & 0xc0) == 0x80;
      code = code << 6 | (byte(i) & 0x3fu);
    }
    characters.push_back(whole ? code : kNoCharacter);
    at += whole ? 1 + more : 1;
  }
  return characters;
}

// An array [n] of texts as NumPy holds it: each as long as the longest, with zeros behind it.
std::string npy_of_texts(const std::vector<std::string>& texts) {
  std::vector<std::vector<uint32_t>> all;
  size_t longest = 1;  // NumPy has no texts of no length
  for (const std::string& text : texts) {
    all.push_back(characters_of(text));
    longest = std::max(longest, all.back().size());
  }
  std::string bytes =
      npy_header(fmt::format("<U{}", longest), {static_cast<int64_t>(texts.size())});
  for (std::vector<uint32_t>& characters : all) {
    characters.resize(longest);
    bytes.append(reinterpret_cast<const char*>(characters.data()), 4 * longest);
  }
  return bytes;
}

Status write_parts(const Path& path, const TensorFile& file, const TextArrays& texts,
                   std::vector<ZipPart>& parts) {
  for (const auto& [name, tensor] : file.tensors) {
    ITO_ASSIGN(std::string header, header_of(tensor, path));
    const std::string_view data(reinterpret_cast<const char*>(tensor.bytes.data()),
                                tensor.bytes.size());
    parts.push_back({name + ".npy", std::move(header), data});
  }
  for (const auto& [name, array] : texts) parts.push_back({name + ".npy", npy_of_texts(array), {}});
  return write_zip(path, parts);
}

}  // namespace

Status write_npz(const Path& path, const TensorFile& file, const TextArrays& texts) {
  std::vector<ZipPart> parts;
  return write_parts(path, file, texts, parts);
}

Status write_npz_of_bytes(const Path& path, const std::string& name, const Shape& shape,
                          std::string_view bytes, const TensorFile& more, const TextArrays& texts) {
  CHECK(static_cast<int64_t>(bytes.size()) == shape.numel(), "as many bytes as the shape has");
  ITO_ASSIGN(std::string header, header_of({HostType::kU8, shape, {}}, path));
  std::vector<ZipPart> parts = {{name + ".npy", std::move(header), bytes}};
  return write_parts(path, more, texts, parts);
}

}  // namespace ito
