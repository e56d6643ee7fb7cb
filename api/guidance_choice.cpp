#include "api/guidance_choice.h"

#include <utility>

#include "api/fingerprint.h"
#include "base/error.h"

namespace ito {
namespace {

// A network that is told its guidance scale is told --guidance-scale, and takes no other guidance.
Status check_told(const GuidanceChoice& choice, const std::string& where) {
  const std::pair<const char*, bool> others[] = {
      {"--guidance-classifier", !choice.classifier.empty()},
      {"--guidance-rescale", choice.rescale.has_value()},
      {"--null-class", choice.null_class.has_value()}};
  for (const auto& [option, given] : others)
    if (given)
      return unsupported(
          "{}: the model in {} is told its guidance scale (time_cond_proj_dim) and takes no other "
          "guidance",
          option, where);
  if (!choice.scale)
    return invalid_argument(
        "the model in {} is told its guidance scale (time_cond_proj_dim): give --guidance-scale",
        where);
  return {};
}

}  // namespace

Result<SampleOptions> with_guidance(SampleOptions options, const GuidanceChoice& choice,
                                    const Signature& model, const std::optional<ClassNames>& names,
                                    const std::string& where) {
  if (model.guidance > 0) {
    ITO_TRY(check_told(choice, where));
    options.guidance_scale = choice.scale;
    return options;
  }
  if (!choice.scale || !choice.classifier.empty()) return options;
  const size_t classes = static_cast<size_t>(model.classes.classes());
  if (!choice.null_class && names && model.latent == 0 && classes > 0 &&
      names->names.size() == classes)
    return invalid_argument(
        "--guidance-scale compares with a class that stands for none, and each of the {} classes "
        "of {} stands for images: --null-class N says which to take (ito train --class-dropout "
        "makes one)",
        classes, where);
  options.classifier_free = ClassifierFree{.scale = *choice.scale,
                                           .null_class = choice.null_class,
                                           .rescale = choice.rescale.value_or(0)};
  return options;
}

Result<std::optional<ClassGuidance>> load_class_guidance(const GuidanceChoice& choice, int classes,
                                                         const std::optional<ClassNames>& names,
                                                         const NoteFunction& note) {
  if (choice.classifier.empty()) return std::optional<ClassGuidance>();
  ClassGuidance guidance;
  guidance.scale = choice.classifier_scale();
  ITO_ASSIGN(guidance.classifier, load_noisy_classifier(choice.classifier));
  if (classes == 0) return std::optional(std::move(guidance));
  const int64_t known = guidance.classifier.network.signature().out_channels;
  ITO_ASSIGN(const std::optional<ClassNames> its_names, read_class_names(choice.classifier));
  ITO_ASSIGN(JudgedClasses judged, judged_classes(names, static_cast<uint32_t>(classes), its_names,
                                                  static_cast<uint32_t>(known), choice.classifier));
  if (!judged.note.empty() && note) note(judged.note);
  if (judged.moved || (judged.by_name && known != classes))
    guidance.classes = std::move(judged.numbers);
  return std::optional(std::move(guidance));
}

Json guidance_settings(const std::optional<ClassGuidance>& guidance) {
  if (!guidance) return Json::object();
  Json settings = {{"guidance_scale", guidance->scale},
                   {"guidance_weights", fingerprint(guidance->classifier.weights)}};
  if (!guidance->classes.empty()) settings["guidance_classes"] = guidance->classes;
  return settings;
}

}  // namespace ito
