#include "statistics/frechet.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "base/error.h"

namespace ito {
namespace {

constexpr int kMaxSweeps = 60;  // quadratic convergence: ten do for any matrix met in practice

size_t at(int64_t row, int64_t column, int64_t n) { return static_cast<size_t>(row * n + column); }

double off_diagonal(const std::vector<double>& a, int64_t n) {
  double sum = 0;
  for (int64_t p = 0; p < n; ++p)
    for (int64_t q = 0; q < n; ++q)
      if (p != q) sum += a[at(p, q, n)] * a[at(p, q, n)];
  return sum;
}

// Rotates rows and columns p and q so that a[p][q] becomes 0; rows of `vectors` go along.
void rotate(std::vector<double>& a, std::vector<double>& vectors, int64_t p, int64_t q, int64_t n) {
  const double apq = a[at(p, q, n)];
  if (apq == 0) return;
  const double tau = (a[at(q, q, n)] - a[at(p, p, n)]) / (2 * apq);
  const double t = (tau >= 0 ? 1 : -1) / (std::abs(tau) + std::hypot(1.0, tau));
  const double c = 1 / std::hypot(1.0, t), s = t * c;
  for (int64_t k = 0; k < n; ++k) {
    const double kp = a[at(k, p, n)], kq = a[at(k, q, n)];
    a[at(k, p, n)] = c * kp - s * kq;
    a[at(k, q, n)] = s * kp + c * kq;
  }
  for (int64_t k = 0; k < n; ++k) {
    const double pk = a[at(p, k, n)], qk = a[at(q, k, n)];
    a[at(p, k, n)] = c * pk - s * qk;
    a[at(q, k, n)] = s * pk + c * qk;
    const double vp = vectors[at(p, k, n)], vq = vectors[at(q, k, n)];
    vectors[at(p, k, n)] = c * vp - s * vq;
    vectors[at(q, k, n)] = s * vp + c * vq;
  }
}

std::vector<double> multiply(const std::vector<double>& a, const std::vector<double>& b,
                             int64_t n) {
  std::vector<double> product(a.size(), 0.0);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < n; ++k)
      for (int64_t j = 0; j < n; ++j) product[at(i, j, n)] += a[at(i, k, n)] * b[at(k, j, n)];
  return product;
}

// Eigenvalues of a covariance below zero are rounding.
double root(double eigenvalue) { return std::sqrt(std::max(eigenvalue, 0.0)); }

std::vector<double> matrix_root(const std::vector<double>& matrix, int64_t n) {
  const SymmetricEigen eigen = symmetric_eigen(matrix, n);
  std::vector<double> result(matrix.size(), 0.0);
  for (int64_t e = 0; e < n; ++e) {
    const double r = root(eigen.values[static_cast<size_t>(e)]);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j)
        result[at(i, j, n)] += r * eigen.vectors[at(e, i, n)] * eigen.vectors[at(e, j, n)];
  }
  return result;
}

double trace(const std::vector<double>& matrix, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += matrix[at(i, i, n)];
  return sum;
}

}  // namespace

SymmetricEigen symmetric_eigen(std::vector<double> matrix, int64_t n) {
  CHECK(matrix.size() == static_cast<size_t>(n * n), "symmetric_eigen: not a square matrix");
  std::vector<double> vectors(matrix.size(), 0.0);
  for (int64_t i = 0; i < n; ++i) vectors[at(i, i, n)] = 1;
  double scale = 0;
  for (double value : matrix) scale += value * value;
  for (int sweep = 0; sweep < kMaxSweeps && off_diagonal(matrix, n) > 1e-30 * scale; ++sweep)
    for (int64_t p = 0; p < n; ++p)
      for (int64_t q = p + 1; q < n; ++q) rotate(matrix, vectors, p, q, n);
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return matrix[at(a, a, n)] < matrix[at(b, b, n)]; });
  SymmetricEigen eigen;
  for (int64_t i : order) {
    eigen.values.push_back(matrix[at(i, i, n)]);
    for (int64_t k = 0; k < n; ++k) eigen.vectors.push_back(vectors[at(i, k, n)]);
  }
  return eigen;
}

FeatureStatistics::FeatureStatistics(int64_t features)
    : features_(features),
      sum_(static_cast<size_t>(features), 0.0),
      products_(static_cast<size_t>(features * features), 0.0) {}

void FeatureStatistics::add(std::span<const float> vectors) {
  const size_t n = static_cast<size_t>(features_);
  CHECK(vectors.size() % n == 0, "features: no whole number of vectors");
  std::vector<double> x(n);
  for (size_t first = 0; first < vectors.size(); first += n) {
    if (origin_.empty())
      origin_.assign(vectors.begin(), vectors.begin() + static_cast<std::ptrdiff_t>(n));
    for (size_t i = 0; i < n; ++i) {
      x[i] = double{vectors[first + i]} - origin_[i];
      sum_[i] += x[i];
    }
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j) products_[i * n + j] += x[i] * x[j];
    ++count_;
  }
}

// Moments about another's origin: x - o = (x - o') + (o' - o).
void FeatureStatistics::add_about(const FeatureStatistics& other, double sign) {
  CHECK(other.features_ == features_, "features: vectors of another length");
  if (other.count_ == 0) return;
  if (origin_.empty()) origin_ = other.origin_;
  const size_t n = static_cast<size_t>(features_);
  const double count = static_cast<double>(other.count_);
  std::vector<double> shift(n);
  for (size_t i = 0; i < n; ++i) shift[i] = other.origin_[i] - origin_[i];
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j)
      products_[i * n + j] += sign * (other.products_[i * n + j] + other.sum_[i] * shift[j] +
                                      shift[i] * other.sum_[j] + count * shift[i] * shift[j]);
  for (size_t i = 0; i < n; ++i) sum_[i] += sign * (other.sum_[i] + count * shift[i]);
}

void FeatureStatistics::add(const FeatureStatistics& other) {
  add_about(other, 1);
  count_ += other.count_;
}

void FeatureStatistics::remove(const FeatureStatistics& other) {
  CHECK(other.count_ <= count_, "features: more vectors are taken away than there are");
  add_about(other, -1);
  count_ -= other.count_;
}

std::vector<double> FeatureStatistics::mean() const {
  CHECK(count_ >= 1, "features: no vectors");
  std::vector<double> mean = origin_;
  for (size_t i = 0; i < mean.size(); ++i) mean[i] += sum_[i] / static_cast<double>(count_);
  return mean;
}

std::vector<double> FeatureStatistics::covariance() const {
  CHECK(count_ >= 2, "features: no covariance of fewer than two vectors");
  std::vector<double> covariance = products_;
  const double count = static_cast<double>(count_);
  const size_t n = static_cast<size_t>(features_);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j)
      covariance[i * n + j] = (covariance[i * n + j] - sum_[i] * sum_[j] / count) / (count - 1);
  return covariance;
}

Result<double> frechet_distance(const FeatureStatistics& a, const FeatureStatistics& b) {
  if (a.features() != b.features())
    return invalid_argument("sets of {} and of {} features have no distance", a.features(),
                            b.features());
  if (a.count() < 2 || b.count() < 2)
    return invalid_argument(
        "a Frechet distance needs at least two images in each set, found {} "
        "and {}",
        a.count(), b.count());
  const int64_t n = a.features();
  const std::vector<double> mean_a = a.mean(), mean_b = b.mean();
  const std::vector<double> cov_a = a.covariance(), cov_b = b.covariance();
  double distance = trace(cov_a, n) + trace(cov_b, n);
  for (size_t i = 0; i < mean_a.size(); ++i)
    distance += (mean_a[i] - mean_b[i]) * (mean_a[i] - mean_b[i]);
  if (!std::isfinite(distance)) return diverged("the features of an image are not finite");
  const std::vector<double> root_a = matrix_root(cov_a, n);
  const SymmetricEigen cross = symmetric_eigen(multiply(multiply(root_a, cov_b, n), root_a, n), n);
  for (double value : cross.values) distance -= 2 * root(value);
  return distance;
}

Result<MeanAndError> frechet_distance(const FeatureSet& samples, const FeatureStatistics& reference,
                                      int64_t blocks) {
  const auto ranges = blocks_of(samples.count(), blocks);
  FeatureStatistics all(samples.features());
  std::vector<FeatureStatistics> parts;
  for (const auto& [first, last] : ranges) {
    parts.emplace_back(samples.features()).add(samples.vectors(first, last));
    all.add(parts.back());
  }
  ITO_ASSIGN(const double whole, frechet_distance(all, reference));
  std::vector<double> without;
  for (const FeatureStatistics& part : parts) {
    if (all.count() - part.count() < 2) return MeanAndError{.mean = whole};
    FeatureStatistics rest = all;
    rest.remove(part);
    ITO_ASSIGN(const double distance, frechet_distance(rest, reference));
    without.push_back(distance);
  }
  return jackknife(whole, without);
}

}  // namespace ito
