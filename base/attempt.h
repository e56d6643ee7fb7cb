// attempt: work on a thread of its own, whose exceptions would end the program, with memory that
// runs out as the error that it is. Not for other exceptions, of which Ito throws none.
#pragma once

#include <new>
#include <stdexcept>
#include <string_view>

#include "base/error.h"

namespace ito {

// What `work` gives, a Status or a Result; or kOutOfMemory, "out of host memory while <doing>".
template <typename Work>
auto attempt(std::string_view doing, Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
  } catch (const std::length_error&) {  // a vector longer than any memory
  }
  return out_of_memory("out of host memory while {}", doing);
}

}  // namespace ito
