// CHECK: an invariant of our own code. A failure is our bug: prints where and what, then aborts.
// Not for user, file or device errors; those are Result (base/result.h).
#pragma once

#include <string>

namespace ito {
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& message);
}  // namespace ito

// CHECK(condition, message): message is any expression convertible to std::string, evaluated only
// on failure.
#define CHECK(condition, message)                                                   \
  do {                                                                              \
    if (!(condition)) ::ito::check_failed(__FILE__, __LINE__, #condition, message); \
  } while (false)
