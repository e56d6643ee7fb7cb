// The smaller one; a NaN in either place is the result (see ito_max).
float ito_min(float a, float b) {
  return b < a || (floatBitsToUint(b) & 0x7fffffffu) > 0x7f800000u ? b : a;
}
uint ito_min(uint a, uint b) { return min(a, b); }
int ito_min(int a, int b) { return min(a, b); }
