// a^b with relative error below 1e-6 for every finite result, where GLSL's pow may lose b log2(a)
// units (0.999^1000 matters to optimisers). Negative a: the real power of an integer b, else NaN;
// a^0 = 1. log2(a) is held in two floats: e + 2/ln2 atanh((m-1)/(m+1)) with m in [0.7, 1.42);
// products of numbers cut to 12 bits are exact.
float ito_pow(float a, float b) {
  if (b == 0.0 || a == 1.0) return 1.0;
  float magnitude = abs(a);
  bool is_integer = floor(b) == b;
  bool is_odd = is_integer && b - 2.0 * floor(b * 0.5) != 0.0;
  if (a < 0.0 && !is_integer) return uintBitsToFloat(0x7fc00000u);
  float infinity = uintBitsToFloat(0x7f800000u);
  float result;
  if (magnitude == 0.0 || magnitude == infinity) {
    result = (magnitude == 0.0) == (b < 0.0) ? infinity : 0.0;
  } else {
    float scaled = magnitude < 1.17549435e-38 ? magnitude * 16777216.0 : magnitude;
    uint bits = floatBitsToUint(scaled);
    int exponent = int((bits - 0x3f3504f3u) >> 23);
    exponent = exponent >= 256 ? exponent - 512 : exponent;
    float m = uintBitsToFloat(bits - (uint(exponent) << 23));
    precise float e = float(exponent) - (magnitude < 1.17549435e-38 ? 24.0 : 0.0);
    precise float u = m - 1.0;
    precise float v = m + 1.0;
    precise float s = u / v;
    precise float s_high = uintBitsToFloat(floatBitsToUint(s) & 0xfffff000u);
    precise float v_high = uintBitsToFloat(floatBitsToUint(v) & 0xfffff000u);
    precise float v_low = m - (v_high - 1.0);
    precise float s_low = ((u - s_high * v_high) - s_high * v_low) / v;
    float z = s * s;
    float t = s * z * (0.333333333 + z * (0.2 + z * (0.142857143 + z * 0.115)));
    precise float rest = s_low + t;
    // 2 / ln 2 = 2.884765625 + 0.000624457...
    precise float p_high = 2.884765625 * s_high;
    precise float p_low = 2.884765625 * rest + 0.000624456778 * (s_high + rest);
    precise float sum = (e + p_high) + p_low;
    precise float l_high = uintBitsToFloat(floatBitsToUint(sum) & 0xfffff000u);
    precise float l_low = ((e - l_high) + p_high) + p_low;
    precise float b_high = uintBitsToFloat(floatBitsToUint(b) & 0xfffff000u);
    precise float w_high = b_high * l_high;
    precise float w_low = (b - b_high) * l_high + b * l_low;
    float n = clamp(floor(w_high + w_low + 0.5), -300.0, 300.0);
    precise float f = (w_high - n) + w_low;
    f = clamp(f, -1.0, 1.0);
    float power = 1.0 + f * (0.693147188 + f * (0.240226508 + f * (0.0555035711 +
                  f * (0.00961808256 + f * (0.00133908634 + f * 0.000154531629)))));
    int half_n = int(n) / 2;
    result = power * uintBitsToFloat(uint(half_n + 127) << 23) *
             uintBitsToFloat(uint(int(n) - half_n + 127) << 23);
  }
  return a < 0.0 && is_odd ? -result : result;
}
