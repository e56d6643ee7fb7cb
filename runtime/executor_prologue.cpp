// The parts of Executor that run a plan's prologue: when its results in the arena no longer are
// those of what it reads. What changes memory tells the buffer (vk::Buffer::version), executors
// among it; where that cannot be known, as of a caller's memory, the prologue runs at every replay.
#include "base/check.h"
#include "runtime/executor.h"

namespace ito {

void Executor::find_prologue_memory() {
  CHECK(plan_.prologue <= plan_.calls.size(), "a prologue longer than its plan");
  prologue_reads_.assign(plan_.externals.size(), false);
  written_.assign(plan_.externals.size(), false);
  for (size_t c = 0; c < plan_.calls.size(); ++c) {
    const KernelCall& call = plan_.calls[c];
    for (size_t a = 0; a < call.arguments.size(); ++a) {
      const BufferRange& range = call.arguments[a];
      if (range.space != BufferSpace::kExternal) continue;
      if (call.writes >> a & 1) written_[range.buffer] = true;
      if (c < plan_.prologue) prologue_reads_[range.buffer] = true;
      CHECK(c >= plan_.prologue || (call.writes >> a & 1) == 0,
            call.label + ": the prologue writes an external");
    }
  }
}

Status Executor::run_prologue_if_due() {
  prologue_ran_ = false;
  if (plan_.prologue == 0) return {};
  // Else they would change, with the submission, what has been looked at before it.
  if (flush_before_prologue_) ITO_TRY(uploads_.flush());
  flush_before_prologue_ = false;
  std::vector<uint64_t> versions;
  bool known = !prologue_unseen_;
  for (size_t i = 0; i < externals_.size(); ++i) {
    if (!prologue_reads_[i]) continue;
    const std::optional<uint64_t> version = externals_[i].buffer()->version();
    known = known && version.has_value();
    versions.push_back(version.value_or(0));
  }
  if (known && prologue_versions_ == versions) return {};
  prologue_versions_.reset();
  for (const Recorded& recorded : prologue_.slices) ITO_TRY(submit_slice(recorded.commands));
  if (known) prologue_versions_ = std::move(versions);
  prologue_ran_ = true;
  return {};
}

// Other executors may have bound the same memory.
void Executor::tell_of_writes() const {
  for (size_t i = 0; i < externals_.size(); ++i)
    if (written_[i]) externals_[i].buffer()->changed();
}

}  // namespace ito
