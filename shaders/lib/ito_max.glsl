// The larger one; a NaN in either place is the result, as in PyTorch (GLSL's max leaves it open). The
// test on bits holds where a driver assumes that there are no NaNs.
float ito_max(float a, float b) {
  return b > a || (floatBitsToUint(b) & 0x7fffffffu) > 0x7f800000u ? b : a;
}
uint ito_max(uint a, uint b) { return max(a, b); }
int ito_max(int a, int b) { return max(a, b); }
