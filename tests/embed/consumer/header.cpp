// The header in C++.
#include <ito/ito.h>

extern "C" unsigned structure_size(void);
unsigned structure_size(void) {
  ItoProgress progress;
  ITO_INIT(progress, PROGRESS);
  return progress.size;
}
