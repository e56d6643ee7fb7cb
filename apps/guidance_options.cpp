#include "apps/guidance_options.h"

#include <cmath>

#include "base/error.h"

namespace ito::apps {

void add_guidance_options(CLI::App& app, GuidanceChoice& choice) {
  app.add_option("--guidance-classifier", choice.classifier,
                 "folder of an `ito train --classifier --noisy`: guides each image to its class");
  app.add_option(
      "--guidance-scale", choice.scale,
      "weight of the classifier's gradient, 0: none, above 1: more typical of the class; "
      "left out: 1; without --guidance-classifier: classifier-free guidance, 1: none, "
      "or what a model with time_cond_proj_dim is told");
  app.add_option("--guidance-rescale", choice.rescale,
                 "classifier-free guidance: share by which the guided output's deviation is moved "
                 "back to the conditional one's; left out: 0")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--null-class", choice.null_class,
                 "classifier-free guidance: the class that stands for none; left out: the last");
}

Status check_guidance_options(const GuidanceChoice& choice) {
  const std::pair<const char*, bool> of_mixing[] = {
      {"--guidance-rescale", choice.rescale.has_value()},
      {"--null-class", choice.null_class.has_value()}};
  for (const auto& [option, given] : of_mixing) {
    if (given && !choice.scale) return invalid_argument("{} needs --guidance-scale", option);
    if (given && !choice.classifier.empty())
      return invalid_argument("{} is of classifier-free guidance, not of --guidance-classifier",
                              option);
  }
  if (choice.scale && !std::isfinite(*choice.scale))
    return invalid_argument("--guidance-scale is {}, expected a finite number", *choice.scale);
  return {};
}

}  // namespace ito::apps
