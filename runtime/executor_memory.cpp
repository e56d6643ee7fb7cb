// The memory an Executor allocates for itself: arena, constants and externals that nobody has
// bound, in canary mode between guard bytes that tell of a kernel that wrote beyond its end.
#include <algorithm>

#include "base/error.h"
#include "base/integer.h"
#include "runtime/executor.h"

namespace ito {
namespace {

constexpr uint64_t kGuardBytes = 256;
constexpr uint32_t kGuardWord = 0xa5c3a5c3u;

}  // namespace

// Memory for `size` bytes, between guards in canary mode. The tail guard starts at the first word
// after the end.
Result<DeviceTensor> Executor::allocate(DType dtype, Shape shape, uint64_t size,
                                        uint32_t fill_word) {
  const uint64_t guard = options_.canary ? kGuardBytes : 0;
  const uint64_t room = round_up(std::max<uint64_t>(size, 4), 4);
  ITO_ASSIGN(vk::Buffer buffer,
             device_.memory().allocate(room + 2 * guard, vk::MemoryUse::kDevice));
  ITO_TRY(vk::fill_now(device_, buffer, guard, room, fill_word));
  if (guard != 0) {
    ITO_TRY(vk::fill_now(device_, buffer, 0, guard, kGuardWord));
    ITO_TRY(vk::fill_now(device_, buffer, guard + room, guard, kGuardWord));
  }
  return DeviceTensor::view(device_, std::make_shared<const vk::Buffer>(std::move(buffer)), guard,
                            dtype, std::move(shape));
}

Status Executor::check_canaries() {
  if (!options_.canary) return {};
  std::vector<uint32_t> guard(kGuardBytes / sizeof(uint32_t));
  auto check = [&](const std::string& what, const DeviceTensor& tensor) -> Status {
    if (!tensor.valid()) return {};
    const uint64_t size = tensor.buffer()->size();
    for (const bool behind : {false, true}) {
      ITO_TRY(vk::download_now(device_, *tensor.buffer(), behind ? size - kGuardBytes : 0,
                               std::as_writable_bytes(std::span(guard))));
      for (size_t i = 0; i < guard.size(); ++i)
        if (guard[i] != kGuardWord)
          return corrupt("a kernel of '{}' wrote {} {}: byte {} of its guard is changed",
                         plan_.name, behind ? "behind" : "before", what, 4 * i);
    }
    return {};
  };
  for (const DeviceTensor& piece : arena_) ITO_TRY(check("the arena", piece));
  ITO_TRY(check("the constants", constants_));
  ITO_TRY(check("the tables of arguments", tables_));
  for (size_t i = 0; i < externals_.size(); ++i)
    if (own_external_[i])
      ITO_TRY(check(fmt::format("external '{}'", plan_.externals[i].name), externals_[i]));
  return {};
}

}  // namespace ito
