#include "tests/support/run_program.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <unordered_map>

#include "base/error.h"

namespace ito::test {

std::vector<std::byte> to_bytes(const HostValue& value, DType dtype) {
  CHECK(dtype_size(dtype) == 4, "tests move 32-bit elements");
  std::vector<std::byte> bytes(value.data.size() * 4);
  for (size_t i = 0; i < value.data.size(); ++i) {
    uint32_t word = 0;
    if (dtype == DType::kF32) {
      float single = static_cast<float>(value.data[i]);
      std::memcpy(&word, &single, 4);
    } else {
      word = static_cast<uint32_t>(static_cast<int64_t>(value.data[i]));
    }
    std::memcpy(bytes.data() + i * 4, &word, 4);
  }
  return bytes;
}

std::vector<double> from_bytes(const std::vector<std::byte>& bytes, DType dtype) {
  std::vector<double> values(bytes.size() / 4);
  for (size_t i = 0; i < values.size(); ++i) {
    uint32_t word;
    std::memcpy(&word, bytes.data() + i * 4, 4);
    if (dtype == DType::kF32) {
      float single;
      std::memcpy(&single, &word, 4);
      values[i] = single;
    } else {
      values[i] = dtype == DType::kI32 ? static_cast<double>(static_cast<int32_t>(word))
                                       : static_cast<double>(word);
    }
  }
  return values;
}

Result<HostValues> run_on_device(vk::Device& device, const Program& program,
                                 const HostValues& inputs, const CompileOptions& options,
                                 const DeviceCaps* caps, uint32_t replays) {
  ITO_ASSIGN(Plan plan, compile(program, caps ? *caps : device.caps(), options));
  ExecutorOptions executor_options;
  executor_options.canary = true;
  ITO_ASSIGN(auto executor, Executor::create(device, std::move(plan), executor_options));
  for (const External& external : executor->plan().externals) {
    auto found = inputs.find(external.name);
    if (found == inputs.end()) continue;
    if (found->second.shape != external.shape)
      return invalid_argument("input {} has shape {}, expected {}", external.name,
                              found->second.shape.to_string(), external.shape.to_string());
    ITO_TRY(executor->write(external.name, to_bytes(found->second, external.dtype)));
  }
  ITO_TRY(executor->run(replays));
  HostValues results;
  for (const External& external : executor->plan().externals) {
    if (external.role == ExternalRole::kInput) continue;
    std::vector<std::byte> bytes(external.size);
    ITO_TRY(executor->read(external.name, bytes));
    results[external.name] = {external.shape, from_bytes(bytes, external.dtype)};
  }
  return results;
}

Result<HostValues> run_on_interpreter(const Program& program, const HostValues& inputs) {
  std::vector<Tensor> tensors;
  for (const ProgramOutput& output : program.outputs) tensors.push_back(output.value);
  std::unordered_map<std::string, HostValue> by_name(inputs.begin(), inputs.end());
  ITO_ASSIGN(std::vector<HostValue> values, interpret(tensors, by_name));
  HostValues results;
  for (size_t i = 0; i < values.size(); ++i)
    results[program.outputs[i].name] = std::move(values[i]);
  return results;
}

double relative_error(const std::vector<double>& a, const std::vector<double>& b, double tiny) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double worst = 0, scale = tiny;
  for (size_t i = 0; i < a.size(); ++i) {
    scale = std::max(scale, std::fabs(b[i]));
    double difference = std::fabs(a[i] - b[i]);
    if (a[i] == b[i]) difference = 0;  // equal infinities
    if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
    worst = std::max(worst, difference);
  }
  return worst / scale;
}

}  // namespace ito::test
