#include "apps/farm_options.h"

#include <fmt/format.h>

#include "api/sample_files.h"
#include "apps/command.h"
#include "apps/rows.h"
#include "base/error.h"

namespace ito::apps {
namespace {

Json json_of(const FarmProgress& farm, std::optional<double> rate, std::optional<double> left) {
  Json all = {{"images", farm.all_images}, {"done", farm.all_done}};
  if (rate) all["images_per_second"] = *rate;
  if (left) all["seconds_left"] = *left;
  return all;
}

}  // namespace

void add_farm_options(CLI::App& app, FarmChoice& choice) {
  app.add_option("--shard", choice.shard,
                 "K/N: draw part K (0 to N-1) of the images only, so that N processes share a job; "
                 "all may have one folder --out, and `ito merge` joins them");
  app.add_option("--form", choice.form,
                 with_choices("sample --form",
                              "how the folder keeps images; any, like --shard, keeps a manifest"))
      ->capture_default_str();
  app.add_option("--images-per-file", choice.images_per_file, "of --form tar and npz")
      ->check(CLI::Range(size_t{1}, size_t{1'000'000}))
      ->capture_default_str();
}

Result<std::optional<FarmOptions>> farm_options(const CLI::App& app, const FarmChoice& choice,
                                                const Path& out, size_t images) {
  ITO_ASSIGN(const SampleStoreRow* form, row_called(sample_store_rows(), choice.form, "--form"));
  if (app.count("--images-per-file") > 0 && !form->archives)
    return invalid_argument("--images-per-file has no meaning for --form {}", form->name.name);
  const bool shared = app.count("--shard") > 0;
  if (!shared && app.count("--form") == 0) return std::optional<FarmOptions>();
  const char* what = shared ? "--shard" : "--form";
  FarmOptions options{.out = out, .form = form, .per_block = choice.images_per_file};
  if (shared) {
    ITO_ASSIGN(options.shard, parse_shard(choice.shard));
  }
  ITO_ASSIGN(const SampleForm* kept, sample_form(out));
  if (!kept->is_folder())
    return invalid_argument("--out is \"{}\", expected a folder, which {} writes into",
                            out.string(), what);
  for (const char* option : {"--preview-every", "--columns"})
    if (app.count(option) > 0)
      return invalid_argument("{} is for images in one grid; with {} each is a file or an entry",
                              option, what);
  ITO_TRY(check_farm(options, images));
  return std::optional<FarmOptions>(std::move(options));
}

std::string progress_text(const SampleProgress& p) {
  std::string text =
      p.seconds_left
          ? fmt::format("{} of {} images  {:.2f} images/s  {} left", p.done, p.images,
                        *p.images_per_second, duration_text(*p.seconds_left))
          : fmt::format("{} of {} images, {} steps of the ODE", p.done, p.images, p.steps);
  if (!p.farm) return text;
  text += fmt::format("  all shards: {} of {}", p.farm->all_done, p.farm->all_images);
  if (p.all_images_per_second)
    text += fmt::format("  {:.2f} images/s  {} left", *p.all_images_per_second,
                        duration_text(*p.all_seconds_left));
  return text;
}

Json progress_json(const SampleProgress& p) {
  Json json = {{"images", p.images}, {"done", p.done}};
  if (p.images_per_second) json["images_per_second"] = *p.images_per_second;
  if (p.seconds_left) json["seconds_left"] = *p.seconds_left;
  if (p.farm) json["all"] = json_of(*p.farm, p.all_images_per_second, p.all_seconds_left);
  return json;
}

void add_farm_json(Json& json, const SampleSummary& s) {
  if (!s.farm) return;
  json["device_idle"] = s.idle;
  if (s.seconds > 0) json["images_per_second"] = static_cast<double>(s.images) / s.seconds;
  json["shard"] = {{"images", s.farm->images}, {"done", s.farm->done}};
  json["all"] = json_of(*s.farm, s.all_images_per_second, s.all_seconds_left);
}

}  // namespace ito::apps
