// A fresh folder for one test, removed with it, and small helpers for files in it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/result.h"

namespace ito::test {

class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "ito-io-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Plain, not atomic: what a test needs to put damaged files in place quickly.
inline void put(const std::filesystem::path& path, std::string_view bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::filesystem::remove(path);  // file systems flush a truncated file, but not a new one
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// Bytes from hexadecimal digits.
inline std::string unhex(std::string_view digits) {
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes += static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16));
  return bytes;
}

// True if the result is an error of that kind whose text contains each part.
template <typename T, typename... Parts>
testing::AssertionResult fails(const Result<T>& result, ErrorKind kind, Parts... parts) {
  if (result.ok()) return testing::AssertionFailure() << "expected an error, got a value";
  const Error& error = result.error();
  if (error.kind != kind)
    return testing::AssertionFailure()
           << "kind " << static_cast<int>(error.kind) << ", text: " << error.message;
  for (std::string_view part : std::initializer_list<std::string_view>{parts...})
    if (error.message.find(part) == std::string::npos)
      return testing::AssertionFailure() << "'" << part << "' not in: " << error.message;
  return testing::AssertionSuccess();
}

template <typename T>
testing::AssertionResult succeeds(const Result<T>& result) {
  if (result.ok()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << result.error().message;
}

}  // namespace ito::test
