#include "base/kernel_pack.h"

#include <algorithm>

#include "base/device_forms.h"
#include "base/sha256.h"

namespace ito {
namespace {

template <typename Fits>
const DeviceCaps* first_form(const Packs& packs, const Fits& fits) {
  if (packs.empty()) return nullptr;
  for (const DeviceCaps& form : packs.front()->forms) {
    const bool in_all = std::all_of(packs.begin(), packs.end(), [&](const auto& pack) {
      return std::any_of(pack->forms.begin(), pack->forms.end(),
                         [&](const DeviceCaps& other) { return is_same_form(form, other); });
    });
    if (in_all && fits(form)) return &form;
  }
  return nullptr;
}

}  // namespace

std::string kernel_key(std::string_view glsl) { return sha256_hex(glsl); }

const PackedKernel* find_kernel(const Packs& packs, std::string_view key) {
  for (const auto& pack : packs)
    if (const auto found = pack->kernels.find(key); found != pack->kernels.end())
      return &found->second;
  return nullptr;
}

const DeviceCaps* own_form(const Packs& packs, const DeviceCaps& device) {
  return first_form(packs, [&](const DeviceCaps& form) { return is_same_form(form, device); });
}

const DeviceCaps* best_form(const Packs& packs, const DeviceCaps& device) {
  return first_form(packs, [&](const DeviceCaps& form) { return can_run_form(device, form); });
}

}  // namespace ito
