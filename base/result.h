// Result<T>: the value or one clear error. For failures a user, a file or a device can cause.
// Not for our own bugs; those are CHECK (base/check.h).
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace ito {

// What kind of failure it was, so that callers can react without reading the text.
enum class ErrorKind {
  kInvalidArgument,  // a wrong option or value given by the user
  kNotFound,         // a file, device or tensor which does not exist
  kIo,               // reading or writing failed (permissions, full disk, truncated file)
  kCorrupt,          // a file whose content contradicts itself or its format
  kUnsupported,      // valid, but this build or device cannot do it
  kOutOfMemory,      // host or device memory
  kDeviceLost,       // the Vulkan device is gone
  kDevice,           // the Vulkan driver failed at something that it should be able to do
  kDiverged,         // the numbers of a computation are no longer finite, or absurdly large
  kInterrupted,      // the user asked to stop
};

struct Error {
  ErrorKind kind = ErrorKind::kInvalidArgument;
  std::string message;  // one sentence that names the thing, what was expected and what was found
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

struct Unit {};

template <>
class [[nodiscard]] Result<void> : public Result<Unit> {
 public:
  Result() : Result<Unit>(Unit{}) {}
  Result(Error error) : Result<Unit>(std::move(error)) {}
};

using Status = Result<void>;

}  // namespace ito

#define ITO_CONCAT_INNER(a, b) a##b
#define ITO_CONCAT(a, b) ITO_CONCAT_INNER(a, b)

// Evaluates a Result expression; returns its error from the enclosing function, or goes on.
#define ITO_TRY(expr)                                                   \
  do {                                                                  \
    auto ito_try_result = (expr);                                       \
    if (!ito_try_result.ok()) return std::move(ito_try_result).error(); \
  } while (false)

// ITO_ASSIGN(auto file, open(path)): declares or assigns the value, or returns the error.
#define ITO_ASSIGN(lhs, expr) ITO_ASSIGN_IMPL(ITO_CONCAT(ito_assign_, __LINE__), lhs, expr)
#define ITO_ASSIGN_IMPL(tmp, lhs, expr)         \
  auto tmp = (expr);                            \
  if (!tmp.ok()) return std::move(tmp).error(); \
  lhs = std::move(tmp).value()
