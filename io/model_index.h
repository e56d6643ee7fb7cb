// model_index.json: what a pipeline's folder says of its parts, and which class a part is whose own
// file does not say it. Not for reading the parts (io/diffusers.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/file.h"
#include "io/json.h"

namespace ito {

inline constexpr const char* kModelIndex = "model_index.json";

// "DDPMScheduler" of "scheduler": ["diffusers", "DDPMScheduler"]; empty: it names no class.
std::string class_in_index(const Json& index, std::string_view part);

// The same of the index in a folder; empty, too, where there is none.
std::string class_in_pipeline(const Path& folder, std::string_view part);

// What stands for a class that a configuration does not name.
struct MissingClass {
  std::string named = {};                     // by the pipeline; may be empty
  std::vector<std::string>* notes = nullptr;  // takes a line on it; may be null
};

// The "_class_name" of a configuration in `where`, or the class that the pipeline names for it, or
// else `fallback`; the last two are noted. Errors kCorrupt naming `where` and the key: no string;
// none of the three (`fallback` may be empty).
Result<std::string> class_of_config(JsonObject& config, const std::string& where,
                                    std::string_view fallback, const MissingClass& missing);

}  // namespace ito
