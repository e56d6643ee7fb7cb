// TensorBoard's event files: records with masked checksums (the TFRecord framing of TensorFlow,
// tensorflow/core/lib/io/record_writer.h), each a protobuf Event (tensorflow/core/util/event.proto)
// of which the few fields are written that scalars and pictures need. Appended while training and
// cut where a run resumes, as metrics are. Not for reading events of others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "io/file.h"

namespace ito {

// CRC-32C (Castagnoli's polynomial, reflected 0x82f63b78; RFC 3720, appendix B.4).
uint32_t crc32c(std::string_view bytes);
// As the framing stores it: rotated right by 15 bits, plus 0xa282ead8.
uint32_t masked_crc32c(std::string_view bytes);

class EventWriter {
 public:
  // Opens for appending, creating the file if needed. With a resumed step, a torn last record and
  // all events of later steps go first, atomically; without one, the file starts empty. Errors:
  // kIo.
  static Result<EventWriter> open(const Path& path, std::optional<int64_t> resumed_step);
  EventWriter(EventWriter&& other) noexcept;
  EventWriter& operator=(EventWriter&& other) noexcept;
  ~EventWriter();

  // seconds: wall clock since 1970. In the file when these return. Errors: kIo.
  Status scalar(double seconds, int64_t step, std::string_view tag, float value);
  // png: the bytes of a file of that size, with `channels` of 1, 3 or 4.
  Status image(double seconds, int64_t step, std::string_view tag, std::string_view png, int width,
               int height, int channels);

 private:
  EventWriter(Path path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  Status append(std::string_view event);
  Path path_;
  int descriptor_ = -1;
};

}  // namespace ito
