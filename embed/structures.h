// Structures of the C API as they come and go: of any size that a header of this version or an
// older one gave them. Not for what their fields mean.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

#include "base/error.h"
#include "include/ito/ito.h"

namespace ito::embed {

// What stands before the fields of every structure.
struct Header {
  ITO_HEADER;
};

// Errors kInvalidArgument naming the structure: none, one of another type, a size that cannot be,
// something behind it (which `next` takes, where it is given), fields that this version does not
// know.
template <typename T>
Status check_structure(const T* given, ItoStructureType type, const char* name,
                       const void** next = nullptr) {
  if (given == nullptr) return invalid_argument("{} is NULL", name);
  if (given->type != type)
    return invalid_argument("{} has type {}, expected {}: ITO_INIT was not called on it", name,
                            static_cast<int>(given->type), static_cast<int>(type));
  if (given->size < sizeof(Header))
    return invalid_argument("{} has size {}, expected {}", name, given->size, sizeof(T));
  if (next != nullptr)
    *next = given->next;
  else if (given->next != nullptr)
    return unsupported("{}: next is not NULL, and no structure that could follow is known", name);
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  for (size_t i = sizeof(T); i < given->size; ++i)
    if (bytes[i] != 0)
      return unsupported("{} is of a newer header and uses a field that this version does not know",
                         name);
  return {};
}

// A copy in which fields that the caller's header does not have are zero.
template <typename T>
Result<T> read_structure(const T* given, ItoStructureType type, const char* name,
                         const void** next = nullptr) {
  ITO_TRY(check_structure(given, type, name, next));
  T whole;
  std::memset(&whole, 0, sizeof(T));
  std::memcpy(&whole, given, std::min<size_t>(given->size, sizeof(T)));
  return whole;
}

// Fills the fields that the caller's header has.
template <typename T>
void write_structure(T* out, const T& values) {
  const size_t end = std::min<size_t>(out->size, sizeof(T));
  std::memcpy(reinterpret_cast<unsigned char*>(out) + sizeof(Header),
              reinterpret_cast<const unsigned char*>(&values) + sizeof(Header),
              end - std::min(end, sizeof(Header)));
}

}  // namespace ito::embed
