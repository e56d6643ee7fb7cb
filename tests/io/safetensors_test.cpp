#include "io/safetensors.h"

#include <cstring>

#include "base/error.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::bytes_of;
using test::fails;
using test::put;
using test::succeeds;
using test::TempFolder;

std::string file_of(const std::string& header, const std::string& data) {
  std::string bytes(8, '\0');
  uint64_t size = header.size();
  std::memcpy(bytes.data(), &size, 8);
  return bytes + header + data;
}

TEST(Safetensors, ReadsAFileWrittenByHand) {
  // The example of the format's README: float 1.0, -2.0 and one U8.
  std::string bytes = file_of(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[1,2],"data_offsets":[1,9]},)"
      R"("a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}  )",
      std::string("\x2a\x00\x00\x80\x3f\x00\x00\x00\xc0", 9));
  Result<TensorFile> file = parse_safetensors(bytes, "hand");
  ASSERT_TRUE(succeeds(file));
  EXPECT_EQ(file->metadata.at("format"), "pt");
  EXPECT_EQ(file->tensors.at("b").shape, (Shape{1, 2}));
  EXPECT_EQ(to_floats(file->tensors.at("b")), (std::vector<float>{1, -2}));
  EXPECT_EQ(file->tensors.at("a").shape, Shape{});
  EXPECT_EQ(file->tensors.at("a").bytes, std::vector<uint8_t>{42});
}

TEST(Safetensors, RoundTripsEveryTypeAlignedAndDeterministic) {
  TempFolder folder;
  TensorFile file;
  file.metadata = {{"format", "pt"}, {"note", "größe\n"}};
  for (int t = 0; t < 13; ++t) {
    auto type = static_cast<HostType>(t);
    HostTensor tensor{type, Shape{3}, std::vector<uint8_t>(3 * host_type_size(type))};
    for (size_t i = 0; i < tensor.bytes.size(); ++i)
      tensor.bytes.own()[i] = static_cast<uint8_t>(i + 1);
    file.tensors["t." + std::string(host_type_name(type))] = tensor;
  }
  file.tensors["empty"] = {HostType::kF32, Shape{0, 4}, {}};
  ASSERT_TRUE(succeeds(write_safetensors(folder / "a", file)));
  EXPECT_EQ(*read_safetensors(folder / "a"), file);
  ASSERT_TRUE(succeeds(write_safetensors(folder / "b", file)));
  std::string bytes = bytes_of(folder / "a");
  EXPECT_EQ(bytes, bytes_of(folder / "b"));
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  EXPECT_EQ(header % 8, 0u);
}

// What lies elsewhere, such as on a device, is asked for when it is written, and no earlier.
TEST(Safetensors, BytesThatAreMadeInPiecesGiveTheSameFile) {
  TempFolder folder;
  TensorFile held, made;
  held.tensors["w"] = tensor_from_floats({2, 3}, {1, 2, 3, 4, 5, 6});
  held.tensors["v"] = tensor_from_bytes({2}, {7, 8});
  int asked = 0;
  for (const auto& [name, tensor] : held.tensors) {
    const auto make = [&asked, bytes = tensor.bytes](const ByteSink& sink) -> Status {
      ++asked;
      for (const uint8_t byte : bytes) ITO_TRY(sink({reinterpret_cast<const char*>(&byte), 1}));
      return {};
    };
    made.tensors[name] = {tensor.type, tensor.shape, TensorBytes::made(tensor.bytes.size(), make)};
  }
  EXPECT_EQ(asked, 0);
  ASSERT_TRUE(succeeds(write_safetensors(folder / "held", held)));
  ASSERT_TRUE(succeeds(write_safetensors(folder / "made", made)));
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(bytes_of(folder / "made"), bytes_of(folder / "held"));

  made.tensors["v"].bytes = TensorBytes::made(
      2, [](const ByteSink&) -> Status { return io_error("the device is gone"); });
  const Status status = write_safetensors(folder / "made", made);
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("the device is gone"), std::string::npos);
  EXPECT_EQ(bytes_of(folder / "made"), bytes_of(folder / "held"));
}

TEST(Safetensors, EachLieIsACorruptErrorThatNamesIt) {
  struct Case {
    const char* header;
    std::string data;
    std::vector<const char*> parts;
  };
  const std::string eight(8, '\0');
  const Case cases[] = {
      {"[1,2]", "", {"not a JSON object"}},
      {"{oops", "", {"not valid JSON"}},
      {R"({"w": 3})", "", {"tensor w", "not an object"}},
      {R"({"w":{"shape":[2],"data_offsets":[0,8]}})", eight, {"tensor w", "dtype is missing"}},
      {R"({"w":{"dtype":"F32","data_offsets":[0,8]}})", eight, {"tensor w", "shape is missing"}},
      {R"({"w":{"dtype":"F32","shape":[2]}})", eight, {"tensor w", "data_offsets must be"}},
      {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})",
       eight,
       {"tensor w", "unexpected key 'x'"}},
      {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,16]}})",
       eight,
       {"tensor w", "[0, 16]", "outside the 8 bytes", "truncated"}},
      {R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", eight, {"tensor w", "[8, 0]"}},
      {R"({"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})",
       eight,
       {"tensor w", "takes 12 bytes", "span 8"}},
      {R"({"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})",
       eight,
       {"tensor w", "overflows"}},
      {R"({"w":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})",
       eight,
       {"tensor w", "impossible extent"}},
      {R"({"w":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]}})",
       eight,
       {"tensor w", "impossible extent"}},
      {R"({"w":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})",
       eight,
       {"tensor w", "impossible extent"}},
      {R"({"a":{"dtype":"U8","shape":[6],"data_offsets":[0,6]},)"
       R"("b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
       eight,
       {"tensor b", "overlapping"}},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
       R"("b":{"dtype":"U8","shape":[2],"data_offsets":[6,8]}})",
       eight,
       {"tensor b", "gap after 4"}},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", eight, {"8 bytes", "take 4"}},
      {R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)"
       R"("a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})",
       eight,
       {"'a' appears twice"}},
      {R"({"__metadata__":{"n":1}})", "", {"__metadata__", "'n'", "expected a string, found 1"}},
  };
  for (const Case& c : cases) {
    Result<TensorFile> result = parse_safetensors(file_of(c.header, c.data), "model.safetensors");
    EXPECT_TRUE(fails(result, ErrorKind::kCorrupt, "model.safetensors")) << c.header;
    for (const char* part : c.parts)
      EXPECT_TRUE(fails(result, ErrorKind::kCorrupt, part)) << c.header;
  }
  // A type that is not read is no lie, but its place can be one.
  EXPECT_TRUE(fails(
      parse_safetensors(
          file_of(R"({"w":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,9]}})", eight), "m"),
      ErrorKind::kCorrupt, "tensor w", "outside"));
}

// What another reader might see otherwise, or not at all.
TEST(Safetensors, HeadersBeginWithABraceAndHideNothing) {
  const std::string entry = R"("w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  ASSERT_TRUE(succeeds(parse_safetensors(file_of("{" + entry + "}   ", "x"), "m")));
  EXPECT_TRUE(fails(parse_safetensors(file_of(" {" + entry + "}", "x"), "m"), ErrorKind::kCorrupt,
                    "begins with byte 0x20"));
  EXPECT_TRUE(fails(parse_safetensors(file_of("\xef\xbb\xbf{" + entry + "}", "x"), "m"),
                    ErrorKind::kCorrupt, "begins with byte 0xef"));
  EXPECT_TRUE(fails(parse_safetensors(file_of("{" + entry + "}" + '\0', "x"), "m"),
                    ErrorKind::kCorrupt, "a NUL"));
  EXPECT_TRUE(fails(parse_safetensors(file_of("{" + entry + "}{}", "x"), "m"), ErrorKind::kCorrupt,
                    "not valid JSON"));
  std::string axes = "1";
  for (int i = 1; i < 64; ++i) axes += ",1";
  const auto of_axes = [&](const std::string& shape) {
    return parse_safetensors(
        file_of(R"({"w":{"dtype":"U8","shape":[)" + shape + R"(],"data_offsets":[0,1]}})", "x"),
        "m");
  };
  EXPECT_TRUE(succeeds(of_axes(axes)));
  EXPECT_TRUE(fails(of_axes(axes + ",1"), ErrorKind::kCorrupt, "more than 64 axes"));
  EXPECT_TRUE(fails(of_axes("[1]"), ErrorKind::kCorrupt, "impossible extent a list"));
  EXPECT_TRUE(fails(parse_safetensors(file_of(R"({"__metadata__":{"a":{"b":"c"}}})", ""), "m"),
                    ErrorKind::kCorrupt, "expected a string, found an object"));
  EXPECT_TRUE(fails(
      parse_safetensors(
          file_of(R"({"w":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "x"),
          "m"),
      ErrorKind::kCorrupt, "'dtype' appears twice"));
  EXPECT_TRUE(
      fails(parse_safetensors(
                file_of(R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}})", "x"), "m"),
            ErrorKind::kCorrupt, "two non-negative integers"));
}

TEST(Safetensors, HeaderLengthIsBoundedBeforeItIsBelieved) {
  EXPECT_TRUE(fails(parse_safetensors("a\x01"
                                      "c",
                                      "m"),
                    ErrorKind::kCorrupt, "3 bytes"));
  std::string bytes = file_of("{}", "");
  bytes[0] = 100;
  EXPECT_TRUE(
      fails(parse_safetensors(bytes, "m"), ErrorKind::kCorrupt, "header length 100", "truncated"));
  bytes[7] = '\x7f';
  EXPECT_TRUE(fails(parse_safetensors(bytes, "m"), ErrorKind::kCorrupt, "limit"));
}

// Only what is text is quoted: bytes that are none would be written to a terminal.
TEST(Safetensors, BytesThatAreNoTextAreNotQuoted) {
  for (const std::string& bytes : {std::string(300, '\xff'), std::string(300, '\xc3'),
                                   std::string(300, '\x80'), std::string(7, '\xff')}) {
    const auto file = parse_safetensors(bytes, "junk");
    ASSERT_FALSE(file.ok());
    for (const char c : file.error().message) EXPECT_LT(static_cast<unsigned char>(c), 0x80);
  }
  // "Zugriff verweigert: Schlüssel", cut off in its last character.
  const std::string text = "Zugriff verweigert: Schl\xc3\xbcssel \xc3";
  EXPECT_TRUE(fails(parse_safetensors(text, "page"), ErrorKind::kCorrupt, "begins with \"Zugriff"));
}

TEST(Safetensors, EveryTruncationIsAnError) {
  TempFolder folder;
  TensorFile file;
  file.tensors["w"] = tensor_from_floats({2, 2}, {1, 2, 3, 4});
  file.tensors["n"] = tensor_from_int64({1}, {9});
  ASSERT_TRUE(succeeds(write_safetensors(folder / "a", file)));
  std::string bytes = bytes_of(folder / "a");
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(parse_safetensors(std::string_view(bytes).substr(0, size), "m").ok()) << size;
}

TEST(Safetensors, MissingFileIsNotFound) {
  TempFolder folder;
  EXPECT_TRUE(fails(read_safetensors(folder / "none.safetensors"), ErrorKind::kNotFound,
                    "none.safetensors"));
  EXPECT_TRUE(fails(find_tensor(TensorFile{}, "conv_in.weight", "unet"), ErrorKind::kNotFound,
                    "unet: no tensor conv_in.weight"));
}

}  // namespace
}  // namespace ito
