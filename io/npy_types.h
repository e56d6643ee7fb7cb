// What NumPy's files say of themselves: their first bytes, and how they spell element types. Not
// for reading or writing them (io/npy.h).
#pragma once

#include <array>
#include <string_view>

#include "io/host_tensor.h"

namespace ito {

inline constexpr std::string_view kNpyMagic("\x93NUMPY", 6);

struct NpyType {
  HostType type;
  std::string_view descr;
};
inline constexpr std::array<NpyType, 12> kNpyTypes = {{{HostType::kBool, "|b1"},
                                                       {HostType::kU8, "|u1"},
                                                       {HostType::kI8, "|i1"},
                                                       {HostType::kU16, "<u2"},
                                                       {HostType::kI16, "<i2"},
                                                       {HostType::kF16, "<f2"},
                                                       {HostType::kU32, "<u4"},
                                                       {HostType::kI32, "<i4"},
                                                       {HostType::kF32, "<f4"},
                                                       {HostType::kU64, "<u8"},
                                                       {HostType::kI64, "<i8"},
                                                       {HostType::kF64, "<f8"}}};

}  // namespace ito
