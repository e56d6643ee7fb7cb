#include "embed/guard.h"

namespace ito::embed {
namespace {

thread_local std::string error_text;

ItoResult result_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
      return ITO_ERROR_INVALID_ARGUMENT;
    case ErrorKind::kNotFound:
      return ITO_ERROR_NOT_FOUND;
    case ErrorKind::kIo:
      return ITO_ERROR_IO;
    case ErrorKind::kCorrupt:
      return ITO_ERROR_CORRUPT;
    case ErrorKind::kUnsupported:
      return ITO_ERROR_UNSUPPORTED;
    case ErrorKind::kOutOfMemory:
      return ITO_ERROR_OUT_OF_MEMORY;
    case ErrorKind::kDeviceLost:
      return ITO_ERROR_DEVICE_LOST;
    case ErrorKind::kDevice:
      return ITO_ERROR_DEVICE;
    case ErrorKind::kDiverged:
      return ITO_ERROR_DIVERGED;
    case ErrorKind::kInterrupted:
      return ITO_ERROR_CANCELLED;
  }
  return ITO_ERROR_INTERNAL;
}

}  // namespace

const char* last_error() { return error_text.c_str(); }

ItoResult failed(const Error& error) {
  try {
    error_text = error.message;
  } catch (const std::bad_alloc&) {
    error_text.clear();
  }
  return result_of(error.kind);
}

}  // namespace ito::embed
