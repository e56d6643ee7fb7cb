// Disjunction of truth values, or of bits.
bool ito_or(bool a, bool b) { return a || b; }
uint ito_or(uint a, uint b) { return a | b; }
int ito_or(int a, int b) { return a | b; }
