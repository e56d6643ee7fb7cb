#include "base/device_forms.h"

#include <gtest/gtest.h>

#include "base/kernel_pack.h"

namespace ito {
namespace {

DeviceCaps form(std::string_view name) { return find_row(device_form_rows(), name)->make(); }

// As lavapipe and a discrete GPU describe themselves.
DeviceCaps cpu() {
  DeviceCaps caps = form("gpu-half");
  caps.is_cpu = true;
  caps.subgroup_size = 8;
  caps.compute_units = 4;
  return caps;
}
DeviceCaps radeon() {
  DeviceCaps caps = form("gpu-matrix");
  caps.name = "radeon";
  caps.subgroup_size = caps.max_subgroup_size = 64;
  caps.compute_units = 96;
  caps.max_workgroup_invocations = caps.max_workgroup_size_x = 1024;
  caps.shared_memory_bytes = 65536;
  return caps;
}

TEST(DeviceForms, EveryRowIsAFormThatItsOwnDeviceCanRun) {
  for (const DeviceFormRow& row : device_form_rows()) {
    if (row.make == nullptr) continue;
    const DeviceCaps caps = row.make();
    EXPECT_EQ(caps.name, row.name.name);
    EXPECT_TRUE(check_form(caps).ok()) << row.name.name;
    EXPECT_TRUE(can_run_form(caps, caps)) << row.name.name;
  }
}

TEST(DeviceForms, ALargerDeviceRunsASmallerFormAndNotTheOtherWayRound) {
  for (const char* name : {"gpu", "gpu-half", "gpu-matrix"})
    EXPECT_TRUE(can_run_form(radeon(), form(name))) << name;
  for (const char* name : {"gpu", "gpu-half", "gpu-matrix"})
    EXPECT_FALSE(can_run_form(form(name), radeon())) << name;
  EXPECT_FALSE(can_run_form(form("gpu"), form("gpu-half")));
  EXPECT_FALSE(can_run_form(form("gpu-half"), form("gpu-matrix")));
}

TEST(DeviceForms, EachThingThatAFormAsksForIsMissed) {
  const DeviceCaps whole = radeon();
  const auto without = [&](auto change) {
    DeviceCaps device = whole;
    change(device);
    return can_run_form(device, whole);
  };
  EXPECT_TRUE(without([](DeviceCaps& d) { d.name = "another"; }));
  EXPECT_TRUE(without([](DeviceCaps& d) { d.compute_units = 1; }));
  EXPECT_TRUE(without([](DeviceCaps& d) { d.memory_bytes = 1; }));
  EXPECT_FALSE(without([](DeviceCaps& d) { d.max_workgroup_invocations = 512; }));
  EXPECT_FALSE(without([](DeviceCaps& d) { d.max_workgroup_size_x = 512; }));
  EXPECT_FALSE(without([](DeviceCaps& d) { d.shared_memory_bytes = 32768; }));
  EXPECT_FALSE(without([](DeviceCaps& d) { --d.max_groups_x; }));
  EXPECT_FALSE(without([](DeviceCaps& d) { --d.max_groups_y; }));
  EXPECT_FALSE(without([](DeviceCaps& d) { --d.max_allocation_bytes; }));
  EXPECT_FALSE(without([](DeviceCaps& d) { d.shader_float16 = false; }));
  EXPECT_FALSE(without([](DeviceCaps& d) { d.storage_16bit = false; }));
  EXPECT_FALSE(without([](DeviceCaps& d) { d.cooperative_matrix = false; }));
  EXPECT_FALSE(without([](DeviceCaps& d) { d.matrix_shapes[0].k = 8; }));
  EXPECT_FALSE(without([](DeviceCaps& d) { d.min_subgroup_size = 64; }));
  EXPECT_FALSE(without([](DeviceCaps& d) { d.required_subgroup_size = false; }));
}

TEST(DeviceForms, OnlyACpuRunsACpusFormAndOnlyWithItsLanes) {
  EXPECT_TRUE(can_run_form(cpu(), cpu()));
  EXPECT_TRUE(can_run_form(cpu(), form("gpu")));
  EXPECT_FALSE(can_run_form(radeon(), cpu()));
  DeviceCaps wider = cpu();
  wider.subgroup_size = 16;
  EXPECT_FALSE(can_run_form(wider, cpu()));
  // Kernels of a GPU without matrix units do not count on lanes.
  EXPECT_TRUE(can_run_form(wider, form("gpu")));
}

TEST(DeviceForms, NumbersThatNoDeviceHasAreRefused) {
  const auto refused = [](auto change) {
    DeviceCaps caps = form("gpu");
    change(caps);
    const Status status = check_form(caps);
    return !status.ok() && status.error().message.find("form 'gpu'") == 0;
  };
  EXPECT_TRUE(refused([](DeviceCaps& c) { c.subgroup_size = 0; }));
  EXPECT_TRUE(refused([](DeviceCaps& c) { c.subgroup_size = 129; }));
  EXPECT_TRUE(refused([](DeviceCaps& c) { c.min_subgroup_size = 256; }));
  EXPECT_TRUE(refused([](DeviceCaps& c) { c.max_workgroup_invocations = 0; }));
  EXPECT_TRUE(refused([](DeviceCaps& c) { c.max_workgroup_size_x = 1; }));
  EXPECT_TRUE(refused([](DeviceCaps& c) { c.shared_memory_bytes = 0; }));
  EXPECT_TRUE(refused([](DeviceCaps& c) { c.max_groups_x = 0; }));
  EXPECT_TRUE(refused([](DeviceCaps& c) { c.max_groups_y = 0; }));
  EXPECT_TRUE(refused([](DeviceCaps& c) { c.max_allocation_bytes = 0; }));
  EXPECT_TRUE(refused([](DeviceCaps& c) { c.compute_units = UINT32_MAX; }));
}

std::shared_ptr<const KernelPack> pack_for(std::vector<DeviceCaps> forms) {
  KernelPack pack;
  pack.forms = std::move(forms);
  return std::make_shared<const KernelPack>(std::move(pack));
}

TEST(KernelPack, TheFirstFormThatAllPacksHaveAndTheDeviceRunsIsTaken) {
  const DeviceCaps any = form("gpu"), half = form("gpu-half"), matrix = form("gpu-matrix");
  const auto best = [](const Packs& packs, const DeviceCaps& device) -> std::string {
    const DeviceCaps* found = best_form(packs, device);
    return found == nullptr ? "none" : found->name;
  };
  EXPECT_EQ(best({pack_for({matrix, half, any})}, radeon()), "gpu-matrix");
  EXPECT_EQ(best({pack_for({any, matrix})}, radeon()), "gpu") << "the preferred one comes first";
  EXPECT_EQ(best({pack_for({matrix, half, any})}, any), "gpu");
  EXPECT_EQ(best({pack_for({matrix})}, any), "none");
  EXPECT_EQ(best({pack_for({matrix, any}), pack_for({any, half})}, radeon()), "gpu");
  EXPECT_EQ(best({pack_for({matrix}), pack_for({any})}, radeon()), "none");
  EXPECT_EQ(best({}, radeon()), "none");
  DeviceCaps renamed = radeon();
  renamed.name = "device";
  renamed.memory_bytes = 1;
  EXPECT_NE(own_form({pack_for({any, renamed})}, radeon()), nullptr);
  EXPECT_EQ(own_form({pack_for({any})}, radeon()), nullptr);
}

}  // namespace
}  // namespace ito
