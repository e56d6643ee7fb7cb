// The one table of diffusers' scheduler classes: which process and which sampler each stands for,
// the keys it owns, and the defaults that differ from SchedulerConfig's. A new class is a row here.
// Reading and writing by it is io/scheduler_config.h.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"

namespace ito {

struct SchedulerClass {
  const char* class_name;
  ProcessKind process;
  const char* sampler;   // the name of a row of diffusion/samplers.h or score_samplers
  const char* pipeline;  // diffusers' pipeline that samples a plain U-Net with it
  std::array<std::string_view, 6> keys;  // lists of keys, by spaces
  void (*defaults)(SchedulerConfig&);
  // Puts today's values where earlier releases wrote others, as diffusers does; may be null.
  void (*modernise)(SchedulerConfig&) = nullptr;
};

std::span<const SchedulerClass> scheduler_classes();

// What a key may be that is a choice by name: the names of diffusion's rows, which this room does
// not see (a test compares).
struct SchedulerKeyValues {
  const char* key;
  std::vector<std::string_view> values;
  std::string (*value)(const SchedulerConfig&);  // the key's own
};
std::span<const SchedulerKeyValues> scheduler_key_values();

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
