// ito interpolate: a row of images between two, through a model.
#include <fmt/format.h>

#include "api/control_files.h"
#include "api/interpolation.h"
#include "api/output_file.h"
#include "apps/command.h"
#include "apps/data_options.h"
#include "apps/open_model.h"
#include "apps/rows.h"
#include "base/error.h"
#include "io/json.h"
#include "io/png.h"

namespace ito::apps {
namespace {

struct InterpolateCommand {
  CLI::App* app = nullptr;
  DeviceChoice device;
  InterpolationOptions options;
  VariantChoice variant;
  std::string model, a, b, out, label;
  Background background;
  int columns = 0;
  bool json = false;
};

constexpr OutputFile kImageRow = {".png", "ito interpolate", is_own_picture};

// What decides the images: only the options that the method uses.
Json settings_of(const InterpolateCommand& c) {
  Json settings = {{"software", "ito"}, {"model", c.model},           {"a", c.a},
                   {"b", c.b},          {"method", c.options.method}, {"points", c.options.points}};
  const auto used = [&](const char* option, const auto& value) {
    if (interpolation_uses(c.options.method, option)) settings[option] = value;
  };
  used("steps", c.options.steps);
  used("strength", c.options.strength);
  used("seed", c.options.seed);
  used("rtol", c.options.ode.rtol);
  used("atol", c.options.ode.atol);
  return settings;
}

Status check(InterpolateCommand& c) {
  ITO_ASSIGN(const InterpolationRow* row,
             row_called(interpolation_rows(), c.options.method, "--method"));
  c.options.method = row->name.name;
  for (const std::string option : {"steps", "strength", "seed", "rtol", "atol"}) {
    if (c.app->count("--" + option) > 0 && !interpolation_uses(c.options.method, option))
      return invalid_argument("--{} has no meaning for --method {}", option, c.options.method);
  }
  ITO_TRY(check_ode_options(c.options.ode));
  return check_ending(kImageRow, "--out", c.out);
}

Status run(InterpolateCommand& c) {
  ITO_TRY(check_replaceable(kImageRow, "--out", c.out, std::vector<std::string>{c.a, c.b}));
  ITO_ASSIGN(const Model model, open_scheduled_model(c.model, c.variant));
  if (!c.label.empty()) {
    ITO_ASSIGN(c.options.label, class_called(c.label, c.model, model));
  }
  const Signature& signature = model.network.signature();
  if (!signature.sample_size)
    return unsupported("the model in {} does not say how large its images are", c.model);
  const auto [h, w] = *signature.sample_size;
  const Shape image{h, w, signature.in_channels};
  ITO_ASSIGN(const std::vector<float> a, read_padded("--a", c.a, image, print_note, c.background));
  ITO_ASSIGN(const std::vector<float> b, read_padded("--b", c.b, image, print_note, c.background));
  ITO_ASSIGN(auto device,
             open_and_announce(c.device, fmt::format("{} images between {} and {} by {},",
                                                     c.options.points, c.a, c.b, c.model)));
  ProgressLine line;
  const std::atomic<bool>& stop = stop_requested();
  ITO_ASSIGN(const std::vector<float> images,
             interpolate(*device, model, image, a, b, c.options, [&](int done, int in_all) {
               line.update(in_all > 0 ? fmt::format("step {}/{}", done, in_all)
                                      : fmt::format("step {} of the ODE", done));
               return !stop;
             }));
  line.finish();
  Json settings = settings_of(c);
  if (model.num_classes() > 0) settings["class"] = c.options.label;
  const Path parent = Path(c.out).parent_path();
  if (!parent.empty()) ITO_TRY(make_folders(parent));
  const Shape shape{c.options.points, h, w, image[2]};
  ITO_TRY(write_png(c.out,
                    grid_from_floats(images, shape, c.columns > 0 ? c.columns : c.options.points),
                    &settings));
  if (c.json) {
    fmt::print("{}", dump_json({{"out", c.out}, {"images", c.options.points}}));
  } else {
    fmt::print("{} images in {}\n", c.options.points, c.out);
  }
  return {};
}

}  // namespace

Command add_interpolate_command(CLI::App& root) {
  auto c = std::make_shared<InterpolateCommand>();
  CLI::App* app =
      root.add_subcommand("interpolate", "Draw the images between two, through a trained model");
  c->app = app;
  app->add_option("--model", c->model, "model folder in diffusers' layout, or a run of `ito train`")
      ->required();
  add_variant_option(*app, c->variant);
  app->add_option("--a", c->a, "the first picture; smaller ones are padded with -1")->required();
  app->add_option("--b", c->b, "the last picture")->required();
  add_background_option(*app, c->background);
  app->add_option("--out", c->out, "FILE.png: a grid, --a's reconstruction first")->required();
  app->add_option("--method", c->options.method,
                  with_choices("interpolate --method", "way from one to the other"))
      ->capture_default_str();
  const auto own = [](const char* key, const char* help) {
    return with_takers("interpolate", key, help);
  };
  app->add_option("--steps", c->options.steps, own("steps", "steps of the sampler"))
      ->check(at_least(1))
      ->capture_default_str();
  app->add_option("--points", c->options.points, "images, the ends included")
      ->check(CLI::Range(2, 4096))
      ->capture_default_str();
  app->add_option(
         "--strength", c->options.strength,
         own("strength", "share of the steps that are run; more is smoother and further from both"))
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app->add_option("--seed", c->options.seed, own("seed", "of the noise that all images share"))
      ->capture_default_str();
  app->add_option("--rtol", c->options.ode.rtol, own("rtol", "relative tolerance"))
      ->check(positive_number())
      ->capture_default_str();
  app->add_option("--atol", c->options.ode.atol, own("atol", "absolute tolerance"))
      ->check(positive_number())
      ->capture_default_str();
  app->add_option("--class", c->label,
                  "class, by name or number, for a model with classes; the first where left out");
  app->add_option("--columns", c->columns, "columns of the grid; 0: one row")
      ->check(at_least(0))
      ->capture_default_str();
  add_device_option(*app, c->device);
  app->add_flag("--json", c->json, "print JSON");
  return {app, [c] { return check(*c); }, [c] { return run(*c); }};
}

}  // namespace ito::apps
