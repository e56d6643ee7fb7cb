// erf(x), absolute error below 2e-7. A polynomial in x^2 up to 1; beyond it 1 - exp(p(|x|)), where
// p approximates log(erfc).
float ito_erf(float x) {
  float a = min(abs(x), 4.0);
  float z = a * a;
  float near = x * (1.12837917 + z * (-0.376126267 + z * (0.112835947 + z * (-0.026854212 +
               z * (0.00518908742 + z * (-0.000801686428 + z * 7.87587503e-05))))));
  float p = 0.000318539662 + a * (-1.13023106 + a * (-0.631823918 + a * (-0.110087166 +
            a * (0.0264276372 + a * (-0.00476262583 + a * (0.00059758577 +
            a * (-4.61638586e-05 + a * 1.64306366e-06)))))));
  float far = 1.0 - exp(p);
  return a < 1.0 ? near : (x < 0.0 ? -far : far);
}
