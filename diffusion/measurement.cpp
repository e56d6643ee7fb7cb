#include "diffusion/measurement.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "graph/builder.h"

namespace ito {
namespace {

constexpr double kLeastGain = 1e-4;

Status check_image(const Shape& image) {
  if (image.rank() != 3)
    return invalid_argument("a measurement is of images [h,w,c], found {}", image.to_string());
  return {};
}

double sum_of(const std::vector<double>& values) {
  double sum = 0;
  for (double value : values) sum += value;
  return sum;
}

// Rows: the orthonormal DCT-II of each run of k numbers; block diagonal [size, size].
std::vector<double> block_cosines(int64_t size, int64_t k) {
  std::vector<double> matrix(static_cast<size_t>(size * size), 0);
  for (int64_t row = 0; row < size; ++row) {
    const int64_t frequency = row % k, first = row - frequency;
    const double norm = std::sqrt((frequency == 0 ? 1.0 : 2.0) / static_cast<double>(k));
    for (int64_t j = 0; j < k; ++j)
      matrix[static_cast<size_t>(row * size + first + j)] =
          norm * std::cos(std::numbers::pi * static_cast<double>(frequency) *
                          (static_cast<double>(j) + 0.5) / static_cast<double>(k));
  }
  return matrix;
}

// The frequency of row i of the real Fourier transform: constant, then cosine and sine of 1, 2, ...
int64_t fourier_frequency(int64_t row) { return (row + 1) / 2; }

// Rows: the orthonormal real Fourier transform [size, size].
std::vector<double> real_fourier(int64_t size) {
  std::vector<double> matrix;
  const double n = static_cast<double>(size);
  for (int64_t row = 0; row < size; ++row) {
    const int64_t frequency = fourier_frequency(row);
    const bool alone = frequency == 0 || 2 * frequency == size;
    for (int64_t j = 0; j < size; ++j) {
      const double angle = 2 * std::numbers::pi * static_cast<double>(frequency * j % size) / n;
      matrix.push_back(std::sqrt((alone ? 1 : 2) / n) *
                       (row % 2 == 1 || row == 0 ? std::cos(angle) : std::sin(angle)));
    }
  }
  return matrix;
}

// What a symmetric periodic convolution does to each row of real_fourier(size).
std::vector<double> transfer(const std::vector<double>& kernel, int64_t size) {
  std::vector<double> gains;
  const int64_t half = static_cast<int64_t>(kernel.size()) / 2;
  for (int64_t row = 0; row < size; ++row) {
    double gain = 0;
    for (int64_t d = -half; d <= half; ++d)
      gain += kernel[static_cast<size_t>(d + half)] *
              std::cos(2 * std::numbers::pi * static_cast<double>(fourier_frequency(row) * d) /
                       static_cast<double>(size));
    gains.push_back(gain);
  }
  return gains;
}

// matrix [m,m] (or its transpose) times x along `axis`.
Tensor along_axis(Tensor x, int axis, const std::vector<double>& matrix, bool transposed) {
  const int64_t m = x.dim(axis);
  const Tensor weight = constant(x.graph(), {m, m}, matrix);
  const int last = x.rank() - 1;
  const Tensor moved = axis == last ? x : transpose(x, axis, last);
  const Tensor flat = reshape(moved, {x.shape().numel() / m, m});
  const Tensor y = reshape(matmul(flat, weight, false, !transposed), moved.shape());
  return axis == last ? y : transpose(y, axis, last);
}

}  // namespace

Result<Measurement> Measurement::mask(const Shape& image, const std::vector<float>& mask) {
  ITO_TRY(check_image(image));
  const int64_t pixels = image[0] * image[1], c = image[2];
  const int64_t count = static_cast<int64_t>(mask.size());
  if (count != pixels && count != pixels * c)
    return invalid_argument("the mask has {} numbers, expected {} ({}x{}) or one for each channel",
                            count, pixels, image[0], image[1]);
  Measurement m;
  m.image_ = m.observation_ = image;
  for (int64_t i = 0; i < pixels * c; ++i) {
    const int64_t at = count == pixels ? i / c : i;
    const float value = mask[static_cast<size_t>(at)];
    if (value != 0 && value != 1)
      return invalid_argument("the mask is {} at number {}, expected 0 (to fill) or 1 (observed)",
                              value, at);
    m.singular_.push_back(value);
  }
  if (sum_of(m.singular_) == 0) return invalid_argument("the mask observes no pixel");
  return m;
}

Result<Measurement> Measurement::luminance(const Shape& image) {
  ITO_TRY(check_image(image));
  if (image[2] != 3)
    return invalid_argument("colourisation needs images of 3 channels, found {}", image[2]);
  Measurement m;
  m.image_ = image;
  m.observation_ = {image[0], image[1], 1};
  // Luminance, red against blue, green against both.
  const double a = 1 / std::sqrt(3.0), b = 1 / std::sqrt(2.0), d = 1 / std::sqrt(6.0);
  m.colours_ = {a, a, a, b, 0, -b, -d, 2 * d, -d};
  for (int64_t i = 0; i < image[0] * image[1]; ++i)
    m.singular_.insert(m.singular_.end(), {1, 0, 0});
  return m;
}

Result<Measurement> Measurement::downsample(const Shape& image, int k) {
  ITO_TRY(check_image(image));
  if (k < 2) return invalid_argument("the down-sampling factor is {}, expected 2 or more", k);
  if (image[0] % k != 0 || image[1] % k != 0)
    return invalid_argument("the down-sampling factor {} does not divide {}x{}", k, image[0],
                            image[1]);
  Measurement m;
  m.image_ = image;
  m.observation_ = {image[0] / k, image[1] / k, image[2]};
  m.rows_ = block_cosines(image[0], k);
  m.columns_ = block_cosines(image[1], k);
  m.stride_ = k;
  for (int64_t i = 0; i < image[0]; ++i)
    for (int64_t j = 0; j < image[1]; ++j)
      m.singular_.insert(m.singular_.end(), static_cast<size_t>(image[2]),
                         i % k == 0 && j % k == 0 ? 1.0 / k : 0.0);
  return m;
}

Result<Measurement> Measurement::blur(const Shape& image, const std::vector<double>& kernel) {
  ITO_TRY(check_image(image));
  const size_t length = kernel.size();
  if (length % 2 == 0)
    return invalid_argument("the blur's kernel has {} numbers, expected an odd count", length);
  if (static_cast<int64_t>(length) > std::min(image[0], image[1]))
    return invalid_argument("the blur's kernel has {} numbers, more than {}x{} images are wide",
                            length, image[0], image[1]);
  double largest = 0;
  for (size_t i = 0; i < length; ++i) {
    if (!std::isfinite(kernel[i]))
      return invalid_argument("the blur's kernel is {} at number {}, expected a finite number",
                              kernel[i], i);
    largest = std::max(largest, std::fabs(kernel[i]));
    if (kernel[i] != kernel[length - 1 - i])
      return invalid_argument("the blur's kernel is not symmetric: {} and {}", kernel[i],
                              kernel[length - 1 - i]);
  }
  if (std::fabs(sum_of(kernel)) <= kLeastGain * largest)
    return invalid_argument("the blur's kernel sums to {}: it loses the brightness of the image",
                            sum_of(kernel));
  Measurement m;
  m.image_ = m.observation_ = image;
  m.rows_ = real_fourier(image[0]);
  m.columns_ = real_fourier(image[1]);
  const std::vector<double> down = transfer(kernel, image[0]), across = transfer(kernel, image[1]);
  double most = 0;
  for (double row : down)
    for (double column : across) most = std::max(most, std::fabs(row * column));
  for (double row : down)
    for (double column : across) {
      const double gain = row * column;
      m.singular_.insert(m.singular_.end(), static_cast<size_t>(image[2]),
                         std::fabs(gain) < kLeastGain * most ? 0 : gain);
    }
  return m;
}

Tensor Measurement::transform(Tensor x, bool inverse) const {
  CHECK(x.rank() == 4 && (Shape{x.dim(1), x.dim(2), x.dim(3)}) == image_,
        "a measurement of " + image_.to_string() + " met " + x.shape().to_string());
  if (!rows_.empty()) x = along_axis(x, 1, rows_, inverse);
  if (!columns_.empty()) x = along_axis(x, 2, columns_, inverse);
  if (!colours_.empty()) x = along_axis(x, 3, colours_, inverse);
  return x;
}

Tensor Measurement::analyse(Tensor x) const { return transform(x, /*inverse=*/false); }
Tensor Measurement::synthesise(Tensor coefficients) const {
  return transform(coefficients, /*inverse=*/true);
}

Tensor Measurement::diagonal(Graph& graph, bool inverse) const {
  std::vector<double> values = singular_;
  if (inverse)
    for (double& value : values) value = value == 0 ? 0 : 1 / value;
  return constant(graph, {1, image_[0], image_[1], image_[2]}, std::move(values));
}

Tensor Measurement::embed(Tensor y) const {
  CHECK(y.rank() == 4 && (Shape{y.dim(1), y.dim(2), y.dim(3)}) == observation_,
        "an observation of " + observation_.to_string() + " met " + y.shape().to_string());
  if (stride_ > 1)
    return pad(y, {0, 0, 0, 0}, {0, stride_ - 1, stride_ - 1, 0}, 0,
               {0, stride_ - 1, stride_ - 1, 0});
  if (observation_[2] < image_[2]) return pad(y, {0, 0, 0, 0}, {0, 0, 0, image_[2] - 1});
  return rows_.empty() ? y : transform(y, /*inverse=*/false);  // a blur has U = V
}

Tensor Measurement::restrict(Tensor values) const {
  const int64_t n = values.dim(0);
  if (stride_ > 1)
    return slice(values, {0, 0, 0, 0}, {n, image_[0], image_[1], image_[2]},
                 {1, stride_, stride_, 1});
  if (observation_[2] < image_[2]) return slice_axis(values, 3, 0, 1);
  return rows_.empty() ? values : transform(values, /*inverse=*/true);
}

Tensor Measurement::apply(Tensor x) const {
  return restrict(analyse(x) * diagonal(x.graph(), /*inverse=*/false));
}
Tensor Measurement::adjoint(Tensor y) const {
  return synthesise(embed(y) * diagonal(y.graph(), /*inverse=*/false));
}
Tensor Measurement::observed_coefficients(Tensor y) const {
  return embed(y) * diagonal(y.graph(), /*inverse=*/true);
}

std::vector<double> box_kernel(int k) {
  return std::vector<double>(static_cast<size_t>(k), 1.0 / k);
}

std::vector<double> gaussian_kernel(double deviation, int64_t size) {
  const int64_t half = std::min(static_cast<int64_t>(std::ceil(4 * deviation)), (size - 1) / 2);
  std::vector<double> kernel;
  for (int64_t d = -half; d <= half; ++d)
    kernel.push_back(std::exp(-0.5 * static_cast<double>(d * d) / (deviation * deviation)));
  const double total = sum_of(kernel);
  for (double& value : kernel) value /= total;
  return kernel;
}

}  // namespace ito
