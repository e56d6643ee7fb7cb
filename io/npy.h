// NumPy's files: one array (.npy) or a zip of them (.npz).
// Not for structured arrays and objects other than texts: those are refused with their name.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/file.h"
#include "io/host_tensor.h"
#include "io/zip.h"

namespace ito {

// One array: b1, u1…u8, i1…i8, f2, f4, f8 of either byte order, in C or Fortran order, format
// versions 1 to 3; what comes back is little-endian and in C order. Headers of Python 2 ("4L") are
// read too. Errors: kNotFound, kIo; kCorrupt for a damaged header or data that do not fill the
// shape exactly; kUnsupported for other element types.
Result<HostTensor> read_npy(const Path& path);
Result<HostTensor> parse_npy(std::string_view bytes, std::string_view where);

// How an array's bytes are to be understood.
struct ArrayLayout {
  std::string descr;  // NumPy's name of the element type, "<f4"
  bool fortran_order = false;
  std::vector<int64_t> shape;
};
// The array that bytes are. Errors as of parse_npy.
Result<HostTensor> array_of_bytes(ArrayLayout layout, std::string_view bytes,
                                  std::string_view where);

// An array of texts, in C order and UTF-8.
struct NpyTexts {
  Shape shape;
  std::vector<std::string> texts;  // without the zeros that fill them up
};
// Of element types U and S, or O where all objects are texts. Errors: kNotFound, kIo; kCorrupt;
// kUnsupported for other element types.
Result<NpyTexts> read_npy_texts(const Path& path);
Result<NpyTexts> parse_npy_texts(std::string_view bytes, std::string_view where);

// All arrays of an archive, stored or deflated, by name without ".npy". Errors as above, and
// kCorrupt for damaged archives and checksums that do not match.
Result<TensorFile> read_npz(const Path& path);
Result<TensorFile> parse_npz(std::string_view bytes, std::string_view where);

// An archive whose arrays are read one by one: those that nobody asks for may be of any type.
class NpzFile {
 public:
  static Result<NpzFile> open(const Path& path);
  bool has(std::string_view name) const;
  std::vector<std::string> names() const;  // without ".npy", in the archive's order
  // Error kNotFound, and as of parse_npz.
  Result<HostTensor> read(std::string_view name) const;
  // Error kNotFound, and as of parse_npy_texts.
  Result<NpyTexts> read_texts(std::string_view name) const;

 private:
  // An array's file, and what messages call it.
  struct Content {
    ZipContent file;
    std::string label;
  };
  Result<Content> content_of(std::string_view name) const;
  NpzFile(MappedFile file, std::vector<ZipEntry> entries, std::string where)
      : file_(std::move(file)), entries_(std::move(entries)), where_(std::move(where)) {}
  MappedFile file_;
  std::vector<ZipEntry> entries_;
  std::string where_;
};

// Arrays [n] of texts in UTF-8, by name.
using TextArrays = std::map<std::string, std::vector<std::string>>;

// Atomic. The archive is not compressed; texts are arrays of NumPy's type U. Errors: kIo;
// kInvalidArgument for BF16, which NumPy lacks, and for arrays of 4 GB or more.
Status write_npz(const Path& path, const TensorFile& file, const TextArrays& texts = {});

}  // namespace ito
