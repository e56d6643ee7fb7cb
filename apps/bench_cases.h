// What `ito bench` measures: named plans with the arithmetic and traffic they stand for.
// Not for measuring them (apps/bench.cpp).
#pragma once

#include <string>
#include <vector>

#include "base/device_caps.h"
#include "base/result.h"
#include "graph/plan.h"
#include "graph/program.h"

namespace ito::apps {

struct BenchCase {
  std::string name;   // cases that share a name are shapes of one thing: the fastest is reported
  std::string shape;  // what sets such a case apart
  double flops = 0;   // of the mathematics, not of what a kernel happens to do; 0: the plan's ideal
  double bytes = 0;   // every input read once and every output written once; 0: the plan's
  Program program;    // unless `plan` is given
  std::vector<float> parameters;  // content of an external "params"; random numbers where empty
  Plan plan;                      // a plan written by hand
  bool by_hand = false;
};

std::vector<std::string> bench_workloads();
// The cases of one of them. For "all": every one. The roof comes first in each.
Result<std::vector<BenchCase>> bench_cases(const std::string& workload, const DeviceCaps& caps);

}  // namespace ito::apps
