// One reader of files from outside, as the fuzzer drives it (main.cpp): bytes in, a value or an
// error out. To add one is to add a row to the table in readers.cpp.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace ito::fuzz {

// What readers are told that they read: an error has to name it.
inline constexpr const char* kWhere = "input";

struct Reader {
  const char* name;
  Status (*read)(std::string_view bytes);
  // Rights lengths and checksums that mutations leave wrong, so that what lies behind them is
  // reached too; null where there are none.
  void (*repair)(std::string& bytes) = nullptr;
};
std::span<const Reader> readers();

// The repairs (repairs.cpp).
void repair_png(std::string& bytes);          // the CRC of every chunk
void repair_safetensors(std::string& bytes);  // the header's length
void repair_zip(std::string& bytes);          // the CRC and the sizes of stored entries
void repair_tar(std::string& bytes);          // the sum of every header
void repair_pack(std::string& bytes);         // the size of the modules and the digest

}  // namespace ito::fuzz
