#include "api/sample_files.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "io/image.h"
#include "io/layout.h"
#include "io/npy.h"
#include "io/png.h"
#include "io/safetensors.h"

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

Result<SampleForm> sample_form(const Path& out) {
  const std::string ending = out.extension().string();
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

bool holds_numbers(SampleForm form) {
  return form == SampleForm::kNpz || form == SampleForm::kSafetensors;
}

std::string model_key(const Model& model) {
  uint64_t hash = hash_bytes(text_of(model.weights));
  if (model.decoder) hash = hash_bytes(text_of(model.decoder->weights), hash);
  return hex(hash_bytes(dump_json_line(Json(model_configs(model))), hash));
}

Result<SampleFiles> SampleFiles::open(SampleFilesOptions options,
                                      std::vector<SampleRequest>& requests) {
  SampleFiles files;
  ITO_ASSIGN(files.form_, sample_form(options.out));
  files.options_ = std::move(options);
  const Path& out = files.options_.out;
  if (files.form_ != SampleForm::kFolder) {
    const Path parent = out.parent_path();
    if (!parent.empty()) ITO_TRY(make_folders(parent));
    return files;
  }
  std::set<std::pair<uint32_t, uint32_t>> asked;
  for (const SampleRequest& request : requests) {
    if (!asked.emplace(request.seed, request.label).second)
      return invalid_argument(
          "seed {}{} is asked for twice, which would be one image", request.seed,
          files.options_.labelled ? fmt::format(" of class {}", request.label) : "");
    ++files.labels_of_seed_[request.seed];
  }
  ITO_TRY(make_folders(out));
  ITO_TRY(files.find_finished(requests));
  return files;
}

Json SampleFiles::settings_of(const SampleRequest& request) const {
  Json settings = options_.settings;
  settings["seed"] = request.seed;
  if (options_.labelled) settings["class"] = request.label;
  if (options_.with_context) settings["context_row"] = request.context;
  settings[kKey] = hex(hash_bytes(options_.model + dump_json_line(settings)));
  settings.update(options_.remarks);
  settings[kSoftware] = kIto;
  return settings;
}

// NNNNNN.png, and the class behind it where a seed is drawn of several.
Path SampleFiles::path_of(const SampleRequest& request) const {
  const auto found = labels_of_seed_.find(request.seed);
  const bool several = found != labels_of_seed_.end() && found->second > 1;
  return options_.out / (several ? fmt::format("{:06}-{}.png", request.seed, request.label)
                                 : fmt::format("{:06}.png", request.seed));
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
    const bool own = found.ok() && found->is_object() && found->contains(kSoftware) &&
                     (*found)[kSoftware] == kIto;
    if (!own)
      return invalid_argument(
          "{} is there already and is no whole picture of ito sample; move it "
          "away or choose another --out",
          path.string());
    const Json settings = settings_of(request);
    const bool same = found->contains(kKey) && (*found)[kKey] == settings[kKey];
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
    const Json settings = settings_of(requests[i]);
    ITO_TRY(write_png(path_of(requests[i]),
                      image_from_floats(images, shape, static_cast<int64_t>(i)), &settings));
  }
  return {};
}

Json SampleFiles::common_settings() const {
  Json settings = options_.settings;
  settings.update(options_.remarks);
  settings[kSoftware] = kIto;
  std::vector<uint32_t> seeds, labels;
  for (const SampleRequest& request : requests_) {
    seeds.push_back(request.seed);
    labels.push_back(request.label);
  }
  settings["seeds"] = seeds;
  if (options_.labelled) settings["classes"] = labels;
  return settings;
}

Status SampleFiles::finish(const Shape& image) {
  if (form_ == SampleForm::kFolder) return {};
  Shape shape = image;
  shape[0] = static_cast<int64_t>(requests_.size());
  const Json settings = common_settings();
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
  if (options_.labelled)
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
