// The border between the C API and the library: nothing is thrown across it, every failure becomes
// an ItoResult with one sentence for last_error, and a fault of our own breaks the context for
// good. Not for what the functions do.
#pragma once

#include <atomic>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/result.h"
#include "include/ito/ito.h"
#include "runtime/vk/device.h"

namespace ito::embed {

// What all objects of a context share; it lives as long as one of them.
struct Shared {
  std::unique_ptr<vk::Device> device;
  bool wrapped = false;
  std::atomic<bool> broken{false};
};

// The sentence of this thread's last failure.
const char* last_error();
// Keeps the sentence and gives the result of its kind.
ItoResult failed(const Error& error);

// What a function of the API returns for `body`, which returns a Status or a Result<ItoResult>.
// `shared`: of the context it works on; null while there is none.
template <typename Body>
ItoResult guarded(Shared* shared, Body&& body) noexcept {
  constexpr const char* kBroken =
      "the context is broken by an earlier fault and can only be destroyed";
  const auto broken = [&](const std::string& text) {
    if (shared != nullptr) shared->broken = true;
    failed({ErrorKind::kDevice, text});
    return ITO_ERROR_INTERNAL;
  };
  const CheckTrap trap;
  try {
    if (shared != nullptr && shared->broken) return broken(kBroken);
    if (shared != nullptr && shared->device->lost())
      return failed({ErrorKind::kDeviceLost,
                     "the Vulkan device was lost earlier, and the context can only be destroyed"});
    auto result = body();
    if (!result.ok()) return failed(result.error());
    if constexpr (std::is_same_v<decltype(result), Status>)
      return ITO_OK;
    else
      return *result;
  } catch (const CheckFailure& failure) {
    return broken(failure.message);
  } catch (const std::bad_alloc&) {
    return failed({ErrorKind::kOutOfMemory, "the host has no memory left"});
  } catch (const std::exception& exception) {
    return broken(exception.what());
  } catch (...) {
    return broken("something unknown was thrown");
  }
}

}  // namespace ito::embed
