/* What an adapter to one MPI (adapter.c, built with that MPI's own flags) gives the program that
 * opens it at run time: MPIs agree on their functions' names but not on their binary interface.
 * Plain C. Texts of errors are written into `error`, of ITO_MPI_TEXT bytes. */
#ifndef ITO_RANKS_MPI_ADAPTER_H
#define ITO_RANKS_MPI_ADAPTER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ITO_MPI_TEXT 1024
#define ITO_MPI_ENTRY "ito_mpi_adapter"

typedef struct ItoMpiAdapter {
  int version; /* of this struct */
  /* MPI_Init and who this process is; 0: done. */
  int (*join)(int* rank, int* size, int* local_rank, char* error);
  /* Sends to and receives from `peer` at once, sizes known to both; 0 bytes: not. Waits without
   * taking the processor; 0: done. */
  int (*exchange)(int peer, const void* out, size_t out_size, void* in, size_t in_size,
                  char* error);
  void (*leave)(void);     /* MPI_Finalize */
  void (*abort)(int code); /* MPI_Abort: ends all ranks */
} ItoMpiAdapter;

#define ITO_MPI_ADAPTER_VERSION 1

typedef const ItoMpiAdapter* (*ItoMpiEntry)(void);

#ifdef __cplusplus
}
#endif
#endif
