// Port: an external tensor of programs, declared once by the file whose programs have it, with the
// type of its numbers. Who builds a program makes inputs and outputs of ports (graph/builder.h,
// graph/program.h); who runs it writes, reads and binds by the same values (runtime/executor.h). So
// neither a name nor a type has to match across rooms. Not for tensors whose names come from
// outside: weights of a folder, inputs of `ito forward`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/dtype.h"

namespace ito {

template <typename T>
inline constexpr DType kPortType = DType::kF32;
template <>
inline constexpr DType kPortType<uint32_t> = DType::kU32;

// T: float or uint32_t. Name: const char*, or std::string for one of a family.
template <typename T, typename Name = const char*>
struct Port {
  Name name;
};

// Ports of one kind, of which a program has as many as it wants: "noise.0", "noise.1"…
template <typename T>
struct PortFamily {
  const char* prefix;

  Port<T, std::string> operator[](std::string_view which) const {
    return {std::string(prefix).append(which)};
  }
  Port<T, std::string> operator[](int which) const { return (*this)[std::to_string(which)]; }
};

}  // namespace ito
