#include "io/weights.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/name_list.h"
#include "io/file_kind.h"
#include "io/json.h"
#include "io/npy.h"
#include "io/safetensors.h"
#include "io/torch_file.h"

namespace ito {
namespace {

struct WeightFormat {
  std::string_view ending;
  bool index;
};
// In the order in which they are taken.
constexpr WeightFormat kWeightFormats[] = {
    {".safetensors", false}, {".safetensors.index.json", true},
    {".bin", false},         {".bin.index.json", true},
    {".pt", false},          {".ckpt", false}};

// "diffusion_pytorch_model.fp16.safetensors" → "fp16"; nothing for another stem, or for one shard
// of several ("…-00001-of-00002.safetensors").
std::optional<std::string> variant_of(std::string_view name, std::string_view stem,
                                      std::string_view ending) {
  if (!name.starts_with(stem) || !name.ends_with(ending) ||
      name.size() < stem.size() + ending.size())
    return std::nullopt;
  std::string_view middle = name.substr(stem.size(), name.size() - stem.size() - ending.size());
  if (middle.empty()) return std::string();
  if (!middle.starts_with('.') || middle.find("-of-") != std::string_view::npos)
    return std::nullopt;
  middle.remove_prefix(1);
  // ".safetensors.index.fp16.json" is how diffusers spells an index's variant.
  return std::string(middle);
}

std::vector<WeightsChoice> choices(const Path& folder, const std::vector<std::string>& names,
                                   std::string_view stem) {
  std::vector<WeightsChoice> found;
  for (const WeightFormat& format : kWeightFormats) {
    for (const std::string& name : names) {
      if (const auto variant = variant_of(name, stem, format.ending))
        found.push_back({folder / name, format.index, *variant});
      // diffusers has the variant of an index before its last ending: "….index.fp16.json".
      if (!format.index) continue;
      const std::string_view head = format.ending.substr(0, format.ending.size() - 5);
      const std::string start = std::string(stem) + std::string(head) + ".";
      if (name.starts_with(start) && name.ends_with(".json") && name.size() > start.size() + 5)
        found.push_back(
            {folder / name, true, name.substr(start.size(), name.size() - start.size() - 5)});
    }
  }
  return found;
}

// Files that may hold weights and are not taken: of other programs, under other names, or shards
// whose index is missing.
std::string other_weights(const std::vector<std::string>& names) {
  static constexpr std::string_view kEndings[] = {".safetensors", ".bin",  ".pt", ".pth", ".ckpt",
                                                  ".msgpack",     ".gguf", ".h5", ".onnx"};
  std::vector<std::string> found;
  bool shards = false;
  for (const std::string& name : names) {
    if (std::none_of(std::begin(kEndings), std::end(kEndings),
                     [&](std::string_view ending) { return name.ends_with(ending); }))
      continue;
    found.push_back(name);
    shards = shards || name.find("-of-") != std::string::npos;
  }
  return joined(found) + (shards ? "; shards want their index, NAME.index.json" : "");
}

}  // namespace

Result<TensorFile> read_tensors(const Path& path) {
  ITO_ASSIGN(const FileKind kind, kind_of_file(path));
  switch (kind) {
    case FileKind::kTorchZip:
    case FileKind::kTorchLegacy:
    case FileKind::kZip:
      return read_torch_file(path);
    case FileKind::kNpz:
      return read_npz(path);
    case FileKind::kNpy: {
      TensorFile file;
      ITO_ASSIGN(file.tensors["array"], read_npy(path));
      return file;
    }
    default:
      return read_safetensors(path);
  }
}

Result<WeightsChoice> find_weights(const Path& folder, std::string_view stem,
                                   std::string_view variant) {
  ITO_ASSIGN(const std::vector<std::string> names, list_folder(folder));
  const std::vector<WeightsChoice> all = choices(folder, names, stem);
  std::set<std::string> variants;
  for (const WeightsChoice& choice : all) {
    if (choice.variant == variant) return choice;
    if (!choice.variant.empty()) variants.insert(choice.variant);
  }
  if (variant.empty() && variants.size() == 1) return all.front();
  const std::string listed = joined(variants);
  if (variant.empty() && !variants.empty())
    return invalid_argument("{}: weights of the variants {} are there; name one with --variant",
                            folder.string(), listed);
  if (!variant.empty())
    return not_found("{}: no weights of the variant {}{}", folder.string(), variant,
                     listed.empty() ? "" : "; there are " + listed);
  const std::string others = other_weights(names);
  return not_found("{}: {}.safetensors is missing{}", folder.string(), stem,
                   others.empty() ? "" : "; there are " + others);
}

Result<std::vector<std::string>> find_variants(const Path& folder, std::string_view stem) {
  ITO_ASSIGN(const std::vector<std::string> names, list_folder(folder));
  std::set<std::string> variants;
  for (const WeightsChoice& choice : choices(folder, names, stem)) variants.insert(choice.variant);
  return std::vector<std::string>(variants.begin(), variants.end());
}

Result<TensorFile> read_weights(const WeightsChoice& choice) {
  if (!choice.index) return read_tensors(choice.path);
  ITO_ASSIGN(const Json json, read_json(choice.path));
  const std::string where = choice.path.string();
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (!json.is_object() || map == json.end() || !map->is_object())
    return corrupt("{}: no index of shards: key 'weight_map' is missing", where);
  std::map<std::string, std::vector<std::string>> shards;  // file → tensors
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string()) return corrupt("{}: tensor {} is in no file", where, tensor);
    const std::string name = file.get<std::string>();
    if (name.empty() || name.find_first_of("/\\") != std::string::npos || name == "..")
      return corrupt("{}: tensor {} is in \"{}\", expected a file beside the index", where, tensor,
                     name);
    shards[name].push_back(tensor);
  }
  TensorFile all;
  for (const auto& [name, tensors] : shards) {
    const Path path = choice.path.parent_path() / name;
    if (!file_exists(path))
      return not_found("{}: the shard {} is missing", choice.path.parent_path().string(), name);
    ITO_ASSIGN(TensorFile shard, read_tensors(path));
    for (const std::string& tensor : tensors) {
      const auto found = shard.tensors.find(tensor);
      if (const auto unread = shard.unread.find(tensor); unread != shard.unread.end()) {
        all.unread.insert(*unread);
        continue;
      }
      if (found == shard.tensors.end())
        return corrupt("{}: tensor {} is missing, which the index says is there", path.string(),
                       tensor);
      all.tensors.emplace(tensor, std::move(found->second));
    }
    all.metadata.merge(shard.metadata);
  }
  return all;
}

}  // namespace ito
