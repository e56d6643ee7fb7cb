#include "api/weight_names.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/name_list.h"

namespace ito {
namespace {

constexpr size_t kListed = 3;  // names in a message

bool has_all(const ParameterSet& set, const TensorFile& file, const std::string& prefix) {
  return std::all_of(
      set.parameters().begin(), set.parameters().end(),
      [&](const Parameter& parameter) { return file.tensors.contains(prefix + parameter.name); });
}

// Prefixes of whole parts ("a.b.") below which the file has the parameter.
std::set<std::string> prefixes_of(const TensorFile& file, const std::string& parameter) {
  std::set<std::string> prefixes;
  const std::string ending = "." + parameter;
  for (const auto& [name, tensor] : file.tensors)
    if (name.ends_with(ending)) prefixes.insert(name.substr(0, name.size() - parameter.size()));
  return prefixes;
}

// How many parts two names have in common at their ends.
size_t common_ending(std::string_view a, std::string_view b) {
  size_t parts = 0;
  while (!a.empty() && !b.empty()) {
    const size_t dot_a = a.rfind('.'), dot_b = b.rfind('.');
    const std::string_view part_a = dot_a == std::string_view::npos ? a : a.substr(dot_a + 1);
    const std::string_view part_b = dot_b == std::string_view::npos ? b : b.substr(dot_b + 1);
    if (part_a != part_b) break;
    ++parts;
    a = dot_a == std::string_view::npos ? "" : a.substr(0, dot_a);
    b = dot_b == std::string_view::npos ? "" : b.substr(0, dot_b);
  }
  return parts;
}

std::string nearest_name(const TensorFile& file, const std::string& parameter) {
  std::string nearest;
  size_t best = 0;
  for (const auto& [name, tensor] : file.tensors) {
    const size_t parts = common_ending(name, parameter);
    if (nearest.empty() || parts > best) {
      nearest = name;
      best = parts;
    }
  }
  return nearest;
}

Error missing(const ParameterSet& set, const TensorFile& file, std::string_view where) {
  for (const Parameter& parameter : set.parameters()) {
    if (file.tensors.contains(parameter.name)) continue;
    if (const auto unread = file.unread.find(parameter.name); unread != file.unread.end())
      return unsupported("{}: tensor {} is of the type {}, which is not read", where,
                         parameter.name, unread->second);
    const std::string nearest = nearest_name(file, parameter.name);
    return corrupt("{}: tensor {} is missing: the network expects it with shape {}, found {}",
                   where, parameter.name, parameter.spec.foreign_shape.to_string(),
                   nearest.empty() ? "no tensor at all" : "none; the nearest there is " + nearest);
  }
  return corrupt("{}: tensors are missing", where);
}

}  // namespace

Result<WeightNames> find_weight_names(const ParameterSet& set, const TensorFile& file,
                                      std::string_view where) {
  WeightNames names;
  if (!set.parameters().empty() && !has_all(set, file, "")) {
    std::vector<std::string> whole;
    for (const std::string& prefix : prefixes_of(file, set.parameters().front().name))
      if (has_all(set, file, prefix)) whole.push_back(prefix);
    if (whole.empty()) return missing(set, file, where);
    if (whole.size() > 1) {
      return corrupt(
          "{}: the network's tensors are there below several prefixes: {}; keep one with `ito "
          "convert --prefix {}`",
          where, joined(whole), whole.front());
    }
    names.prefix = whole.front();
  }
  for (const auto& [name, tensor] : file.tensors)
    if (!name.starts_with(names.prefix) || set.find(name.substr(names.prefix.size())) == nullptr)
      names.unused.push_back(name);
  for (const auto& [name, dtype] : file.unread)
    names.unused.push_back(fmt::format("{} ({})", name, dtype));
  return names;
}

Status keep_prefix(TensorFile& file, std::string_view prefix, std::string_view where) {
  TensorFile kept;
  kept.metadata = file.metadata;
  for (auto& [name, tensor] : file.tensors)
    if (name.starts_with(prefix) && name.size() > prefix.size())
      kept.tensors.emplace(name.substr(prefix.size()), std::move(tensor));
  if (kept.tensors.empty())
    return not_found("{}: no tensor's name begins with \"{}\"", where, prefix);
  file = std::move(kept);
  return {};
}

std::string unused_note(const std::vector<std::string>& unused) {
  std::string listed;
  for (size_t i = 0; i < std::min(unused.size(), kListed); ++i)
    listed += (i == 0 ? "" : ", ") + unused[i];
  if (unused.size() > kListed) listed += ", …";
  return fmt::format("{} {} not the network's and {} left out: {}", unused.size(),
                     unused.size() == 1 ? "tensor is" : "tensors are",
                     unused.size() == 1 ? "is" : "are", listed);
}

}  // namespace ito
