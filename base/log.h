// Log: where library messages go. A value handed down, so that an embedding program can take it.
// Not for progress lines of the command line program (apps print those themselves).
#pragma once

#include <functional>
#include <string_view>

namespace ito {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

using LogFunction = std::function<void(LogLevel, std::string_view)>;

// Warnings and errors to standard error; the rest is dropped.
LogFunction default_log();

}  // namespace ito
