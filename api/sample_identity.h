// SampleIdentity: what the images of one job have in common, and from it what each of them is
// called and what it says of itself, its key included: a hash of all that the image depends on, so
// that one that is there already is known. Not for writing it (api/sample_files.h).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "api/model.h"
#include "api/sampling.h"
#include "base/result.h"
#include "io/json.h"

namespace ito {

// A hash of the networks with their weights and the scheduler.
std::string model_key(const Model& model);

struct SampleIdentity {
  Json settings = Json::object();  // what the images have in common, and their key depends on
  Json remarks = Json::object();   // what is kept beside it, and their key does not depend on
  std::string model = {};          // model_key
  bool labelled = false;           // requests have classes
  bool with_context = false;       // requests have rows of a context
  std::vector<std::string> class_names = {};  // kept beside it, too; may be empty
  std::vector<uint32_t> several =
      {};  // seeds of more than one image, sorted, each once: see know()

  // Learns which seeds have several images. Error kInvalidArgument: one image is asked for twice.
  Status know(std::span<const SampleRequest> requests);

  // What the image's PNG says of it.
  Json settings_of(const SampleRequest& request) const;
  // NNNNNN, and -CLASS behind it where a seed is drawn of several.
  std::string name_of(const SampleRequest& request) const;
  // The settings of all together, to be written into one file.
  Json common_settings(std::span<const SampleRequest> requests) const;
};

// Whether an image's settings say that `ito sample` wrote it, and whether they are of the same key.
bool is_own(const Json& settings);
bool same_key(const Json& a, const Json& b);

}  // namespace ito
