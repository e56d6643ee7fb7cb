// Ahead-of-time packs as files: what `ito pack` writes and a context of the C API reads
// (docs/embedding.md describes the bytes). Nothing that such a file says is trusted before it was
// checked against its size, and all of it against its checksum; only what a kernel does on the
// device is taken on trust, so packs come from where libraries come from.
#pragma once

#include <string>
#include <string_view>

#include "base/kernel_pack.h"
#include "base/result.h"
#include "io/file.h"

namespace ito {

// What a pack begins with, and what its name ends in.
inline constexpr std::string_view kPackMagic = "itopack1";
inline constexpr std::string_view kPackEnding = ".itopack";

std::string pack_bytes(const KernelPack& pack);

// `where` names the bytes in errors. Errors kCorrupt: no pack, one of another version, a size or a
// checksum that is wrong, a description that contradicts itself.
Result<KernelPack> parse_pack(std::string_view bytes, std::string_view where);

// Errors: of parse_pack and read_file. At most 1 GB is read.
Result<KernelPack> read_pack(const Path& path);
// Atomically.
Status write_pack(const Path& path, const KernelPack& pack);

}  // namespace ito
