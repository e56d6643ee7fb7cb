// Kinds of jobs: what each does with the calls that not all kinds take alike. Not for what all do
// alike (job.cpp).
#pragma once

#include <span>

#include "api/job.h"
#include "api/training_job.h"
#include "base/error.h"
#include "include/ito/ito.h"

namespace ito::embed {

class HostJob {
 public:
  virtual ~HostJob() = default;
  virtual Job& job() = 0;
  // Begins what these requests are, or what the inputs hold.
  virtual Status restart(const ItoImageRequest* requests, uint32_t count) = 0;
  // Classes that requests or labels may have.
  virtual uint32_t classes() const = 0;

  // Makes the pixels of a preview, and where they are then.
  virtual Status record_preview(vk::CommandRecorder&) { return no_preview(); }
  virtual Result<const DeviceTensor*> preview() { return no_preview(); }
  // The training that it is.
  virtual Result<TrainingJob*> training() {
    return unsupported("the job is no training, so it has neither losses nor weights of its own");
  }

 protected:
  // Error kInvalidArgument: requests, which the kind does not take.
  static Status check_no_requests(const ItoImageRequest* requests, uint32_t count) {
    if (requests == nullptr && count == 0) return {};
    return invalid_argument(
        "restart: {} requests were given; such a job is given inputs, so pass NULL and 0", count);
  }

 private:
  static Error no_preview() {
    return unsupported("the job was made without previews; set preview and a pixel format");
  }
};

}  // namespace ito::embed
