#include "diffusion/process.h"

#include "base/check.h"

namespace ito {
namespace {

constexpr ProcessRow kProcesses[] = {
    {{"discrete", "the variance-preserving chain of betas", "Ho et al. 2020, eq. 2", "ddpm"},
     ProcessKind::kDiscrete},
    {{"ve", "variance-exploding SDE", "Song et al. 2021, eq. 9", "smld"}, ProcessKind::kVe},
    {{"vp", "variance-preserving SDE", "Song et al. 2021, eq. 11", ""}, ProcessKind::kVp},
    {{"subvp", "sub-variance-preserving SDE", "Song et al. 2021, eq. 12", "sub-vp"},
     ProcessKind::kSubVp},
    {{"edm", "noise of deviation t at time t, EDM's preconditioning", "Karras et al. 2022", ""},
     ProcessKind::kEdm},
    {{"flow", "straight paths between images and noise", "Liu et al. 2022; Lipman et al. 2022",
      "rectified-flow"},
     ProcessKind::kFlow},
    {{"consistency", "EDM's process, the network maps straight to the image", "Song et al. 2023",
      ""},
     ProcessKind::kConsistency},
};

}  // namespace

std::span<const ProcessRow> process_rows() { return kProcesses; }

std::string process_name(ProcessKind kind) {
  for (const ProcessRow& row : kProcesses)
    if (row.kind == kind) return std::string(row.name.name);
  CHECK(false, "a process without a row");
}

}  // namespace ito
