#include "api/conversion.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "api/composition.h"
#include "api/model.h"
#include "api/output_file.h"
#include "api/weight_names.h"
#include "base/error.h"
#include "base/half.h"
#include "base/name_list.h"
#include "io/class_names.h"
#include "io/json.h"
#include "io/model_index.h"
#include "io/network_file.h"
#include "io/safetensors.h"
#include "io/weights.h"
#include "nn/networks.h"

namespace ito {
namespace {

constexpr const char* kConfig = "config.json";

HostTensor cast(const HostTensor& tensor, HostType type) {
  const std::vector<float> values = to_floats(tensor);
  HostTensor result = tensor_from_floats(tensor.shape, values);
  if (type == HostType::kF32) return result;
  result.type = type;
  std::vector<uint8_t>& bytes = result.bytes.own();
  bytes.resize(2 * values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t bits =
        type == HostType::kF16 ? float_to_half(values[i]) : float_to_bfloat16(values[i]);
    bytes[2 * i] = static_cast<uint8_t>(bits & 0xff);
    bytes[2 * i + 1] = static_cast<uint8_t>(bits >> 8);
  }
  return result;
}

void cast_all(TensorFile& file, const std::optional<HostType>& type) {
  if (!type) return;
  for (auto& [name, tensor] : file.tensors)
    if (is_floating(tensor.type) && tensor.type != *type) tensor = cast(tensor, *type);
}

void count(const TensorFile& file, const std::string& where, Conversion& report) {
  if (!file.unread.empty())
    report.notes.push_back(fmt::format("{}: {}", where, unread_note(file.unread)));
  for (const auto& [name, tensor] : file.tensors) {
    ++report.tensors;
    report.bytes += static_cast<int64_t>(tensor.bytes.size());
  }
}

// The network's tensors without the prefix that the file has before them.
Status strip_prefix(NetworkFile& file, const std::string& where, Conversion& report) {
  ITO_ASSIGN(const Network network, make_network(file.network, file.config));
  ITO_ASSIGN(const WeightNames names, find_weight_names(network.set(), file.weights, where));
  if (names.prefix.empty()) return {};
  report.notes.push_back(
      fmt::format("{}: the prefix \"{}\" is left out of the names", where, names.prefix));
  std::map<std::string, HostTensor> renamed;
  for (auto& [name, tensor] : file.weights.tensors) {
    const bool has = name.starts_with(names.prefix);
    renamed.emplace(has ? name.substr(names.prefix.size()) : name, std::move(tensor));
  }
  file.weights.tensors = std::move(renamed);
  return {};
}

// The weights of a variant as they are to be written.
Result<NetworkFile> read_component(const Path& from, std::string_view variant,
                                   const ConversionOptions& options, Conversion& report) {
  ITO_ASSIGN(NetworkFile file, read_network(from, true, variant));
  if (options.prefix.empty()) {
    ITO_TRY(strip_prefix(file, from.string(), report));
  } else {
    ITO_TRY(keep_prefix(file.weights, options.prefix, from.string()));
  }
  cast_all(file.weights, options.type);
  count(file.weights, from.string(), report);
  return file;
}

// The averages beside the first one, where no variant was chosen; what else is there is named.
Status convert_averages(const Path& source, const Path& out, const std::string& name,
                        const ConversionOptions& options, Conversion& report) {
  const Path from = name.empty() ? source : source / name;
  if (!options.variant.empty()) return {};
  ITO_ASSIGN(const std::vector<std::string> variants, weight_variants(from));
  if (std::find(variants.begin(), variants.end(), "") == variants.end()) return {};
  std::vector<std::string> others;
  for (const std::string& variant : variants) {
    if (variant.empty()) continue;
    if (!is_average(variant)) {
      others.push_back(variant);
      continue;
    }
    ITO_ASSIGN(NetworkFile file, read_component(from, variant, options, report));
    const Path plain = class_of_network(file.network).weights;
    report.written.push_back(
        (Path(name) / (plain.stem().string() + "." + variant + plain.extension().string()))
            .string());
    ITO_TRY(write_weights(out / name, file.network, std::move(file.weights), variant));
  }
  if (!others.empty())
    report.notes.push_back(fmt::format("{}: the weights of {} are left out; --variant takes one",
                                       from.string(), joined(others)));
  return {};
}

Status convert_component(const Path& source, const Path& out, const std::string& name,
                         const ConversionOptions& options, Conversion& report) {
  const Path from = name.empty() ? source : source / name, to = name.empty() ? out : out / name;
  ITO_ASSIGN(const NetworkFile file, read_component(from, options.variant, options, report));
  report.notes.insert(report.notes.end(), file.notes.begin(), file.notes.end());
  report.written.push_back((Path(name) / class_of_network(file.network).weights).string());
  ITO_TRY(write_network(to, file));
  return convert_averages(source, out, name, options, report);
}

Status copy_file(const Path& source, const Path& out, const std::string& name, Conversion& report) {
  if (!file_exists(source / name)) return {};
  ITO_ASSIGN(const std::string bytes, read_file(source / name));
  ITO_TRY(make_folders((out / name).parent_path()));
  report.written.push_back(name);
  return write_file_atomic(out / name, bytes);
}

// model_index.json without the parts that were not converted.
Status convert_index(const Path& source, const Path& out, const std::set<std::string>& parts,
                     Conversion& report) {
  if (!file_exists(source / kModelIndex)) return {};
  ITO_ASSIGN(Json index, read_json(source / kModelIndex));
  std::vector<std::string> absent;
  for (auto& [key, value] : index.items()) {
    const bool component = value.is_array() && value.size() == 2 && !value[0].is_null();
    if (!component || parts.contains(key)) continue;
    value = {nullptr, nullptr};
    absent.push_back(key);
  }
  if (!absent.empty())
    report.notes.push_back(fmt::format("{}: {} {} not converted", source.string(), joined(absent),
                                       absent.size() == 1 ? "is" : "are"));
  report.written.emplace_back(kModelIndex);
  return write_file_atomic(out / kModelIndex, dump_json(index));
}

Status convert_folder(const Path& source, const Path& out, const ConversionOptions& options,
                      Conversion& report) {
  std::set<std::string> names = {"", "vae"};
  for (const std::string& name : denoiser_folders()) names.insert(name);
  for (const NetworkRow* row : composed_rows()) names.insert(row->parts->folder);
  std::set<std::string> parts = {"scheduler"};
  for (const std::string& name : names) {
    if (!file_exists((name.empty() ? source : source / name) / kConfig)) continue;
    ITO_TRY(convert_component(source, out, name, options, report));
    parts.insert(name);
  }
  if (parts.size() == 1)
    return not_found(
        "{}: neither {} nor {} is there; expected a diffusers pipeline or model folder",
        source.string(), denoiser_configs(), kConfig);
  for (const char* name : {"scheduler/scheduler_config.json", "scheduler_config.json"})
    ITO_TRY(copy_file(source, out, name, report));
  ITO_ASSIGN(const std::optional<ClassNames> classes, read_class_names(source));
  if (classes) {
    report.written.emplace_back(kClassesFile);
    ITO_TRY(write_class_names(out, *classes));
  }
  return convert_index(source, out, parts, report);
}

}  // namespace

Result<Conversion> convert_model(const Path& source, const Path& out,
                                 const ConversionOptions& options) {
  Conversion report;
  ITO_TRY(check_reachable(source));
  ITO_TRY(check_reachable(out));
  if (file_exists(out) || folder_exists(out))
    return invalid_argument("{} is there already; choose another name", out.string());
  if (folder_exists(source)) {
    if (is_called_as_files_are(out))
      return invalid_argument(
          "{} is a folder and becomes one, but {} is called as files are; leave {} out, or write "
          "{}/",
          source.string(), out.string(), out.extension().string(), out.string());
    ITO_TRY(write_folder_atomic(
        out, [&](const Path& fresh) { return convert_folder(source, fresh, options, report); }));
    return report;
  }
  if (out.extension() != ".safetensors")
    return invalid_argument("{}: a file of tensors becomes a .safetensors", out.string());
  ITO_ASSIGN(TensorFile file, read_tensors(source));
  if (file.tensors.empty())
    return not_found("{} holds no tensors{}", source.string(),
                     file.unread.empty() ? "" : " that are read: " + unread_note(file.unread));
  if (!options.prefix.empty()) ITO_TRY(keep_prefix(file, options.prefix, source.string()));
  cast_all(file, options.type);
  file.metadata.emplace("format", "pt");
  count(file, source.string(), report);
  ITO_TRY(write_safetensors(out, file));
  report.written.push_back(out.filename().string());
  return report;
}

}  // namespace ito
