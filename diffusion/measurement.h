// Measurement: a linear observation y = A x + n, n ~ N(0, σ² I), of an image: a mask, the luminance
// of a colour image, a blur, a down-sampling. Each has a known singular value decomposition
// A = U S Vᵀ with a fast orthogonal V, in whose coordinates every linear problem is inpainting:
// some coefficients are known, the others are not (Song et al. 2021, appendix I; Kawar et al.
// 2022). Not what samplers do with it (diffusion/constraint.h).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/shape.h"
#include "graph/graph.h"

namespace ito {

class Measurement {
 public:
  // Inpainting. mask holds h w or h w c numbers, 1 where a pixel is observed and 0 where it is not;
  // y is the image, of which the unobserved pixels do not count. V = I: observed pixels stay what
  // they are to the last bit. Errors: another size, a number that is neither 0 nor 1 (or not
  // finite), a mask that observes nothing.
  static Result<Measurement> mask(const Shape& image, const std::vector<float>& mask);

  // Colourisation. y [h,w,1] = u·x with the unit vector u = (1, 1, 1)/√3; V rotates the channels so
  // that u is the first axis. Errors: an image without three channels.
  static Result<Measurement> luminance(const Shape& image);

  // y [h/k,w/k,c] = the means over blocks of k x k pixels: A Aᵀ = I/k². V is a discrete cosine
  // transform within each block. Errors: k < 2, or one that does not divide height and width.
  static Result<Measurement> downsample(const Shape& image, int k);

  // y [h,w,c] = x convolved along both axes with a symmetric kernel of odd length, with periodic
  // borders. V is the real Fourier transform. Frequencies that the blur leaves less than 1e-4 of
  // are not observed. Errors: an even or too long or asymmetric kernel, a number that is not
  // finite, a kernel that sums to 0 (which would lose the brightness).
  static Result<Measurement> blur(const Shape& image, const std::vector<double>& kernel);

  const Shape& image() const { return image_; }              // [h,w,c] of x
  const Shape& observation() const { return observation_; }  // of y, without the image axis
  // S as the diagonal acting on coefficients [h,w,c]; 0 where nothing is observed.
  const std::vector<double>& singular() const { return singular_; }

  // Vᵀ x and V c: orthogonal, f32 [n,h,w,c] → the same shape.
  Tensor analyse(Tensor x) const;
  Tensor synthesise(Tensor coefficients) const;

  // A x and Aᵀ y; x [n,h,w,c], y [n, observation...].
  Tensor apply(Tensor x) const;
  Tensor adjoint(Tensor y) const;
  // S⁺ Uᵀ y, of which V makes A⁺ y: the coefficients of x that y tells, zero elsewhere.
  Tensor observed_coefficients(Tensor y) const;

 private:
  Tensor transform(Tensor x, bool inverse) const;
  Tensor diagonal(Graph& graph, bool inverse) const;
  Tensor embed(Tensor y) const;          // Uᵀ y in the place of its coefficients
  Tensor restrict(Tensor values) const;  // U of what stands there

  Shape image_, observation_;
  std::vector<double> singular_;                  // [h,w,c]
  std::vector<double> rows_, columns_, colours_;  // Vᵀ along h, w, c; empty: identity
  int stride_ = 1;                                // y's pixels are every stride-th coefficient
};

// k numbers 1/k, k odd; and exp(-d²/2 deviation²) normalised, cut at four deviations (or at half of
// `size`, the smaller side of the image).
std::vector<double> box_kernel(int k);
std::vector<double> gaussian_kernel(double deviation, int64_t size);

}  // namespace ito
