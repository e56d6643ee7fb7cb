// tanh(x), relative error below 3e-7 (with an exact exp). A polynomial near 0, where the quotient
// of exponentials would cancel.
float ito_tanh(float x) {
  float a = abs(x);
  float z = x * x;
  float e = exp(-2.0 * a);
  float far = (1.0 - e) / (1.0 + e);
  float near = x + x * z * (-0.33333332 + z * (0.133331137 + z * (-0.0539094278 +
               z * (0.0213093842 - z * 0.00661022133))));
  return a < 0.55 ? near : (x < 0.0 ? -far : far);
}
