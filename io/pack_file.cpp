#include "io/pack_file.h"

#include <bit>
#include <cstring>
#include <utility>

#include "base/device_forms.h"
#include "base/error.h"
#include "base/sha256.h"
#include "io/json.h"

namespace ito {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the file's words are written as they are");

constexpr uint64_t kMostPackBytes = uint64_t{1} << 30;
constexpr size_t kDigestBytes = 64;
constexpr size_t kPackHeaderBytes = kPackMagic.size() + 2 * sizeof(uint64_t) + kDigestBytes;
constexpr size_t kKeyDigits = 64;
constexpr uint32_t kSpirvMagicWord = 0x07230203;
constexpr size_t kLeastSpirvWords = 5;  // a module's header
constexpr size_t kMostForms = 256, kMostShapes = 1024;

Json shape_json(const MatrixShape& shape) {
  const auto element = [](MatrixElement value) { return matrix_element_name(value); };
  return {{"m", shape.m},
          {"n", shape.n},
          {"k", shape.k},
          {"a", element(shape.a)},
          {"b", element(shape.b)},
          {"c", element(shape.c)},
          {"result", element(shape.result)},
          {"saturating", shape.saturating},
          {"scope", matrix_scope_name(shape.scope)}};
}

// Every number of a form with its key; what is read and what is written.
template <typename Caps, typename Visit>
void visit_form(Caps& caps, const Visit& visit) {
  visit("name", caps.name);
  visit("is_cpu", caps.is_cpu);
  visit("subgroup_size", caps.subgroup_size);
  visit("min_subgroup_size", caps.min_subgroup_size);
  visit("max_subgroup_size", caps.max_subgroup_size);
  visit("required_subgroup_size", caps.required_subgroup_size);
  visit("max_workgroup_invocations", caps.max_workgroup_invocations);
  visit("max_workgroup_size_x", caps.max_workgroup_size_x);
  visit("shared_memory_bytes", caps.shared_memory_bytes);
  visit("max_groups_x", caps.max_groups_x);
  visit("max_groups_y", caps.max_groups_y);
  visit("compute_units", caps.compute_units);
  visit("max_allocation_bytes", caps.max_allocation_bytes);
  visit("subgroup_arithmetic", caps.subgroup_arithmetic);
  visit("shader_float16", caps.shader_float16);
  visit("storage_16bit", caps.storage_16bit);
  visit("cooperative_matrix", caps.cooperative_matrix);
}

Json form_json(const DeviceCaps& form) {
  Json json = Json::object();
  visit_form(form, [&](const char* key, const auto& value) { json[key] = value; });
  Json shapes = Json::array();
  for (const MatrixShape& shape : form.matrix_shapes) shapes.push_back(shape_json(shape));
  json["matrix_shapes"] = std::move(shapes);
  return json;
}

Status read_value(JsonObject& object, const char* key, std::string& out) {
  ITO_TRY(object.require(key));
  return object.read(key, &out);
}
Status read_value(JsonObject& object, const char* key, bool& out) {
  ITO_TRY(object.require(key));
  return object.read(key, &out);
}
Status read_value(JsonObject& object, const char* key, uint64_t& out) {
  ITO_TRY(object.require(key));
  return object.read(key, &out);
}
Status read_value(JsonObject& object, const char* key, uint32_t& out) {
  uint64_t value = 0;
  ITO_TRY(read_value(object, key, value));
  if (value > UINT32_MAX) return object.wrong(key, "a number below 2^32");
  out = static_cast<uint32_t>(value);
  return {};
}

Status read_element(JsonObject& object, const char* key, MatrixElement& out) {
  std::string name;
  ITO_TRY(read_value(object, key, name));
  for (int i = 0; i <= static_cast<int>(MatrixElement::kOther); ++i) {
    out = static_cast<MatrixElement>(i);
    if (matrix_element_name(out) == name) return {};
  }
  return object.wrong(key, "the name of a type of elements");
}

Status read_scope(JsonObject& object, MatrixScope& out) {
  std::string name;
  ITO_TRY(read_value(object, "scope", name));
  for (int i = 0; i <= static_cast<int>(MatrixScope::kOther); ++i) {
    out = static_cast<MatrixScope>(i);
    if (matrix_scope_name(out) == name) return {};
  }
  return object.wrong("scope", "the name of a scope");
}

// The list at `key`, of at most `most` entries.
Result<const Json*> list_at(JsonObject& object, const char* key, size_t most) {
  ITO_TRY(object.require(key));
  const Json* list = object.find(key);
  if (!list->is_array() || list->size() > most)
    return object.wrong(key, fmt::format("a list of at most {}", most));
  return list;
}

Result<MatrixShape> read_shape(const Json& json, const std::string& where) {
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, where));
  MatrixShape shape;
  ITO_TRY(read_value(object, "m", shape.m));
  ITO_TRY(read_value(object, "n", shape.n));
  ITO_TRY(read_value(object, "k", shape.k));
  ITO_TRY(read_element(object, "a", shape.a));
  ITO_TRY(read_element(object, "b", shape.b));
  ITO_TRY(read_element(object, "c", shape.c));
  ITO_TRY(read_element(object, "result", shape.result));
  ITO_TRY(read_value(object, "saturating", shape.saturating));
  ITO_TRY(read_scope(object, shape.scope));
  return shape;
}

Result<DeviceCaps> read_form(const Json& json, const std::string& where) {
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, where));
  DeviceCaps form;
  Status status;
  visit_form(form, [&](const char* key, auto& value) {
    if (status.ok()) status = read_value(object, key, value);
  });
  ITO_TRY(std::move(status));
  ITO_ASSIGN(const Json* shapes, list_at(object, "matrix_shapes", kMostShapes));
  for (const Json& shape : *shapes) {
    ITO_ASSIGN(MatrixShape read, read_shape(shape, where + ": matrix_shapes"));
    form.matrix_shapes.push_back(read);
  }
  if (const Status sane = check_form(form); !sane.ok())
    return corrupt("{}: {}", where, sane.error().message);
  return form;
}

// The kernels of a description: each with words that lie in `modules`, one behind the other.
Status read_kernels(const Json& list, std::string_view modules, const std::string& where,
                    KernelPack& pack) {
  uint64_t at = 0;
  for (const Json& entry : list) {
    ITO_ASSIGN(JsonObject object, JsonObject::open(entry, where + ": kernels"));
    std::string key;
    PackedKernel kernel;
    uint64_t words = 0;
    ITO_TRY(read_value(object, "key", key));
    ITO_TRY(read_value(object, "name", kernel.name));
    ITO_TRY(read_value(object, "words", words));
    if (key.size() != kKeyDigits || key.find_first_not_of("0123456789abcdef") != std::string::npos)
      return object.wrong("key", "64 hexadecimal digits");
    const uint64_t left = (modules.size() - at) / sizeof(uint32_t);
    if (words < kLeastSpirvWords || words > left)
      return object.wrong("words", fmt::format("{} to the {} that are left of the modules",
                                               kLeastSpirvWords, left));
    kernel.spirv.resize(words);
    std::memcpy(kernel.spirv.data(), modules.data() + at, words * sizeof(uint32_t));
    at += words * sizeof(uint32_t);
    if (kernel.spirv[0] != kSpirvMagicWord)
      return corrupt("{}: kernel '{}' is no SPIR-V module", where, kernel.name);
    if (!pack.kernels.emplace(std::move(key), std::move(kernel)).second)
      return corrupt("{}: a kernel is there twice", where);
  }
  if (at != modules.size())
    return corrupt("{}: {} bytes of modules, but the kernels take {}", where, modules.size(), at);
  return {};
}

}  // namespace

std::string pack_bytes(const KernelPack& pack) {
  Json forms = Json::array(), kernels = Json::array();
  for (const DeviceCaps& form : pack.forms) forms.push_back(form_json(form));
  std::string modules;
  for (const auto& [key, kernel] : pack.kernels) {
    kernels.push_back({{"key", key}, {"name", kernel.name}, {"words", kernel.spirv.size()}});
    modules.append(reinterpret_cast<const char*>(kernel.spirv.data()),
                   kernel.spirv.size() * sizeof(uint32_t));
  }
  const Json json = {{"model", pack.model},
                     {"jobs", pack.jobs},
                     {"forms", std::move(forms)},
                     {"kernels", std::move(kernels)}};
  const std::string description = dump_json_line(json);
  const uint64_t sizes[] = {description.size(), modules.size()};
  Sha256 digest;
  digest.update({reinterpret_cast<const char*>(sizes), sizeof sizes});
  digest.update(description);
  digest.update(modules);
  std::string bytes(kPackMagic);
  bytes.append(reinterpret_cast<const char*>(sizes), sizeof sizes);
  return bytes + digest.hex() + description + modules;
}

Result<KernelPack> parse_pack(std::string_view bytes, std::string_view given_where) {
  const std::string where(given_where);
  if (!bytes.starts_with(kPackMagic.substr(0, kPackMagic.size() - 1)))
    return corrupt("{} is no pack of `ito pack`: it does not begin with \"{}\"", where, kPackMagic);
  if (!bytes.starts_with(kPackMagic))
    return corrupt("{} is a pack of another version of Ito; make it anew with `ito pack`", where);
  if (bytes.size() < kPackHeaderBytes)
    return corrupt("{}: {} bytes, at least {} expected; the file is truncated", where, bytes.size(),
                   kPackHeaderBytes);
  uint64_t sizes[2];
  std::memcpy(sizes, bytes.data() + kPackMagic.size(), sizeof sizes);
  const uint64_t rest = bytes.size() - kPackHeaderBytes;
  if (sizes[0] > rest || sizes[1] != rest - sizes[0])
    return corrupt("{}: {} bytes of description and {} of modules, but {} are there", where,
                   sizes[0], sizes[1], rest);
  const std::string_view digest = bytes.substr(kPackHeaderBytes - kDigestBytes, kDigestBytes);
  const std::string_view description = bytes.substr(kPackHeaderBytes, sizes[0]);
  const std::string_view modules = bytes.substr(kPackHeaderBytes + sizes[0]);
  Sha256 found;
  found.update({reinterpret_cast<const char*>(sizes), sizeof sizes});
  found.update(bytes.substr(kPackHeaderBytes));
  if (found.hex() != digest)
    return corrupt("{} is damaged: its checksum is not that of its content", where);

  ITO_ASSIGN(const Json json, parse_json(description, where));
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, where));
  KernelPack pack;
  ITO_TRY(read_value(object, "model", pack.model));
  ITO_TRY(object.require("jobs"));
  ITO_TRY(object.read("jobs", &pack.jobs));
  ITO_ASSIGN(const Json* forms, list_at(object, "forms", kMostForms));
  for (const Json& form : *forms) {
    ITO_ASSIGN(DeviceCaps read, read_form(form, where + ": forms"));
    pack.forms.push_back(std::move(read));
  }
  // No more than the modules have room for, whatever the description says.
  ITO_ASSIGN(const Json* kernels,
             list_at(object, "kernels", modules.size() / (kLeastSpirvWords * sizeof(uint32_t))));
  ITO_TRY(read_kernels(*kernels, modules, where, pack));
  return pack;
}

Result<KernelPack> read_pack(const Path& path) {
  ITO_ASSIGN(const std::string bytes, read_file(path, kMostPackBytes));
  return parse_pack(bytes, path.string());
}

Status write_pack(const Path& path, const KernelPack& pack) {
  return write_file_atomic(path, pack_bytes(pack));
}

}  // namespace ito
