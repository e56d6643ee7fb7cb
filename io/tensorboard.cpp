#include "io/tensorboard.h"

#include <array>
#include <bit>
#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/platform.h"

namespace ito {
namespace {

constexpr uint64_t kMostBytes = uint64_t{4} << 30;
constexpr size_t kHeader = 12, kFooter = 4;  // length and its checksum; the data's checksum
constexpr const char* kEventVersion = "brain.Event:2";

std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
    table[i] = crc;
  }
  return table;
}

// The lowest bytes of a number, least significant first.
void put_fixed(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
}

uint64_t get_fixed(std::string_view bytes, size_t count) {
  uint64_t value = 0;
  for (size_t i = 0; i < count; ++i)
    value |= uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  return value;
}

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>((value & 0x7f) | 0x80));
  out.push_back(static_cast<char>(value));
}

// Fields of a protobuf message by number: 64 and 32 bits, integers, and bytes.
enum WireType : uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };
void put_key(std::string& out, uint64_t field, WireType type) {
  put_varint(out, field << 3 | type);
}
void put_double(std::string& out, uint64_t field, double value) {
  put_key(out, field, kFixed64);
  put_fixed(out, std::bit_cast<uint64_t>(value), 8);
}
void put_float(std::string& out, uint64_t field, float value) {
  put_key(out, field, kFixed32);
  put_fixed(out, std::bit_cast<uint32_t>(value), 4);
}
void put_integer(std::string& out, uint64_t field, int64_t value) {
  put_key(out, field, kVarint);
  put_varint(out, static_cast<uint64_t>(value));
}
void put_bytes(std::string& out, uint64_t field, std::string_view bytes) {
  put_key(out, field, kBytes);
  put_varint(out, bytes.size());
  out += bytes;
}

// Event: wall_time 1, step 2, file_version 3, summary 5. Summary: value 1. Value: tag 1,
// simple_value 2, image 4. Image: height 1, width 2, colorspace 3, encoded_image_string 4.
std::string version_event(double seconds) {
  std::string event;
  put_double(event, 1, seconds);
  put_bytes(event, 3, kEventVersion);
  return event;
}

std::string summary_event(double seconds, int64_t step, std::string_view value) {
  std::string summary, event;
  put_bytes(summary, 1, value);
  put_double(event, 1, seconds);
  put_integer(event, 2, step);
  put_bytes(event, 5, summary);
  return event;
}

std::string record(std::string_view data) {
  std::string out;
  put_fixed(out, data.size(), 8);
  put_fixed(out, masked_crc32c(out), 4);
  out += data;
  put_fixed(out, masked_crc32c(data), 4);
  return out;
}

// The step of an event as written here: the field 2 right behind the time; 0 without one.
int64_t step_of_event(std::string_view event) {
  constexpr size_t kTime = 9;
  if (event.size() <= kTime || event[kTime] != (2 << 3 | kVarint)) return 0;
  uint64_t step = 0;
  int shift = 0;
  for (size_t i = kTime + 1; i < event.size() && shift < 64; ++i, shift += 7) {
    step |= uint64_t{static_cast<unsigned char>(event[i]) & 0x7fu} << shift;
    if ((static_cast<unsigned char>(event[i]) & 0x80u) == 0) break;
  }
  return static_cast<int64_t>(step);
}

// The whole records of events up to a step.
std::string kept_records(std::string_view bytes, int64_t last_step) {
  std::string kept;
  while (bytes.size() >= kHeader + kFooter) {
    const uint64_t length = get_fixed(bytes, 8);
    if (get_fixed(bytes.substr(8), 4) != masked_crc32c(bytes.substr(0, 8)) ||
        length > bytes.size() - kHeader - kFooter)
      break;
    const std::string_view data = bytes.substr(kHeader, length);
    if (get_fixed(bytes.substr(kHeader + length), 4) != masked_crc32c(data)) break;
    const size_t whole = kHeader + length + kFooter;
    if (step_of_event(data) <= last_step) kept += bytes.substr(0, whole);
    bytes.remove_prefix(whole);
  }
  return kept;
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static const std::array<uint32_t, 256> table = make_crc_table();
  uint32_t crc = ~0u;
  for (const char byte : bytes)
    crc = (crc >> 8) ^ table[(crc ^ static_cast<unsigned char>(byte)) & 0xffu];
  return ~crc;
}

uint32_t masked_crc32c(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xa282ead8u;
}

Result<EventWriter> EventWriter::open(const Path& path, std::optional<int64_t> resumed_step) {
  std::string kept;
  if (file_exists(path) && resumed_step) {
    ITO_ASSIGN(const std::string bytes, read_file(path, kMostBytes));
    kept = kept_records(bytes, *resumed_step);
  }
  if (kept.empty()) kept = record(version_event(seconds_now()));
  ITO_TRY(write_file_atomic(path, kept));
  int descriptor = -1;
  if (const int error = platform::open_to_append(path, false, &descriptor); error != 0)
    return system_error("write", path, error);
  return EventWriter(path, descriptor);
}

EventWriter::EventWriter(EventWriter&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

EventWriter& EventWriter::operator=(EventWriter&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

EventWriter::~EventWriter() {
  if (descriptor_ >= 0) platform::close_file(descriptor_);
}

Status EventWriter::append(std::string_view event) {
  const int error = platform::write_all(descriptor_, record(event));
  return error == 0 ? Status() : system_error("write", path_, error);
}

Status EventWriter::scalar(double seconds, int64_t step, std::string_view tag, float value) {
  std::string entry;
  put_bytes(entry, 1, tag);
  put_float(entry, 2, value);
  return append(summary_event(seconds, step, entry));
}

Status EventWriter::image(double seconds, int64_t step, std::string_view tag, std::string_view png,
                          int width, int height, int channels) {
  std::string picture, entry;
  put_integer(picture, 1, height);
  put_integer(picture, 2, width);
  put_integer(picture, 3, channels);
  put_bytes(picture, 4, png);
  put_bytes(entry, 1, tag);
  put_bytes(entry, 4, picture);
  return append(summary_event(seconds, step, entry));
}

}  // namespace ito
