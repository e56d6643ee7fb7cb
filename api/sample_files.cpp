#include "api/sample_files.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "api/output_file.h"
#include "base/error.h"
#include "base/platform.h"
#include "io/image.h"
#include "io/png.h"

namespace ito {
namespace {

// Whether a process that writes to this folder may still be at work on its temporary file. Of one
// on another machine nobody here can tell; a picture is written in milliseconds.
bool may_be_alive(std::string_view digits) {
  int64_t process = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), process);
  return read.ec == std::errc() && platform::process_exists(process);
}

}  // namespace

Result<SampleFiles> SampleFiles::open(SampleFilesOptions options,
                                      std::vector<SampleRequest>& requests) {
  SampleFiles files;
  ITO_ASSIGN(files.form_, sample_form(options.out));
  files.options_ = std::move(options);
  const Path& out = files.options_.out;
  if (!files.form_->is_folder()) {
    ITO_TRY(check_replaceable({files.form_->ending, "ito sample", files.form_->is_own}, "--out",
                              out, files.options_.inputs));
    const Path parent = out.parent_path();
    if (!parent.empty()) ITO_TRY(make_folders(parent));
    return files;
  }
  ITO_TRY(files.options_.images.know(requests));
  ITO_TRY(make_folders(out));
  files.keep_other_classes(requests);
  ITO_TRY(files.remove_leftovers(requests));
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

// What calls that were killed have left half-written of these images.
Status SampleFiles::remove_leftovers(std::span<const SampleRequest> requests) const {
  std::set<std::string, std::less<>> names;
  for (const SampleRequest& request : requests) names.insert(path_of(request).filename().string());
  ITO_ASSIGN(const std::vector<std::string> found, list_folder(options_.out));
  for (const std::string& name : found) {
    const auto stem = temporary_stem(name);
    if (!stem || !names.contains(*stem)) continue;
    std::string_view process = std::string_view(name).substr(stem->size() + 1);
    process.remove_suffix(process.size() - process.find('.'));
    if (!may_be_alive(process)) ITO_TRY(remove_tree(options_.out / name));
  }
  return {};
}

Status SampleFiles::find_finished(std::vector<SampleRequest>& requests) {
  std::vector<SampleRequest> missing;
  for (const SampleRequest& request : requests) {
    const Path path = path_of(request);
    if (!file_exists(path)) {
      missing.push_back(request);
      continue;
    }
    ITO_ASSIGN(const std::string bytes, read_file(path));
    const auto found = png_settings(bytes, path.string());
    // A damaged file of our own is made again; whose it was, nobody can tell but by its text.
    if (!found.ok() || !is_own(*found))
      return invalid_argument(
          "{} is there already and is no whole picture of ito sample; move it "
          "away or choose another --out",
          path.string());
    const bool same = same_key(*found, options_.images.settings_of(request));
    if (same && !options_.all && decode_image(bytes, path.string()).ok()) {
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
  if (!form_->is_folder()) {
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
  if (form_->is_folder()) return {};
  Shape shape = image;
  shape[0] = static_cast<int64_t>(requests_.size());
  const Json settings = options_.images.common_settings(requests_);
  return form_->write({.out = options_.out,
                       .images = images_,
                       .shape = shape,
                       .settings = settings,
                       .labelled = options_.images.labelled,
                       .columns = options_.columns,
                       .name = options_.name});
}

Path SampleFiles::preview_path(int step) const {
  const std::string name = fmt::format("preview-{:04}.png", step);
  if (form_->is_folder()) return options_.out / name;
  return options_.out.parent_path() / (options_.out.stem().string() + "." + name);
}

}  // namespace ito
