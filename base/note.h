// NoteFunction: whoever gets the sentences for people that come up on the way. Not for errors
// (base/error.h).
#pragma once

#include <functional>
#include <string>

namespace ito {

// May be empty.
using NoteFunction = std::function<void(const std::string&)>;

}  // namespace ito
