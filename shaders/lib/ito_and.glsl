// Conjunction of truth values, or of bits.
bool ito_and(bool a, bool b) { return a && b; }
uint ito_and(uint a, uint b) { return a & b; }
int ito_and(int a, int b) { return a & b; }
