#include "api/sample_identity.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "io/class_names.h"
#include "io/png.h"

namespace ito {
namespace {

constexpr const char* kSoftware = "software";
constexpr const char* kIto = "ito";
constexpr const char* kKey = "key";

std::string_view text_of(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

std::string hex(uint64_t hash) { return fmt::format("{:016x}", hash); }

}  // namespace

std::string model_key(const Model& model) {
  uint64_t hash = hash_bytes(text_of(model.weights));
  if (model.decoder) hash = hash_bytes(text_of(model.decoder->weights), hash);
  return hex(hash_bytes(dump_json_line(Json(model_configs(model))), hash));
}

Status SampleIdentity::know(std::span<const SampleRequest> requests) {
  std::vector<std::pair<uint32_t, uint32_t>> asked;
  asked.reserve(requests.size());
  for (const SampleRequest& request : requests) asked.emplace_back(request.seed, request.label);
  std::sort(asked.begin(), asked.end());
  for (size_t i = 1; i < asked.size(); ++i) {
    const auto [seed, label] = asked[i];
    if (asked[i] == asked[i - 1])
      return invalid_argument("seed {}{} is asked for twice, which would be one image", seed,
                              labelled ? fmt::format(" of class {}", label) : "");
    if (seed == asked[i - 1].first && (several.empty() || several.back() != seed))
      several.push_back(seed);
  }
  return {};
}

Json SampleIdentity::settings_of(const SampleRequest& request) const {
  Json all = settings;
  all["seed"] = request.seed;
  if (labelled) all["class"] = request.label;
  if (with_context) all["context_row"] = request.context;
  all[kKey] = hex(hash_bytes(model + dump_json_line(all)));
  all.update(remarks);
  if (labelled && request.label < class_names.size()) all[kClassName] = class_names[request.label];
  all[kSoftware] = kIto;
  return all;
}

std::string SampleIdentity::name_of(const SampleRequest& request) const {
  if (std::binary_search(several.begin(), several.end(), request.seed))
    return fmt::format("{:06}-{}", request.seed, request.label);
  return fmt::format("{:06}", request.seed);
}

Json SampleIdentity::common_settings(std::span<const SampleRequest> requests) const {
  Json all = settings;
  all.update(remarks);
  all[kSoftware] = kIto;
  std::vector<uint32_t> seeds, labels;
  for (const SampleRequest& request : requests) {
    seeds.push_back(request.seed);
    labels.push_back(request.label);
  }
  all["seeds"] = seeds;
  if (labelled) all["classes"] = labels;
  if (labelled && !class_names.empty()) all[kClassNames] = class_names;
  return all;
}

bool is_own(const Json& settings) {
  return settings.is_object() && settings.contains(kSoftware) && settings[kSoftware] == kIto;
}

bool same_key(const Json& a, const Json& b) {
  return a.contains(kKey) && b.contains(kKey) && a[kKey] == b[kKey];
}

}  // namespace ito
