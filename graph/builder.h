// The mathematics as functions on Tensor. Elementwise functions broadcast as numpy does (trailing
// axes aligned) and keep dtype; wrong shapes are our own bugs here (CHECK names both shapes).
// Images are [n,h,w,c], convolution weights [kh,kw,ci,co], linear weights [in,out].
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"
#include "graph/port.h"

namespace ito {

// Leaves.
Tensor input(Graph& graph, std::string name, Shape shape, DType dtype = DType::kF32);
// An input that changes seldom: what depends on such ones alone is computed when they have changed,
// not at every replay (passes/prologue.h).
Tensor parameter_input(Graph& graph, std::string name, Shape shape, DType dtype = DType::kF32);
template <typename T, typename Name>
Tensor input(Graph& graph, const Port<T, Name>& port, Shape shape) {
  return input(graph, std::string(port.name), std::move(shape), kPortType<T>);
}
Tensor constant(Graph& graph, Shape shape, std::vector<double> data, DType dtype = DType::kF32);
Tensor full(Graph& graph, Shape shape, double value, DType dtype = DType::kF32);
Tensor scalar(Graph& graph, double value, DType dtype = DType::kF32);  // shape []
Tensor iota(Graph& graph, Shape shape, int axis, DType dtype = DType::kU32);

// Elementwise.
Tensor neg(Tensor x);
Tensor abs(Tensor x);
Tensor sign(Tensor x);
Tensor floor(Tensor x);
Tensor exp(Tensor x);
Tensor log(Tensor x);
Tensor sqrt(Tensor x);
Tensor rsqrt(Tensor x);
Tensor reciprocal(Tensor x);
Tensor sin(Tensor x);
Tensor cos(Tensor x);
Tensor tanh(Tensor x);
Tensor sigmoid(Tensor x);
Tensor erf(Tensor x);
Tensor logical_not(Tensor x);
Tensor cast(Tensor x, DType dtype);
Tensor add(Tensor a, Tensor b);
Tensor sub(Tensor a, Tensor b);
Tensor mul(Tensor a, Tensor b);
Tensor div(Tensor a, Tensor b);
Tensor pow(Tensor a, Tensor b);
Tensor maximum(Tensor a, Tensor b);
Tensor minimum(Tensor a, Tensor b);
Tensor rem(Tensor a, Tensor b);
Tensor less(Tensor a, Tensor b);
Tensor equal(Tensor a, Tensor b);
Tensor bit_and(Tensor a, Tensor b);
Tensor bit_or(Tensor a, Tensor b);
Tensor bit_xor(Tensor a, Tensor b);
Tensor shift_left(Tensor a, Tensor b);
Tensor shift_right(Tensor a, Tensor b);
Tensor select(Tensor condition, Tensor a, Tensor b);

inline Tensor operator+(Tensor a, Tensor b) { return add(a, b); }
inline Tensor operator-(Tensor a, Tensor b) { return sub(a, b); }
inline Tensor operator*(Tensor a, Tensor b) { return mul(a, b); }
inline Tensor operator/(Tensor a, Tensor b) { return div(a, b); }
inline Tensor operator-(Tensor a) { return neg(a); }
Tensor operator+(Tensor a, double b);
Tensor operator+(double a, Tensor b);
Tensor operator-(Tensor a, double b);
Tensor operator-(double a, Tensor b);
Tensor operator*(Tensor a, double b);
Tensor operator*(double a, Tensor b);
Tensor operator/(Tensor a, double b);
Tensor operator/(double a, Tensor b);

// Built of the above.
Tensor square(Tensor x);
Tensor relu(Tensor x);
Tensor silu(Tensor x);      // x * sigmoid(x)
Tensor softplus(Tensor x);  // stable for large |x|
Tensor gelu(Tensor x);      // exact, by erf
Tensor gelu_tanh(Tensor x);
Tensor clamp(Tensor x, double low, double high);

// Movement. Axes may be negative.
Tensor reshape(Tensor x, Shape shape);  // one extent may be -1
Tensor permute(Tensor x, std::vector<int64_t> axes);
Tensor transpose(Tensor x, int a, int b);
Tensor broadcast_to(Tensor x, Shape shape);  // numpy rules
Tensor slice(Tensor x, std::vector<int64_t> start, std::vector<int64_t> stop,
             std::vector<int64_t> step = {});
Tensor slice_axis(Tensor x, int axis, int64_t start, int64_t stop);
Tensor flip(Tensor x, std::vector<int64_t> axes);
Tensor pad(Tensor x, std::vector<int64_t> low, std::vector<int64_t> high, double value = 0,
           std::vector<int64_t> interior = {});
Tensor concat(std::vector<Tensor> parts, int axis);
Tensor gather(Tensor x, Tensor index);  // rows of the first axis; also embedding lookup
Tensor scatter_add(Tensor updates, Tensor index, int64_t rows);
Tensor stop_gradient(Tensor x);  // built so that grad() sees no path through it

// Reductions. keepdim false drops the axes.
Tensor sum(Tensor x, std::vector<int64_t> axes, bool keepdim = false);
Tensor mean(Tensor x, std::vector<int64_t> axes, bool keepdim = false);
Tensor max(Tensor x, std::vector<int64_t> axes, bool keepdim = false);
Tensor var(Tensor x, std::vector<int64_t> axes, int correction = 0, bool keepdim = false);
Tensor sum_all(Tensor x);   // shape []
Tensor mean_all(Tensor x);  // shape []
Tensor logsumexp(Tensor x, std::vector<int64_t> axes, bool keepdim = false);

// Contractions.
Tensor matmul(Tensor a, Tensor b, bool transpose_a = false, bool transpose_b = false);
Tensor linear(Tensor x, Tensor weight, Tensor bias = {});  // [..., in] x [in, out] + [out]
Tensor conv2d(Tensor x, Tensor weight, const ConvAttr& attr);
Tensor conv2d_grad_input(Tensor dy, Tensor weight, Shape input_shape, const ConvAttr& attr);
Tensor conv2d_grad_weight(Tensor x, Tensor dy, Shape weight_shape, const ConvAttr& attr);

// Networks' parts.
Tensor group_norm(Tensor x, Tensor gamma, Tensor beta, int64_t groups, double eps);
Tensor layer_norm(Tensor x, Tensor gamma, Tensor beta, double eps);
Tensor softmax(Tensor x);  // last axis
Tensor attention(Tensor q, Tensor k, Tensor v, int64_t heads, double scale);
Tensor upsample_nearest2x(Tensor x);                               // [n,h,w,c] → [n,2h,2w,c]
Tensor upsample_nearest(Tensor x, int64_t out_h, int64_t out_w);   // index floor(i * in / out)
Tensor upsample_bilinear(Tensor x, int64_t out_h, int64_t out_w);  // align_corners false
Tensor avg_pool2(Tensor x);                                        // 2x2, stride 2
// FIR resampling with kernel [1,3,3,1] (NCSN++): up multiplies the gain by 4, down keeps it.
Tensor fir_up2(Tensor x);
Tensor fir_down2(Tensor x);
// The same fused with a 3x3 convolution by weight [3,3,ci,co]: filter after it (up), before it
// (down).
Tensor fir_up2_conv(Tensor x, Tensor weight);
Tensor fir_down2_conv(Tensor x, Tensor weight);
// Sinusoidal features of timesteps [n] → [n, dim] (Ho et al. 2020; diffusers'
// get_timestep_embedding).
Tensor timestep_embedding(Tensor t, int64_t dim, bool flip_sin_to_cos, double downscale_freq_shift,
                          double scale = 1, double max_period = 10000);
// Gaussian Fourier features (Song et al. 2021): [sin, cos] (or flipped) of 2 pi x w, x [n], w [m].
Tensor fourier_features(Tensor x, Tensor w, bool log_input, bool flip_sin_to_cos);

// Randomness is a value: Philox4x32-10 counters. key: u32 [2]; every counter word a u32 tensor that
// broadcasts to `shape`. Returns u32 words.
Tensor philox_bits(Tensor c0, Tensor c1, Tensor c2, Tensor c3, Tensor key, Tensor lane);
// Words x → (x + 0.5) * 2^-32, in (0, 1).
Tensor bits_to_uniform(Tensor bits);
// Two words per value → standard normal (Box-Muller): the radius from `a`, the angle from `b`, its
// cosine, or its sine where the bool `second` is set. Equal shapes.
Tensor bits_to_normal(Tensor a, Tensor b, Tensor second);
// Standard normals of `shape` [n, ...]: element e of image i uses counter
// (e / 4, image[i], step, stream) and key, word pair and Box-Muller as golden rng describes
// (n0, n1 from u0, u1; n2, n3 from u2, u3). image: u32 [n]; step: u32 [] ; stream: a constant.
Tensor random_normal(Shape shape, Tensor key, Tensor image, Tensor step, uint32_t stream);
Tensor random_uniform(Shape shape, Tensor key, Tensor image, Tensor step, uint32_t stream);
// Integers in [0, bound) per image: floor(uniform * bound), u32 [n].
Tensor random_index(Tensor key, Tensor image, Tensor step, uint32_t stream, uint32_t bound);

// Reverse mode: d(sum of loss)/d(wrt[i]) as new nodes of the same graph; zero-filled where there is
// no path. May be applied to its own results (higher orders).
std::vector<Tensor> grad(Tensor loss, const std::vector<Tensor>& wrt);

}  // namespace ito
