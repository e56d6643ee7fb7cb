#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace ito {
namespace {

thread_local int traps = 0;

}  // namespace

CheckTrap::CheckTrap() { ++traps; }
CheckTrap::~CheckTrap() { --traps; }

void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  const std::string text = std::string(file) + ":" + std::to_string(line) +
                           ": internal error: CHECK(" + condition + ") failed: " + message;
  if (traps > 0) throw CheckFailure{text};
  std::fprintf(stderr, "%s\n", text.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace ito
