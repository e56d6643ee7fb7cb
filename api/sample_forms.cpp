#include "api/sample_forms.h"

#include <algorithm>
#include <optional>
#include <string>

#include "api/output_file.h"
#include "base/error.h"
#include "base/name_list.h"
#include "io/class_names.h"
#include "io/diffusers.h"
#include "io/image.h"
#include "io/layout.h"
#include "io/npy.h"
#include "io/png.h"
#include "io/safetensors.h"

namespace ito {
namespace {

Status write_grid(const SampleCollection& all) {
  return write_png(all.out, grid_from_floats(all.images, all.shape, all.columns), &all.settings);
}

// The images as numbers, NCHW, and what tells them apart.
TensorFile numbers_of(const SampleCollection& all) {
  TensorFile file;
  const int64_t n = all.shape[0];
  const Shape nchw{n, all.shape[3], all.shape[1], all.shape[2]};
  file.tensors.emplace(all.name, tensor_from_floats(nchw, nhwc_to_nchw(all.images, all.shape)));
  file.tensors.emplace("seeds", tensor_from_uint32({n}, all.settings["seeds"]));
  if (all.labelled)
    file.tensors.emplace("classes", tensor_from_uint32({n}, all.settings["classes"]));
  return file;
}

// With the bytes, NHWC, that programs which measure samples look for.
Status write_arrays(const SampleCollection& all) {
  TensorFile file = numbers_of(all);
  std::vector<uint8_t> bytes(all.images.size());
  std::transform(all.images.begin(), all.images.end(), bytes.begin(), to_byte);
  file.tensors.emplace("arr_0", tensor_from_bytes(all.shape, bytes));
  TextArrays texts;
  if (all.settings.contains(kClassNames)) texts.emplace(kClassNames, all.settings[kClassNames]);
  return write_npz(all.out, file, texts);
}

bool is_own_arrays(const Path& path) {
  const auto file = NpzFile::open(path);
  return file.ok() && file->has("seeds") && file->has("arr_0");
}

Status write_tensors(const SampleCollection& all) {
  TensorFile file = numbers_of(all);
  file.metadata["settings"] = dump_json_line(all.settings);
  return write_safetensors(all.out, file);
}

bool is_own_tensors(const Path& path) {
  const auto file = read_safetensors(path);
  return file.ok() && file->metadata.contains("settings");
}

constexpr SampleForm kFolder = {"", "a folder", false, nullptr, nullptr};
constexpr SampleForm kFiles[] = {
    {".png", "FILE.png", false, write_grid, is_own_picture},
    {".npz", "FILE.npz", true, write_arrays, is_own_arrays},
    {".safetensors", "FILE.safetensors", true, write_tensors, is_own_tensors},
};

// What a network's own folder has besides, or a run's.
constexpr const char* kOfModels[] = {"config.json", "scheduler_config.json", "run.json"};

Status check_no_model(const Path& out) {
  std::optional<std::string> found = model_file_in(out);
  for (const char* name : kOfModels)
    if (!found && file_exists(out / name)) found = name;
  if (!found) return {};
  return invalid_argument("--out is {}, which is a model's folder: it holds {}; choose another",
                          out.string(), *found);
}

}  // namespace

Result<const SampleForm*> sample_form(const Path& out) {
  const std::string ending = out.extension().string();
  if (out.empty()) return invalid_argument("--out is empty, expected a file or a folder");
  ITO_TRY(check_reachable(out));
  ITO_TRY(check_no_model(out));
  if (folder_exists(out)) return &kFolder;
  std::vector<std::string_view> expected;
  for (const SampleForm& form : kFiles) {
    if (ending == form.ending) return &form;
    expected.push_back(form.written);
  }
  if (!is_called_as_files_are(out)) return &kFolder;
  return invalid_argument("--out is {}, expected {} or {}; {}/ is a folder", out.string(),
                          joined(expected), kFolder.written, out.string());
}

}  // namespace ito
