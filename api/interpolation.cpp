#include "api/interpolation.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "api/flow.h"
#include "api/sampling.h"
#include "api/task.h"
#include "base/error.h"
#include "base/integer.h"
#include "base/name_list.h"

namespace ito {
namespace {

constexpr int kLargestBatch = 16;

Status check(const Model& model, const Shape& image, const std::vector<float>& a,
             const std::vector<float>& b, const InterpolationOptions& options) {
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

std::vector<float> both_ends(std::vector<float> a, const std::vector<float>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<float> lerp(const std::vector<float>& a, const std::vector<float>& b, double lambda) {
  std::vector<float> point = a;
  for (size_t k = 0; k < a.size(); ++k)
    point[k] = static_cast<float>((1 - lambda) * double{a[k]} + lambda * double{b[k]});
  return point;
}

}  // namespace

// What the methods share.
class Interpolation {
 public:
  Interpolation(vk::Device& device, const Model& model, const Shape& image,
                const InterpolationOptions& options, const InterpolationProgress& progress)
      : device_(device), model_(model), image_(image), options_(options), progress_(progress) {}

  const InterpolationOptions& options() const { return options_; }
  size_t points() const { return static_cast<size_t>(options_.points); }
  // Steps of all that will be run, for the progress.
  void expect(int64_t steps) { in_all_ = static_cast<int>(steps); }

  // All points on the way between two ends [2, h, w, c].
  template <typename Mix>
  std::vector<float> mix(const std::vector<float>& ends, const Mix& at) const {
    const auto middle = ends.begin() + image_.numel();
    const std::vector<float> a(ends.begin(), middle), b(middle, ends.end());
    std::vector<float> all;
    for (int i = 0; i < options_.points; ++i) {
      const std::vector<float> point = at(a, b, static_cast<double>(i) / (options_.points - 1));
      all.insert(all.end(), point.begin(), point.end());
    }
    return all;
  }

  // A session of the sampler for up to `rows` images.
  Result<std::unique_ptr<SamplingSession>> session(const char* sampler, size_t rows,
                                                   std::optional<InitialImage> initial = {}) {
    if (!uploaded_) {
      ITO_ASSIGN(network_, model_.network.for_device(device_.caps()));
      ITO_ASSIGN(weights_, DeviceWeights::upload(device_, network_.set(), model_.weights));
      uploaded_ = true;
    }
    SampleOptions options;
    options.sampler = sampler;
    options.steps = options_.steps;
    options.batch = static_cast<int64_t>(std::min<size_t>(rows, kLargestBatch));
    options.height = static_cast<int>(image_[0]);
    options.width = static_cast<int>(image_[1]);
    options.initial = std::move(initial);
    return SamplingSession::create(device_, network_, model_.scheduler, weights_, options);
  }
  // Replays of a session over so many images.
  static int64_t replays(const SamplingSession& session, size_t rows) {
    const int64_t batch = session.batch();
    return ceil_div(static_cast<int64_t>(rows), batch) * session.steps();
  }

  // The session's images from x [rows, h, w, c], a batch at a time.
  Result<std::vector<float>> run(SamplingSession& session, const std::vector<float>& x) {
    return in_batches(x, session.batch(), [&](std::span<const float> some, size_t rows) {
      const std::vector<SampleRequest> requests(rows,
                                                {.seed = options_.seed, .label = options_.label});
      return session.sample_from(some, requests, [this] { return go_on(); });
    });
  }

  Result<std::vector<float>> along_flow(const std::vector<float>& ends) {
    ITO_ASSIGN(const ModelFlow flow, model_flow(model_));
    if (flow.image != image_)
      return invalid_argument("the images are {}, those of the model's flow {}", image_.to_string(),
                              flow.image.to_string());
    const int64_t batch = std::min(options_.points, kLargestBatch);
    ITO_ASSIGN(const auto session,
               FlowCoder::create(device_, flow, {.ode = options_.ode, .batch = batch}));
    const auto labels = [&](size_t count) {
      return std::vector<uint32_t>(flow.classes > 0 ? count : 0, options_.label);
    };
    const auto after_attempt = [this] { return go_on(); };
    ITO_ASSIGN(const std::vector<float> latents, session->encode(ends, labels(2), after_attempt));
    return in_batches(mix(latents, slerp), batch, [&](std::span<const float> some, size_t rows) {
      return session->decode(some, labels(rows), after_attempt);
    });
  }

 private:
  bool go_on() { return !progress_ || progress_(++done_, in_all_); }

  template <typename Part>
  Result<std::vector<float>> in_batches(const std::vector<float>& x, int64_t batch,
                                        const Part& part) {
    const size_t row = static_cast<size_t>(image_.numel());
    std::vector<float> images;
    for (size_t at = 0; at < x.size(); at += static_cast<size_t>(batch) * row) {
      const auto some =
          std::span(x).subspan(at, std::min(static_cast<size_t>(batch) * row, x.size() - at));
      ITO_ASSIGN(const std::vector<float> done, part(some, some.size() / row));
      images.insert(images.end(), done.begin(), done.end());
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
  bool uploaded_ = false;
  int done_ = 0, in_all_ = 0;
};

namespace {

Result<std::vector<float>> by_latents(Interpolation& work, const std::vector<float>& a,
                                      const std::vector<float>& b) {
  ITO_ASSIGN(const auto encode, work.session("ddim-inverse", 2));
  ITO_ASSIGN(const auto decode, work.session("ddim", work.points()));
  work.expect(Interpolation::replays(*encode, 2) + Interpolation::replays(*decode, work.points()));
  ITO_ASSIGN(const std::vector<float> ends, work.run(*encode, both_ends(a, b)));
  return work.run(*decode, work.mix(ends, slerp));
}

// With one noise for all, noising and mixing may change places: the mixed images are noised.
Result<std::vector<float>> by_noise(Interpolation& work, const std::vector<float>& a,
                                    const std::vector<float>& b) {
  ITO_ASSIGN(const auto decode,
             work.session("ddpm", work.points(),
                          InitialImage{.picture = {}, .strength = work.options().strength}));
  work.expect(Interpolation::replays(*decode, work.points()));
  return work.run(*decode, work.mix(both_ends(a, b), lerp));
}

Result<std::vector<float>> by_flow(Interpolation& work, const std::vector<float>& a,
                                   const std::vector<float>& b) {
  return work.along_flow(both_ends(a, b));
}

constexpr InterpolationRow kMethods[] = {
    {{"latent", "inverted DDIM, its latents mixed on the great circle, decoded by DDIM",
      "Song, Meng, Ermon 2021, section 5.3", ""},
     "steps",
     by_latents},
    {{"noise", "noise that all share, mixed linearly, decoded by DDPM",
      "Ho et al. 2020, section 4.3", ""},
     "steps strength seed",
     by_noise},
    {{"flow", "as latent, by the probability flow and an adaptive Runge-Kutta method",
      "Song et al. 2021, section 4.3", ""},
     "rtol atol",
     by_flow},
};

}  // namespace

std::span<const InterpolationRow> interpolation_rows() { return kMethods; }

bool interpolation_uses(const std::string& method, std::string_view option) {
  const InterpolationRow* row = find_row(interpolation_rows(), method);
  return row != nullptr && lists(row->options, option);
}

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
  ITO_ASSIGN(const InterpolationRow* row,
             row_called(interpolation_rows(), options.method, "--method"));
  ITO_TRY(check(model, image, a, b, options));
  Interpolation work(device, model, image, options, progress);
  return row->between(work, a, b);
}

}  // namespace ito
