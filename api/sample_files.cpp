#include "api/sample_files.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/error.h"
#include "io/image.h"
#include "io/layout.h"
#include "io/npy.h"
#include "io/png.h"
#include "io/safetensors.h"

namespace ito {

namespace {

// Whether a file is one that SampleFiles::finish() wrote.
bool is_own_file(const Path& path, SampleForm form) {
  if (form == SampleForm::kGrid) {
    const auto settings = read_png_settings(path);
    return settings.ok() && is_own(*settings);
  }
  if (form == SampleForm::kNpz) {
    const auto file = NpzFile::open(path);
    return file.ok() && file->has("seeds") && file->has("arr_0");
  }
  const auto file = read_safetensors(path);
  return file.ok() && file->metadata.contains("settings");
}

// What a model's folder has, or a run's.
constexpr const char* kOfModels[] = {"model_index.json", "config.json", "scheduler_config.json",
                                     "run.json"};

}  // namespace

Result<SampleForm> sample_form(const Path& out) {
  const std::string ending = out.extension().string();
  if (out.empty()) return invalid_argument("--out is empty, expected a file or a folder");
  for (const char* name : kOfModels)
    if (file_exists(out / name))
      return invalid_argument("--out is {}, which is a model's folder: it holds {}; choose another",
                              out.string(), name);
  if (folder_exists(out)) return SampleForm::kFolder;
  if (ending == ".png") return SampleForm::kGrid;
  if (ending == ".npz") return SampleForm::kNpz;
  if (ending == ".safetensors") return SampleForm::kSafetensors;
  const bool letters =
      ending.size() > 1 && std::isalpha(static_cast<unsigned char>(ending[1])) != 0;
  if (!letters) return SampleForm::kFolder;
  return invalid_argument(
      "--out is {}, expected FILE.png, FILE.npz, FILE.safetensors or a folder; {}/ is a folder",
      out.string(), out.string());
}

bool is_folder(SampleForm form) { return form == SampleForm::kFolder; }

bool holds_numbers(SampleForm form) {
  return form == SampleForm::kNpz || form == SampleForm::kSafetensors;
}

Result<SampleFiles> SampleFiles::open(SampleFilesOptions options,
                                      std::vector<SampleRequest>& requests) {
  SampleFiles files;
  ITO_ASSIGN(files.form_, sample_form(options.out));
  files.options_ = std::move(options);
  const Path& out = files.options_.out;
  if (files.form_ != SampleForm::kFolder) {
    if (file_exists(out) && !is_own_file(out, files.form_))
      return invalid_argument(
          "{} is there already and was not written by ito sample; move it away or choose another "
          "--out",
          out.string());
    const Path parent = out.parent_path();
    if (!parent.empty()) ITO_TRY(make_folders(parent));
    return files;
  }
  ITO_TRY(files.options_.images.know(requests));
  ITO_TRY(make_folders(out));
  files.keep_other_classes(requests);
  ITO_TRY(files.find_finished(requests));
  return files;
}

Path SampleFiles::path_of(const SampleRequest& request) const {
  return options_.out / (options_.images.name_of(request) + ".png");
}

// A seed whose picture of another class is there gets the name that seeds of several classes have.
void SampleFiles::keep_other_classes(std::span<const SampleRequest> requests) {
  SampleIdentity& images = options_.images;
  if (!images.labelled) return;
  std::vector<uint32_t> taken;
  for (const SampleRequest& request : requests) {
    const Path path = path_of(request);
    if (!file_exists(path)) continue;
    const auto found = read_png_settings(path);
    if (found.ok() && is_own(*found) && found->contains("class") &&
        (*found)["class"] != request.label)
      taken.push_back(request.seed);
  }
  images.several.insert(images.several.end(), taken.begin(), taken.end());
  std::sort(images.several.begin(), images.several.end());
  images.several.erase(std::unique(images.several.begin(), images.several.end()),
                       images.several.end());
}

Status SampleFiles::find_finished(std::vector<SampleRequest>& requests) {
  std::vector<SampleRequest> missing;
  for (const SampleRequest& request : requests) {
    const Path path = path_of(request);
    if (!file_exists(path)) {
      missing.push_back(request);
      continue;
    }
    const auto found = read_png_settings(path);
    // A damaged file of our own is made again; whose it was, nobody can tell but by its text.
    if (!found.ok() || !is_own(*found))
      return invalid_argument(
          "{} is there already and is no whole picture of ito sample; move it "
          "away or choose another --out",
          path.string());
    const bool same = same_key(*found, options_.images.settings_of(request));
    if (same && !options_.all) {
      ++skipped_;
      continue;
    }
    replaced_ += same ? 0 : 1;
    missing.push_back(request);
  }
  requests = std::move(missing);
  return {};
}

Status SampleFiles::add(std::span<const SampleRequest> requests, const std::vector<float>& images,
                        const Shape& shape) {
  if (form_ != SampleForm::kFolder) {
    requests_.insert(requests_.end(), requests.begin(), requests.end());
    images_.insert(images_.end(), images.begin(), images.end());
    return {};
  }
  for (size_t i = 0; i < requests.size(); ++i) {
    const Json settings = options_.images.settings_of(requests[i]);
    ITO_TRY(write_png(path_of(requests[i]),
                      image_from_floats(images, shape, static_cast<int64_t>(i)), &settings));
  }
  return {};
}

Status SampleFiles::finish(const Shape& image) {
  if (form_ == SampleForm::kFolder) return {};
  Shape shape = image;
  shape[0] = static_cast<int64_t>(requests_.size());
  const Json settings = options_.images.common_settings(requests_);
  if (form_ == SampleForm::kGrid)
    return write_png(options_.out, grid_from_floats(images_, shape, options_.columns), &settings);
  TensorFile file;
  // What programs that measure samples look for.
  if (form_ == SampleForm::kNpz) {
    std::vector<uint8_t> bytes(images_.size());
    std::transform(images_.begin(), images_.end(), bytes.begin(), to_byte);
    file.tensors.emplace("arr_0", tensor_from_bytes(shape, bytes));
  }
  const Shape nchw{shape[0], shape[3], shape[1], shape[2]};
  file.tensors.emplace(options_.name, tensor_from_floats(nchw, nhwc_to_nchw(images_, shape)));
  file.tensors.emplace("seeds", tensor_from_uint32({shape[0]}, settings["seeds"]));
  if (options_.images.labelled)
    file.tensors.emplace("classes", tensor_from_uint32({shape[0]}, settings["classes"]));
  if (form_ == SampleForm::kNpz) return write_npz(options_.out, file);
  file.metadata["settings"] = dump_json_line(settings);
  return write_safetensors(options_.out, file);
}

Path SampleFiles::preview_path(int step) const {
  const std::string name = fmt::format("preview-{:04}.png", step);
  if (form_ == SampleForm::kFolder) return options_.out / name;
  return options_.out.parent_path() / (options_.out.stem().string() + "." + name);
}

}  // namespace ito
