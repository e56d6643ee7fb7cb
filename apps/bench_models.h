// Whole networks as `ito bench models` measures them: one evaluation and one training step of
// U-Nets whose shapes others have published times of. Not the single kernels (bench_cases.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "apps/bench_cases.h"
#include "base/config.h"

namespace ito::apps {

// A network by the name that its rows begin with, and the batches that it is measured at.
struct BenchModel {
  std::string_view name;
  UNet2DConfig (*config)();
  std::vector<int64_t> forward_batches, train_batches;
};

const std::vector<BenchModel>& bench_models();

// One evaluation, "NAME_forward_bN".
Result<BenchCase> forward_case(const BenchModel& model, int64_t batch);
// One step of `ito train --init` on it with otherwise default options, "NAME_train_bN", and of
// another precision than fp32 with that behind it, "NAME_train_bN_fp16".
Result<BenchCase> train_case(const BenchModel& model, int64_t batch, std::string_view precision);

// The precisions whose training steps are measured on such a device.
std::vector<std::string_view> bench_precisions(const DeviceCaps& caps);
// Of a case that takes each: its name with the precision behind it, if that is not the first.
std::string with_precision(const std::string& name, std::string_view precision);

}  // namespace ito::apps
