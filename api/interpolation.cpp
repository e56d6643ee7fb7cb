#include "api/interpolation.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "api/divergence_watch.h"
#include "api/flow.h"
#include "api/model_score.h"
#include "api/task.h"
#include "base/error.h"
#include "diffusion/process.h"
#include "diffusion/samplers.h"
#include "diffusion/sampling_program.h"
#include "graph/builder.h"
#include "graph/compile.h"

namespace ito {
namespace {

Status check(const Model& model, const Shape& image, const std::vector<float>& a,
             const std::vector<float>& b, const InterpolationOptions& options) {
  if (options.method != "noise" && options.method != "latent" && options.method != "flow")
    return invalid_argument("the method of interpolation is \"{}\", expected noise, latent or flow",
                            options.method);
  if (options.method != "flow" && is_continuous(model.scheduler.process))
    return unsupported(
        "interpolation by {} needs a model of a discrete chain, found one of {}; use flow",
        options.method, process_name(model.scheduler.process));
  if (options.points < 2)
    return invalid_argument("{} points of interpolation, expected at least 2", options.points);
  if (!(options.strength > 0 && options.strength <= 1))
    return invalid_argument("strength is {}, expected above 0 and at most 1", options.strength);
  if (model.num_classes() > 0 && options.label >= static_cast<uint32_t>(model.num_classes()))
    return invalid_argument("class {} does not exist; the model has classes 0 to {}", options.label,
                            model.num_classes() - 1);
  if (image.rank() != 3 || image[2] != model.network.signature().in_channels)
    return invalid_argument("the images are {}, the model has {} channels", image.to_string(),
                            model.network.signature().in_channels);
  ITO_TRY(model.network.check_size(image[0], image[1]));
  for (const auto* values : {&a, &b}) {
    if (static_cast<int64_t>(values->size()) != image.numel())
      return invalid_argument("an image has {} numbers, expected {}", values->size(),
                              image.to_string());
  }
  return {};
}

class Interpolation {
 public:
  Interpolation(vk::Device& device, const Model& model, const Shape& image,
                const InterpolationOptions& options, const InterpolationProgress& progress)
      : device_(device), model_(model), image_(image), options_(options), progress_(progress) {}

  Result<std::vector<float>> run(const std::vector<float>& a, const std::vector<float>& b) {
    if (options_.method == "flow") return along_flow(a, b);
    ITO_ASSIGN(network_, model_.network.for_device(device_.caps()));
    ITO_ASSIGN(weights_, DeviceWeights::upload(device_, network_.set(), model_.weights));
    return options_.method == "noise" ? through_noise(a, b) : through_latents(a, b);
  }

 private:
  Result<Solver> solver(const char* name) const {
    return make_solver(name, model_.scheduler, {.steps = options_.steps});
  }
  Shape batch(int64_t n) const { return {n, image_[0], image_[1], image_[2]}; }
  bool go_on() { return !progress_ || progress_(++done_, in_all_); }

  // All steps of the sampler from x [n, ...].
  Result<std::vector<float>> run_solver(const Solver& solver, const std::vector<float>& x) {
    const int64_t n = static_cast<int64_t>(x.size()) / image_.numel();
    const Method method = solver_method(solver, input_denoiser(network_));
    ITO_ASSIGN(Plan plan, compile(method_program(method, {.shape = batch(n)}), device_.caps()));
    ITO_ASSIGN(const auto executor, Executor::create(device_, std::move(plan)));
    ITO_TRY(weights_.bind(*executor));
    ITO_TRY(executor->write(sampling_names::kX, x));
    const size_t count = static_cast<size_t>(n);
    if (executor->plan().find_external(sampling_names::kImage) >= 0)
      ITO_TRY(executor->write(sampling_names::kImage, std::vector<uint32_t>(count, options_.seed)));
    if (model_.num_classes() > 0)
      ITO_TRY(executor->write(batch_name::kLabels, std::vector<uint32_t>(count, options_.label)));
    DivergenceWatch watch(*executor, method.name);
    ITO_TRY(watch.start());
    for (int i = 0; i < method.steps; ++i) {
      ITO_TRY(executor->run());
      if (!go_on()) return interrupted("interpolation was stopped");
      ITO_TRY(watch.look());
    }
    ITO_TRY(watch.finish());
    return executor->read<float>(sampling_names::kX);
  }

  std::vector<float> mix(const std::vector<float>& a, const std::vector<float>& b,
                         bool spherical) const {
    std::vector<float> all;
    for (int i = 0; i < options_.points; ++i) {
      const double lambda = static_cast<double>(i) / (options_.points - 1);
      std::vector<float> point = a;
      if (spherical) {
        point = slerp(a, b, lambda);
      } else {
        for (size_t k = 0; k < a.size(); ++k)
          point[k] = static_cast<float>((1 - lambda) * double{a[k]} + lambda * double{b[k]});
      }
      all.insert(all.end(), point.begin(), point.end());
    }
    return all;
  }

  static std::vector<float> joined(std::vector<float> a, const std::vector<float>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }
  // Of two latents, one after the other.
  std::vector<float> mix_latents(const std::vector<float>& ends) const {
    const auto middle = ends.begin() + image_.numel();
    return mix({ends.begin(), middle}, {middle, ends.end()}, /*spherical=*/true);
  }

  // With one noise for both, noising and mixing may change places: the mixed images are noised.
  Result<std::vector<float>> through_noise(const std::vector<float>& a,
                                           const std::vector<float>& b) {
    ITO_ASSIGN(const Solver whole, solver("ddpm"));
    const int first = first_step_for_strength(whole.steps(), options_.strength);
    if (first == whole.steps())
      return invalid_argument("strength {} of {} steps leaves no step to run", options_.strength,
                              whole.steps());
    const Solver rest = whole.from(first);
    in_all_ = rest.steps();
    const SolverRow& row = rest.rows.front();
    ITO_ASSIGN(Plan plan, compile(forward_noise_program(batch(options_.points), row.mean, row.std),
                                  device_.caps()));
    ITO_ASSIGN(const auto noise, Executor::create(device_, std::move(plan)));
    ITO_TRY(noise->write(sampling_names::kX, mix(a, b, /*spherical=*/false)));
    ITO_TRY(
        noise->write(sampling_names::kImage,
                     std::vector<uint32_t>(static_cast<size_t>(options_.points), options_.seed)));
    ITO_TRY(noise->run());
    ITO_ASSIGN(const std::vector<float> x, noise->read<float>(sampling_names::kX));
    return run_solver(rest, x);
  }

  Result<std::vector<float>> through_latents(const std::vector<float>& a,
                                             const std::vector<float>& b) {
    ITO_ASSIGN(const Solver encode, solver("ddim_inverse"));
    ITO_ASSIGN(const Solver decode, solver("ddim"));
    in_all_ = encode.steps() + decode.steps();
    ITO_ASSIGN(const std::vector<float> ends, run_solver(encode, joined(a, b)));
    return run_solver(decode, mix_latents(ends));
  }

  // One session, compiled once, serves both directions: an image does not depend on its batch.
  Result<std::vector<float>> along_flow(const std::vector<float>& a, const std::vector<float>& b) {
    constexpr int kLargestBatch = 16;
    ITO_ASSIGN(const ModelFlow flow, model_flow(model_));
    if (flow.image != image_)
      return invalid_argument("the images are {}, those of the model's flow {}", image_.to_string(),
                              flow.image.to_string());
    const int64_t batch = std::min(options_.points, kLargestBatch);
    ITO_ASSIGN(const auto session,
               FlowSession::create(device_, flow, {.ode = options_.ode, .batch = batch}));
    const auto labels = [&](size_t count) {
      return std::vector<uint32_t>(flow.classes > 0 ? count : 0, options_.label);
    };
    const auto after_attempt = [this] { return go_on(); };
    ITO_ASSIGN(const std::vector<float> ends,
               session->encode(joined(a, b), labels(2), after_attempt));
    const std::vector<float> latents = mix_latents(ends);
    const size_t row = a.size(), part = static_cast<size_t>(batch) * row;
    std::vector<float> images;
    for (size_t at = 0; at < latents.size(); at += part) {
      const auto some = std::span(latents).subspan(at, std::min(part, latents.size() - at));
      ITO_ASSIGN(const std::vector<float> decoded,
                 session->decode(some, labels(some.size() / row), after_attempt));
      images.insert(images.end(), decoded.begin(), decoded.end());
    }
    return images;
  }

  vk::Device& device_;
  const Model& model_;
  const Shape image_;
  const InterpolationOptions& options_;
  const InterpolationProgress& progress_;
  Network network_;
  DeviceWeights weights_;
  int done_ = 0, in_all_ = 0;
};

}  // namespace

std::vector<float> slerp(const std::vector<float>& a, const std::vector<float>& b, double lambda) {
  double aa = 0, bb = 0, ab = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
    ab += double{a[i]} * b[i];
  }
  const double cosine = std::clamp(ab / std::sqrt(aa * bb), -1.0, 1.0);
  double on_a = 1 - lambda, on_b = lambda;
  constexpr double kParallel = 1 - 1e-9;
  if (std::fabs(cosine) < kParallel) {
    const double angle = std::acos(cosine);
    on_a = std::sin((1 - lambda) * angle) / std::sin(angle);
    on_b = std::sin(lambda * angle) / std::sin(angle);
  }
  std::vector<float> point;
  for (size_t i = 0; i < a.size(); ++i)
    point.push_back(static_cast<float>(on_a * a[i] + on_b * b[i]));
  return point;
}

Result<std::vector<float>> interpolate(vk::Device& device, const Model& model, const Shape& image,
                                       const std::vector<float>& a, const std::vector<float>& b,
                                       const InterpolationOptions& options,
                                       const InterpolationProgress& progress) {
  ITO_TRY(check(model, image, a, b, options));
  return Interpolation(device, model, image, options, progress).run(a, b);
}

}  // namespace ito
