// Transport: how the processes of one job reach each other: sockets on one host (local_ranks.h) or
// MPI (mpi.h). One primitive, from which ranks.h makes the rest. Used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace ito {

class Transport {
 public:
  virtual ~Transport() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // Among the processes of this host, from 0 on.
  virtual int local_rank() const = 0;
  // "mpirun of Open MPI", "--devices": what to call it in messages.
  virtual std::string name() const = 0;

  // Sends `out` to another rank and receives exactly in.size() bytes from it, both at once. Either
  // may be empty; the other rank must ask for the counterpart. Waits. Errors: kIo naming the rank
  // that is gone; what a rank said when it ended for an error of its own.
  virtual Status exchange(int peer, std::span<const std::byte> out, std::span<std::byte> in) = 0;

  // The end. `why` null: all ranks end here. Else this one ends for an error of its own, and the
  // others are told, or ended. Whether somebody else says that error to people.
  virtual bool leave(const Error* why) = 0;
};

}  // namespace ito
