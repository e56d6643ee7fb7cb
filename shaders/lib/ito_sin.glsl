// sin(x), absolute error below 1.5e-7 for |x| up to 1e4 (drivers may do much worse far from 0).
// The nearest multiple of pi/2 is taken off in three parts whose products are exact (Cody and Waite
// 1980); polynomials on [-pi/4, pi/4].
float ito_sin(float x) {
  precise float n = floor(x * 0.636619772 + 0.5);
  precise float r = x - n * 1.5703125;
  r = r - n * 4.837512969970703125e-4;
  r = r - n * 7.54978995489e-8;
  int quadrant = int(n) & 3;
  float z = r * r;
  float s = r + r * z * (-0.166666645 + z * (0.00833271802 - z * 0.000195814391));
  float c = 1.0 - 0.5 * z + z * z * (0.0416666645 + z * (-0.00138882695 + z * 2.4541067e-05));
  float y = (quadrant & 1) == 0 ? s : c;
  return (quadrant & 2) == 0 ? y : -y;
}
