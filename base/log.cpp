#include "base/log.h"

#include <cstdio>

namespace ito {

LogFunction default_log() {
  return [](LogLevel level, std::string_view text) {
    if (level < LogLevel::kWarning) return;
    std::fprintf(stderr, "%s: %.*s\n", level == LogLevel::kWarning ? "warning" : "error",
                 static_cast<int>(text.size()), text.data());
  };
}

}  // namespace ito
