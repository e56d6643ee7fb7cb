// Forms of device: capabilities that programs are planned for ahead of time, where the device
// itself is not at hand. A device that has all that a form asks for runs what was planned for the
// form. Not for what a real device has (runtime/vk fills its DeviceCaps).
#pragma once

#include <span>

#include "base/device_caps.h"
#include "base/registry.h"

namespace ito {

struct DeviceFormRow {
  Name name;
  DeviceCaps (*make)();  // its `name` is the row's; null of kOwnForm, which a device has to say
};
std::span<const DeviceFormRow> device_form_rows();

// What the form of the device at hand is called, and the one that every GPU can run.
inline constexpr std::string_view kOwnForm = "device", kAnyForm = "gpu";

// Whether kernels and plans are the same: all is equal but the name and the memory that is there.
bool is_same_form(const DeviceCaps& a, const DeviceCaps& b);

// Whether the device has all that programs planned for the form take for granted. A CPU driver runs
// the forms of GPUs too, more slowly than its own.
bool can_run_form(const DeviceCaps& device, const DeviceCaps& form);

// Error kInvalidArgument naming what is wrong: a form from a file with less than Vulkan guarantees
// (which can_run_form does not look at), or with numbers that no device has.
Status check_form(const DeviceCaps& form);

}  // namespace ito
