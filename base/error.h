// Short makers for Error values with fmt formatting: return invalid_argument("... {}", x);
#pragma once

#include <fmt/core.h>

#include "base/result.h"

namespace ito {

#define ITO_ERROR_MAKER(name, kind)                                     \
  template <typename... Args>                                           \
  Error name(fmt::format_string<Args...> text, Args&&... args) {        \
    return Error{kind, fmt::format(text, std::forward<Args>(args)...)}; \
  }
ITO_ERROR_MAKER(invalid_argument, ErrorKind::kInvalidArgument)
ITO_ERROR_MAKER(not_found, ErrorKind::kNotFound)
ITO_ERROR_MAKER(io_error, ErrorKind::kIo)
ITO_ERROR_MAKER(corrupt, ErrorKind::kCorrupt)
ITO_ERROR_MAKER(unsupported, ErrorKind::kUnsupported)
ITO_ERROR_MAKER(out_of_memory, ErrorKind::kOutOfMemory)
ITO_ERROR_MAKER(device_lost, ErrorKind::kDeviceLost)
ITO_ERROR_MAKER(diverged, ErrorKind::kDiverged)
ITO_ERROR_MAKER(interrupted, ErrorKind::kInterrupted)
#undef ITO_ERROR_MAKER

}  // namespace ito
