// Which locks libito.so takes, on this thread: how many it holds now, and how long it held one at
// most. Sees pthread_mutex_lock and _unlock, under which std::mutex lies, where their caller is in
// the library; locks of the driver and of the test are not counted.
#pragma once

#include <cstdint>

namespace ito::test {

struct LockWitness {
  // Zero under the thread sanitizer, which has these functions to itself.
  static int held();
  static uint64_t taken();
  static double longest_us();
  static void reset();  // taken and longest
};

}  // namespace ito::test
