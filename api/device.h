// Opens the Vulkan device that a person names. Not for engines' own devices (vk::Device::wrap).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/vk/device.h"

namespace ito {

// `which`: empty for the best device, an index of `ito devices`, or a part of a name (any case).
// Errors: as vk::Device::create.
Result<std::unique_ptr<vk::Device>> open_device(const std::string& which);
Result<std::unique_ptr<vk::Device>> open_device(const std::string& which,
                                                const vk::DeviceOptions& options);

// Opens the device when what a call names has been read, as bad input needs none. What it returns
// must outlive the call.
using DeviceOpener = std::function<Result<vk::Device*>()>;

}  // namespace ito
