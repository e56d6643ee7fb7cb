#include "api/composition.h"

#include <utility>

namespace ito {
namespace {

// Names in the part's file lack the prefix that they have in the whole.
std::string prefix_of(const NetworkParts& parts) { return std::string(parts.folder) + "."; }

}  // namespace

std::vector<const NetworkRow*> composed_rows() {
  std::vector<const NetworkRow*> composed;
  for (const NetworkRow& row : network_rows())
    if (row.parts != nullptr) composed.push_back(&row);
  return composed;
}

const NetworkParts* parts_of(std::string_view network) { return network_row(network).parts; }

Result<NetworkFile> join_parts(const NetworkRow& row, NetworkFile body, NetworkFile part,
                               const std::string& where) {
  auto config = row.parts->join(body.config, part.config);
  if (!config.ok()) return Error{config.error().kind, where + ": " + config.error().message};
  NetworkFile whole{.network = std::string(row.name.name),
                    .config = std::move(config).value(),
                    .extra = std::move(body.extra),
                    .weights = std::move(body.weights)};
  for (auto& [name, tensor] : part.weights.tensors)
    whole.weights.tensors.emplace(prefix_of(*row.parts) + name, std::move(tensor));
  return whole;
}

PartFiles split_parts(const NetworkParts& parts, NetworkFile whole) {
  NetworkParts::Configs configs = parts.split(whole.config);
  PartFiles files;
  files.body = {.network = std::string(parts.body),
                .config = std::move(configs.body),
                .extra = std::move(whole.extra),
                .weights = std::move(whole.weights)};
  files.part.network = parts.part;
  files.part.config = std::move(configs.part);
  const std::string prefix = prefix_of(parts);
  TensorFile& from = files.body.weights;
  for (auto at = from.tensors.lower_bound(prefix); at != from.tensors.end();) {
    if (!at->first.starts_with(prefix)) break;
    files.part.weights.tensors.emplace(at->first.substr(prefix.size()), std::move(at->second));
    at = from.tensors.erase(at);
  }
  return files;
}

}  // namespace ito
