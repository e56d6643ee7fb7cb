// Files that PyTorch's torch.save wrote (.bin, .pt, .pth, .ckpt): the tensors of a state
// dictionary, read without running anything. What lies in dictionaries within dictionaries has
// their keys before its name, with dots. Not for what the tensors mean (io/weights.h).
#pragma once

#include <string_view>

#include "base/result.h"
#include "io/file.h"
#include "io/host_tensor.h"

namespace ito {

// Reads every tensor, strided ones into row-major order. The file is mapped and stays so while a
// tensor that is a part of it lives; all together take at most four times its size. Numbers, texts
// and lists beside the tensors are left out; so are, named in TensorFile::unread, tensors of types
// that HostType lacks (float8, complex numbers), sparse and quantised ones. Errors naming the file:
// kNotFound, kIo; kCorrupt; kUnsupported for a pickle that refers to anything but tensors and plain
// containers (by its name).
Result<TensorFile> read_torch_file(const Path& path);

// The same from memory; `where` names the source in errors.
Result<TensorFile> parse_torch_file(std::string_view bytes, std::string_view where);

}  // namespace ito
