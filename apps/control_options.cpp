#include "apps/control_options.h"

#include <cmath>

#include "apps/data_options.h"
#include "apps/guidance_options.h"
#include "apps/rows.h"
#include "base/error.h"

namespace ito::apps {
void add_control_options(CLI::App& app, ControlFiles& options) {
  add_guidance_options(app, options.guidance);
  app.add_option("--init-image", options.initial,
                 "picture to begin at, noised --strength of the way (image to image)");
  app.add_option("--strength", options.strength,
                 "of --init-image: 1 keeps nothing of the picture, near 0 all of it")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--latents", options.latents,
                 ".safetensors that --sampler ddim-inverse wrote: images begin there; image: row "
                 "seed modulo their number");
  app.add_option(
      "--inpaint", options.inpaint,
      "picture whose pixels are kept where --mask is white; what a model with in_channels "
      "2 c + 1 fills in");
  app.add_option("--mask", options.mask, "grey picture: white 255 is kept, black 0 is filled");
  app.add_option("--colorize", options.colorize, "picture whose luminance is kept");
  app.add_option("--inverse", options.inverse,
                 with_choices("sample --inverse", "how --observation was made, NAME:NUMBER"));
  app.add_option("--observation", options.observation, "picture that --inverse made");
  add_background_option(app, options.background);
  app.add_option("--noise-std", options.noise_std,
                 "deviation of the noise in the picture that is matched, in units of [-1, 1]; left "
                 "out: 0, for blurs that of rounding to 8 bits");
}

Status check_control_options(const CLI::App& app, const ControlFiles& o) {
  const auto given = [&](const char* option) { return app.count(option) > 0; };
  const auto needs = [&](const char* option, const char* other) -> Status {
    if (given(option) && !given(other)) return invalid_argument("{} needs {}", option, other);
    return {};
  };
  ITO_TRY(check_guidance_options(o.guidance));
  ITO_TRY(needs("--strength", "--init-image"));
  if (given("--latents") && given("--init-image"))
    return invalid_argument("--latents and --init-image exclude each other");
  ITO_TRY(needs("--inpaint", "--mask"));
  ITO_TRY(needs("--mask", "--inpaint"));
  ITO_TRY(needs("--inverse", "--observation"));
  ITO_TRY(needs("--observation", "--inverse"));
  const int observations = static_cast<int>(given("--inpaint")) +
                           static_cast<int>(given("--colorize")) +
                           static_cast<int>(given("--inverse"));
  if (observations > 1)
    return invalid_argument("--inpaint, --colorize and --inverse exclude each other");
  if (given("--background") && observations == 0 && !given("--init-image"))
    return invalid_argument("--background needs --init-image, --inpaint, --colorize or --inverse");
  if (o.noise_std && observations == 0)
    return invalid_argument("--noise-std needs --inpaint, --colorize or --inverse");
  if (o.noise_std && (!(*o.noise_std >= 0) || !std::isfinite(*o.noise_std)))
    return invalid_argument("--noise-std is {}, expected 0 or more", *o.noise_std);
  if (!o.inverse.empty()) ITO_TRY(check_inverse(o.inverse));
  return {};
}

}  // namespace ito::apps
