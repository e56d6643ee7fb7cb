// KernelPack: kernels compiled ahead of time, found by their text, and the forms of device whose
// plans have these texts. Plans are made where they run, so a pack says nothing of them. Not for
// its file (io/pack_file.h) nor for what makes one (api/kernel_packing.h).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/device_caps.h"

namespace ito {

struct PackedKernel {
  std::string name;             // for people
  std::vector<uint32_t> spirv;  // a module
};

struct KernelPack {
  std::string model;              // the folder it was made of
  std::vector<std::string> jobs;  // that have all their kernels in it, as `ito pack --job` has them
  std::vector<DeviceCaps> forms;  // by DeviceCaps::name; the first that a device can run is taken
  std::map<std::string, PackedKernel, std::less<>> kernels;  // by kernel_key of the text
};

using Packs = std::vector<std::shared_ptr<const KernelPack>>;

// What a kernel is found by: the SHA-256 of its text.
std::string kernel_key(std::string_view glsl);

// Null where no pack has it.
const PackedKernel* find_kernel(const Packs& packs, std::string_view key);

// The form that is the device's own in each pack, else null. `packs` may be empty.
const DeviceCaps* own_form(const Packs& packs, const DeviceCaps& device);
// The first form of the first pack that all others have as well and the device can run, else null.
const DeviceCaps* best_form(const Packs& packs, const DeviceCaps& device);

}  // namespace ito
