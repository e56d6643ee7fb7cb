// The rows of the processes, one file each beside this one. Internal to diffusion/process.cpp.
#pragma once

#include "diffusion/process.h"

namespace ito {

ProcessRow discrete_process();
ProcessRow ve_process();
ProcessRow vp_process();
ProcessRow subvp_process();
ProcessRow edm_process();
ProcessRow flow_process();
ProcessRow consistency_process();

}  // namespace ito
