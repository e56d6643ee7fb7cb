// The global names that PyTorch's pickles hold, as far as files of weights mention them: classes of
// storages, element types, the functions that rebuild tensors, and what may lie beside these.
// Tables; nothing of it is ever called (io/pickle.h).
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "io/host_tensor.h"

namespace ito {

namespace torch_names {
inline constexpr std::string_view kTensor = "torch._utils._rebuild_tensor_v2";
inline constexpr std::string_view kOldTensor = "torch._utils._rebuild_tensor";
inline constexpr std::string_view kTypedTensor = "torch._utils._rebuild_tensor_v3";
inline constexpr std::string_view kParameter = "torch._utils._rebuild_parameter";
inline constexpr std::string_view kParameterWithState =
    "torch._utils._rebuild_parameter_with_state";
inline constexpr std::string_view kOrderedDict = "collections.OrderedDict";
}  // namespace torch_names

struct TorchStorage {
  std::string_view name;
  std::optional<HostType> type;  // nothing: tensors of it are not read
  size_t size;                   // bytes of one number
};
// The class of storages of that name; null: there is none in the table.
const TorchStorage* torch_storage(std::string_view name);

// The type that "torch.float32" names, of an untyped storage (kTypedTensor); empty: none that is
// read.
std::optional<HostType> torch_element_type(std::string_view name);

// What a tensor of another form than numbers in rows is ("sparse"), by the function that rebuilds
// it; empty: it is none of these.
std::string_view other_torch_tensor(std::string_view name);

// Whether a file of weights may mention it: any of these, a storage or an element type that is in
// no table, and what is left out of a checkpoint.
bool is_torch_name(std::string_view name);

}  // namespace ito
