// Event files, read back by a reader made from the formats' descriptions: TFRecord's framing and
// protobuf's wire format.
#include "io/tensorboard.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <vector>

#include "tests/io/temp_folder.h"

namespace ito::test {
namespace {

uint64_t little_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// The checksum bit by bit, as RFC 3720 defines it.
uint32_t slow_masked_crc(std::string_view bytes) {
  uint32_t crc = 0xffffffffu;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int k = 0; k < 8; ++k) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
  }
  crc = ~crc;
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

std::vector<std::string> records(std::string_view file) {
  std::vector<std::string> all;
  while (!file.empty()) {
    EXPECT_GE(file.size(), 16u);
    const uint64_t length = little_endian(file.substr(0, 8));
    EXPECT_EQ(little_endian(file.substr(8, 4)), slow_masked_crc(file.substr(0, 8)));
    const std::string_view data = file.substr(12, length);
    EXPECT_EQ(data.size(), length);
    EXPECT_EQ(little_endian(file.substr(12 + length, 4)), slow_masked_crc(data));
    all.emplace_back(data);
    file.remove_prefix(16 + length);
  }
  return all;
}

// Field number → value: the number, or the bytes.
struct Field {
  uint64_t number = 0;
  std::string bytes;
};
std::map<uint64_t, Field> message(std::string_view text) {
  std::map<uint64_t, Field> fields;
  const auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0; !text.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(text.front());
      text.remove_prefix(1);
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (!text.empty()) {
    const uint64_t key = varint();
    Field& field = fields[key >> 3];
    size_t size = 0;
    switch (key & 7) {
      case 0:
        field.number = varint();
        continue;
      case 1:
        size = 8;
        break;
      case 2:
        size = varint();
        break;
      case 5:
        size = 4;
        break;
      default:
        ADD_FAILURE() << "wire type " << (key & 7);
        return fields;
    }
    field.bytes = text.substr(0, size);
    if ((key & 7) != 2) field.number = little_endian(field.bytes);
    text.remove_prefix(size);
  }
  return fields;
}

double as_double(uint64_t bits) {
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
float as_float(uint64_t bits) {
  const auto low = static_cast<uint32_t>(bits);
  float value;
  std::memcpy(&value, &low, sizeof value);
  return value;
}

// RFC 3720, B.4.
TEST(Crc32c, IsThatOfTheStandard) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string rising, falling;
  for (int i = 0; i < 32; ++i) {
    rising.push_back(static_cast<char>(i));
    falling.push_back(static_cast<char>(31 - i));
  }
  EXPECT_EQ(crc32c(rising), 0x46dd794eu);
  EXPECT_EQ(crc32c(falling), 0x113fdb5cu);
}

TEST(EventFile, HoldsScalarsAndPicturesWhereTheFormatPutsThem) {
  TempFolder folder;
  const Path path = folder.path() / "events.out.tfevents.x";
  {
    EventWriter writer = EventWriter::open(path, std::nullopt).value();
    ASSERT_TRUE(writer.scalar(12.5, 300, "loss", 0.25f).ok());
    ASSERT_TRUE(writer.image(13, 301, "samples", std::string("\x89PNG\0!", 6), 40, 20, 3).ok());
  }
  const std::vector<std::string> events = records(read_file(path).value());
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(message(events[0]).at(3).bytes, "brain.Event:2");
  auto scalar = message(events[1]);
  EXPECT_EQ(as_double(scalar.at(1).number), 12.5);
  EXPECT_EQ(scalar.at(2).number, 300u);
  auto value = message(message(scalar.at(5).bytes).at(1).bytes);
  EXPECT_EQ(value.at(1).bytes, "loss");
  EXPECT_EQ(as_float(value.at(2).number), 0.25f);
  auto picture = message(message(message(events[2]).at(5).bytes).at(1).bytes);
  EXPECT_EQ(picture.at(1).bytes, "samples");
  auto image = message(picture.at(4).bytes);
  EXPECT_EQ(image.at(1).number, 20u);
  EXPECT_EQ(image.at(2).number, 40u);
  EXPECT_EQ(image.at(3).number, 3u);
  EXPECT_EQ(image.at(4).bytes, std::string("\x89PNG\0!", 6));
}

// What came after the checkpoint goes, and so does half a record; the rest stays as it was.
TEST(EventFile, IsCutWhereARunResumes) {
  TempFolder folder;
  const Path path = folder.path() / "events.out.tfevents.x";
  std::string upto_two;
  {
    EventWriter writer = EventWriter::open(path, std::nullopt).value();
    for (const int64_t step : {1, 2}) ASSERT_TRUE(writer.scalar(1, step, "loss", 1).ok());
    upto_two = read_file(path).value();
    ASSERT_TRUE(writer.scalar(1, 300, "loss", 1).ok());
  }
  const std::string all = read_file(path).value();
  ASSERT_TRUE(EventWriter::open(path, 2).ok());
  EXPECT_EQ(read_file(path).value(), upto_two);
  ASSERT_TRUE(write_file_atomic(path, all.substr(0, all.size() - 3)).ok());
  EventWriter again = EventWriter::open(path, 500).value();
  ASSERT_TRUE(again.scalar(1, 3, "loss", 1).ok());
  EXPECT_EQ(records(read_file(path).value()).size(), 4u);
  ASSERT_TRUE(EventWriter::open(path, std::nullopt).ok());
  EXPECT_EQ(records(read_file(path).value()).size(), 1u);
}

}  // namespace
}  // namespace ito::test
