// Exclusive or of truth values, or of bits.
bool ito_xor(bool a, bool b) { return a != b; }
uint ito_xor(uint a, uint b) { return a ^ b; }
int ito_xor(int a, int b) { return a ^ b; }
