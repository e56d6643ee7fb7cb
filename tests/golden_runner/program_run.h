// Runs the program of one golden case once on the device.
#pragma once

#include <string>

#include "tests/golden_runner/case.h"
#include "tests/support/run_program.h"

namespace ito::golden {

using test::HostValues;
using test::run_on_device;

// The result of that name; a missing one is our bug.
inline const HostValue& result_of(const HostValues& results, const std::string& name) {
  const auto found = results.find(name);
  CHECK(found != results.end(), "the program has no result " + name);
  return found->second;
}

}  // namespace ito::golden
