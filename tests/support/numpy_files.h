// NumPy's files as tests want them written. Not for what programs write (io/npy.h).
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "io/npy.h"
#include "io/zip.h"

namespace ito::test {

// Arrays by name into a file, whose folder is made.
inline void put_npz(const Path& path, const std::map<std::string, HostTensor>& arrays,
                    const TextArrays& texts = {}) {
  std::filesystem::create_directories(path.parent_path());
  const Status status = write_npz(path, {arrays, {}}, texts);
  EXPECT_TRUE(status.ok()) << status.error().message;
}

// One array: what an archive of it holds.
inline Status write_npy(const Path& path, const HostTensor& tensor) {
  const Path archive = path.string() + ".npz";
  ITO_TRY(write_npz(archive, {{{"array", tensor}}, {}}));
  ITO_ASSIGN(const MappedFile bytes, MappedFile::open(archive));
  ITO_ASSIGN(const std::vector<ZipEntry> entries, parse_zip(bytes.bytes(), archive.string()));
  ITO_ASSIGN(const std::string content, read_zip_entry(entries.at(0), archive.string()));
  ITO_TRY(write_file_atomic(path, content));
  return remove_tree(archive);
}

}  // namespace ito::test
