// CHECK: an invariant of our own code. A failure is our bug: prints where and what, then aborts;
// where a host's program must go on, throws (CheckTrap). Not for user, file or device errors; those
// are Result (base/result.h).
#pragma once

#include <string>

namespace ito {
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& message);

// What a failed CHECK throws on a thread on which a CheckTrap lives, without printing anything.
struct CheckFailure {
  std::string message;  // where and what
};

class CheckTrap {
 public:
  CheckTrap();
  ~CheckTrap();
  CheckTrap(const CheckTrap&) = delete;
  CheckTrap& operator=(const CheckTrap&) = delete;
};

}  // namespace ito

// CHECK(condition, message): message is any expression convertible to std::string, evaluated only
// on failure.
#define CHECK(condition, message)                                                   \
  do {                                                                              \
    if (!(condition)) ::ito::check_failed(__FILE__, __LINE__, #condition, message); \
  } while (false)
