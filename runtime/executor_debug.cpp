// The parts of Executor that serve debugging: single calls, and reading any range.
#include "base/check.h"
#include "runtime/executor.h"

namespace ito {

Status Executor::run_call(size_t call) {
  CHECK(call < plan_.calls.size(), "no such call");
  ITO_TRY(prepare());
  ITO_ASSIGN(vk::CommandBuffer commands, vk::CommandBuffer::create(device_));
  ITO_ASSIGN(vk::CommandRecorder recorder, commands.begin());
  record_calls(recorder, call, call + 1);
  ITO_TRY(commands.end());
  if (call < plan_.prologue) prologue_versions_.reset();
  const Status status = submit_slice(commands);
  tell_of_writes();
  ITO_TRY(status);
  return wait();
}

Status Executor::read_range(const BufferRange& range, std::span<std::byte> data) {
  CHECK(data.size() == range.size, "a range was read into a wrong number of bytes");
  ITO_TRY(prepare());
  const auto [memory, offset] = place(range);
  return vk::download_now(device_, *memory->buffer(), memory->offset() + offset, data);
}

}  // namespace ito
