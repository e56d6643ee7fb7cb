// The safetensors format: tensors by name in one file, safe to read from strangers.
// Layout of a file: u64 n, then n bytes of JSON {"name": {"dtype", "shape", "data_offsets"}, …,
// "__metadata__": {text: text}}, then the data, which the tensors' ranges must tile exactly.
// Not for what the tensors mean (io/diffusers.h, io/checkpoint.h).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "io/file.h"
#include "io/host_tensor.h"

namespace ito {

// Reads every tensor. The file is mapped and checked before anything is allocated, so memory stays
// below twice the file's size whatever its header claims. Errors name the file and the tensor:
// kNotFound, kIo; kCorrupt when the file is truncated, the header is no such JSON, longer than the
// file or than 100 MB, a name occurs twice, offsets are out of range, overlap, leave a gap or do
// not fit dtype and shape; kUnsupported for a dtype that HostType lacks.
Result<TensorFile> read_safetensors(const Path& path);

// The same from memory; `where` names the source in errors.
Result<TensorFile> parse_safetensors(std::string_view bytes, std::string_view where);

// Atomic (io/file.h), streaming, deterministic: the same content gives the same bytes. Tensors lie
// in order of falling element size, then name, after a header padded to 8 bytes, so each is
// aligned.
Status write_safetensors(const Path& path, const TensorFile& file);

// One tensor whose bytes `body` produces, in order; another number of them than the shape has is a
// CHECK. Atomic.
Status write_safetensors_stream(const Path& path, const std::string& name, HostType type,
                                const Shape& shape,
                                const std::function<Status(const ByteSink&)>& body);

}  // namespace ito
