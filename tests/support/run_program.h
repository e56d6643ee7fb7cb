// Runs a Program once on a device or on the interpreter, host values in, host values out.
// For tests and the golden runner; programs call Executor themselves.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/compile.h"
#include "graph/interpret.h"
#include "runtime/executor.h"

namespace ito::test {

// Values by external name. Donated outputs appear under their input's name.
using HostValues = std::map<std::string, HostValue>;

// Compiles, binds `inputs` (missing ones stay zero), runs `replays` times and reads all outputs.
Result<HostValues> run_on_device(vk::Device& device, const Program& program,
                                 const HostValues& inputs, const CompileOptions& options = {},
                                 const DeviceCaps* caps = nullptr, uint32_t replays = 1);

Result<HostValues> run_on_interpreter(const Program& program, const HostValues& inputs);

// max|a-b| / max(max|b|, tiny): the error measure of the golden data. NaN counts as infinite.
double relative_error(const std::vector<double>& a, const std::vector<double>& b,
                      double tiny = 1e-30);

// Conversion between stored words and doubles.
std::vector<std::byte> to_bytes(const HostValue& value, DType dtype);
std::vector<double> from_bytes(const std::vector<std::byte>& bytes, DType dtype);

}  // namespace ito::test
