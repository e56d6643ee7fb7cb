#include "api/divergence_watch.h"

#include <cstdint>
#include <vector>

#include "diffusion/divergence_words.h"
#include "diffusion/sampling_program.h"

namespace ito {

using sampling_ports::kDivergence;

Status DivergenceWatch::start() {
  return executor_.enqueue_write(kDivergence, std::vector<uint32_t>{0, 0});
}

Status DivergenceWatch::look() {
  if (ticket_) {
    ITO_ASSIGN(const bool ready, ticket_->ready());
    if (!ready) return {};
    std::vector<uint32_t> words(2);
    ITO_TRY(ticket_->read(writable_bytes_of(words)));
    ticket_.reset();
    ITO_TRY(check_divergence(words, method_));
  }
  ITO_ASSIGN(ticket_, executor_.enqueue_read(kDivergence));
  return {};
}

Status DivergenceWatch::finish() {
  ITO_ASSIGN(const auto words, executor_.read<uint32_t>(kDivergence));
  return check_divergence(words, method_);
}

}  // namespace ito
