#include "runtime/vk/pending_uploads.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "runtime/vk/command_buffer.h"

namespace ito::vk {
namespace {

// What is recorded at least, however small a budget is.
constexpr uint64_t kLeastUploadBytes = 16 << 10;

}  // namespace

Status PendingUploads::write(const Buffer& to, uint64_t offset, std::span<const std::byte> data) {
  CHECK(offset % 4 == 0 && data.size() % 4 == 0, "a pending upload of odd bytes");
  if (data.empty()) return {};
  ITO_ASSIGN(Buffer from, memory_.allocate(data.size(), MemoryUse::kUpload));
  std::memcpy(from.mapped(), data.data(), data.size());
  add({to.handle(), to.offset() + offset, data.size(),
       std::make_unique<const Buffer>(std::move(from)), 0, 0});
  return {};
}

void PendingUploads::fill(const Buffer& to, uint64_t offset, uint64_t size, uint32_t word) {
  add({to.handle(), to.offset() + offset, size, nullptr, word, 0});
}

void PendingUploads::add(Upload upload) {
  const std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(upload));
  ++count_;
}

void PendingUploads::record(CommandRecorder& recorder, uint64_t bytes, uint32_t commands) {
  struct Piece {
    const Buffer* from;  // lives on in used_ or waiting_
    uint64_t from_offset, size;
    Buffer to;
    uint32_t word;
  };
  std::vector<Piece> pieces;
  uint64_t room = std::max(bytes, kLeastUploadBytes) / 4 * 4;
  {
    const std::lock_guard lock(mutex_);
    while (!waiting_.empty()) {
      Upload& upload = waiting_.front();
      const uint64_t size = std::min(upload.size - upload.done, room);
      if (size > 0 && pieces.size() < commands) {
        pieces.push_back({upload.from.get(), upload.done, size,
                          Buffer::borrow(upload.to, upload.offset + upload.done, size, 0),
                          upload.word});
        upload.done += size;
        room -= size;
      }
      if (upload.done < upload.size) break;
      if (upload.from != nullptr) used_.push_back(std::move(upload.from));
      waiting_.pop_front();
      ++recorded_;
    }
  }
  // Without the lock, since the driver may ask the caller's allocator for memory.
  for (const Piece& piece : pieces) {
    // A later one may write where an earlier one did.
    recorder.begin_barrier();
    if (piece.from != nullptr)
      recorder.copy(*piece.from, piece.from_offset, piece.to, 0, piece.size);
    else
      recorder.fill(piece.to, 0, piece.size, piece.word);
  }
  recorder.end_barrier();
}

void PendingUploads::release() {
  std::vector<std::unique_ptr<const Buffer>> used;
  {
    const std::lock_guard lock(mutex_);
    used.swap(used_);
  }
}

void PendingUploads::forget(VkBuffer handle, uint64_t offset, uint64_t size) {
  const std::lock_guard lock(mutex_);
  for (Upload& upload : waiting_)
    if (upload.to == handle && upload.offset < offset + size &&
        offset < upload.offset + upload.size)
      upload.done = upload.size;
}

}  // namespace ito::vk
