// Remainder: floats round the quotient down, integers towards zero (GLSL leaves % of negative
// integers undefined).
float ito_rem(float a, float b) { return a - b * floor(a / b); }
uint ito_rem(uint a, uint b) { return a % b; }
int ito_rem(int a, int b) { return a - b * (a / b); }
