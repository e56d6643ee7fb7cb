// NumPy's files: one array (.npy) or a zip of them (.npz).
// Not for Fortran order, structured or object arrays: those are refused with their name.
#pragma once

#include <string_view>

#include "base/result.h"
#include "io/file.h"
#include "io/host_tensor.h"

namespace ito {

// One array: little-endian b1, u1…u8, i1…i8, f2, f4, f8 in C order, format versions 1 to 3.
// Errors: kNotFound, kIo; kCorrupt for a damaged header or data that do not fill the shape exactly;
// kUnsupported for other element types, big-endian and Fortran order.
Result<HostTensor> read_npy(const Path& path);
Result<HostTensor> parse_npy(std::string_view bytes, std::string_view where);

// All arrays of an archive, stored or deflated, by name without ".npy". Errors as above, and
// kCorrupt for damaged archives and checksums that do not match.
Result<TensorFile> read_npz(const Path& path);
Result<TensorFile> parse_npz(std::string_view bytes, std::string_view where);

// Atomic. The archive is not compressed. Errors: kIo; kInvalidArgument for BF16, which NumPy lacks,
// and for arrays of 4 GB or more in an archive.
Status write_npy(const Path& path, const HostTensor& tensor);
Status write_npz(const Path& path, const TensorFile& file);

}  // namespace ito
