// The one table of diffusers' scheduler classes: which process and which sampler each stands for,
// the keys it owns, and the defaults that differ from SchedulerConfig's. A new class is a row here.
// Internal to this room; reading and writing by it is io/scheduler_config.h.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/config.h"

namespace ito {

struct SchedulerClass {
  const char* class_name;
  ProcessKind process;
  const char* sampler;   // the name of a row of diffusion/samplers.h or score_samplers
  const char* pipeline;  // diffusers' pipeline that samples a plain U-Net with it
  std::array<std::string_view, 6> keys;  // lists of keys, by spaces
  void (*defaults)(SchedulerConfig&);
};

// Null if there is none of that name.
const SchedulerClass* scheduler_class_called(std::string_view name);
// The class of a process and sampler; where the sampler is none of diffusers', the process's first.
const SchedulerClass& scheduler_class_of(ProcessKind process, const std::string& sampler);
// Whether the class has the key in its own configuration.
bool owns_key(const SchedulerClass& row, std::string_view key);
// The class's configuration where a file says nothing.
SchedulerConfig class_defaults(const SchedulerClass& row);
// All names, for messages.
std::string known_scheduler_classes();

}  // namespace ito
