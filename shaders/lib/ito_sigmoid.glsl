// 1 / (1 + e^-x) without overflow; for negative x relative accuracy is that of exp.
float ito_sigmoid(float x) {
  float e = exp(-abs(x));
  return (x < 0.0 ? e : 1.0) / (1.0 + e);
}
