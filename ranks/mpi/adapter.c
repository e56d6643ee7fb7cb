/* The adapter to one MPI: built once for each that is installed, with its wrapper's flags. */
#include "ranks/mpi/adapter.h"

#include <mpi.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

/* MPI counts in int. */
#define LARGEST_MESSAGE ((size_t)1 << 30)
#define TAG 1

static int failed(int code, const char* what, char* error) {
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (code == MPI_SUCCESS) return 0;
  MPI_Error_string(code, text, &length);
  snprintf(error, ITO_MPI_TEXT, "%s: %s", what, text);
  return 1;
}

static int join(int* rank, int* size, int* local_rank, char* error) {
  int provided = 0;
  MPI_Comm host;
  if (failed(MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread", error))
    return 1;
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  if (provided < MPI_THREAD_SERIALIZED) {
    snprintf(error, ITO_MPI_TEXT, "this MPI was built for programs of one thread");
    return 1;
  }
  if (failed(MPI_Comm_rank(MPI_COMM_WORLD, rank), "MPI_Comm_rank", error) ||
      failed(MPI_Comm_size(MPI_COMM_WORLD, size), "MPI_Comm_size", error) ||
      failed(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, *rank, MPI_INFO_NULL, &host),
             "MPI_Comm_split_type", error))
    return 1;
  MPI_Comm_rank(host, local_rank);
  MPI_Comm_free(&host);
  return 0;
}

/* MPIs wait by asking all the time; the processor is wanted by others: drivers, loaders of batches, ranks. */
static void pause_after(int attempts) {
  struct timespec time = {0, 20000};
  if (attempts < 64) {
    sched_yield();
    return;
  }
  if (attempts > 256) time.tv_nsec = 200000;
  nanosleep(&time, NULL);
}

static int exchange(int peer, const void* out, size_t out_size, void* in, size_t in_size, char* error) {
  const char* from = out;
  char* to = in;
  while (out_size > 0 || in_size > 0) {
    const size_t sent = out_size < LARGEST_MESSAGE ? out_size : LARGEST_MESSAGE;
    const size_t received = in_size < LARGEST_MESSAGE ? in_size : LARGEST_MESSAGE;
    MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
    MPI_Status statuses[2];
    int done = 0;
    if (received > 0 &&
        failed(MPI_Irecv(to, (int)received, MPI_BYTE, peer, TAG, MPI_COMM_WORLD, &requests[0]), "MPI_Irecv",
               error))
      return 1;
    if (sent > 0 && failed(MPI_Isend(from, (int)sent, MPI_BYTE, peer, TAG, MPI_COMM_WORLD, &requests[1]),
                           "MPI_Isend", error))
      return 1;
    for (int attempts = 0; !done; ++attempts) {
      if (failed(MPI_Testall(2, requests, &done, statuses), "MPI_Testall", error)) return 1;
      if (!done) pause_after(attempts);
    }
    from += sent;
    to += received;
    out_size -= sent;
    in_size -= received;
  }
  return 0;
}

static void leave(void) { MPI_Finalize(); }

static void end_all(int code) { MPI_Abort(MPI_COMM_WORLD, code); }

static const ItoMpiAdapter adapter = {.version = ITO_MPI_ADAPTER_VERSION,
                                      .join = join,
                                      .exchange = exchange,
                                      .leave = leave,
                                      .abort = end_all};

__attribute__((visibility("default"))) const ItoMpiAdapter* ito_mpi_adapter(void) { return &adapter; }
