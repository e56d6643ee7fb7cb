// Word `lane` of the Philox4x32-10 block of counter (c0..c3) and key (k0, k1) (Salmon et al. 2011).
uint ito_philox(uint c0, uint c1, uint c2, uint c3, uint k0, uint k1, uint lane) {
  for (int i = 0; i < 10; ++i) {
    uint high0, low0, high1, low1;
    umulExtended(0xD2511F53u, c0, high0, low0);
    umulExtended(0xCD9E8D57u, c2, high1, low1);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  lane &= 3u;
  return lane < 2u ? (lane == 0u ? c0 : c1) : (lane == 2u ? c2 : c3);
}
