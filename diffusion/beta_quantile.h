// The quantile function of a beta distribution, after which one of the σ spacings is named.
#pragma once

namespace ito {

// The regularised incomplete beta function I_x(a, b), x in [0, 1], a and b positive.
double beta_probability(double x, double a, double b);

// x in [0, 1] with I_x(a, b) = p, to about 1e-14 relative; p in [0, 1], a and b positive.
double beta_quantile(double p, double a, double b);

}  // namespace ito
