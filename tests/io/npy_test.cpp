#include "io/npy.h"

#include "io/compress.h"
#include "io/zip.h"
#include "tests/io/temp_folder.h"
#include "tests/support/numpy_files.h"

namespace ito {
namespace {

using test::bytes_of;
using test::fails;
using test::put;
using test::succeeds;
using test::TempFolder;
using test::unhex;
using test::write_npy;

// Written by Python's zipfile: x.npy stored (with a ZIP64 local header, as numpy.savez writes),
// y.npy deflated. x = u8 [[[1,2],[3,250]]], y = i64 [-5].
constexpr const char* kPythonArchive =
    "504b03042d0000000000000021008d78f60dffffffffffffffff05001400782e6e707901001000840000000000"
    "00008400000000000000934e554d5059010076007b276465736372273a20277c7531272c2027666f727472616e"
    "5f6f72646572273a2046616c73652c20277368617065273a2028312c20322c2032292c207d2020202020202020"
    "202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020"
    "20200a010203fa504b0304140000000800000021002f949252480000008800000005000000792e6e70799bec17"
    "ea1b10c9c850c650ad9e925a9c5ca46ea5a06e9369a1aea3a09e965f54529498179f5f94920a12774bcc294e05"
    "8a17672416a402f91a863a9a3a0ab50a1400aedfff210000504b01022d032d0000000000000021008d78f60d84"
    "00000084000000050000000000000000000000800100000000782e6e7079504b01021403140000000800000021"
    "002f94925248000000880000000500000000000000000000008001bb000000792e6e7079504b05060000000002"
    "00020066000000260100000000";

std::string npy(std::string dict, std::string data, char major = 1) {
  dict += '\n';
  std::string size = {static_cast<char>(dict.size() & 0xff), static_cast<char>(dict.size() >> 8)};
  if (major > 1) size += std::string(2, '\0');
  return std::string("\x93NUMPY") + major + '\0' + size + dict + data;
}

TEST(Compress, CrcOfTheStandardCheckString) {
  EXPECT_EQ(crc32_of("123456789"), 0xcbf43926u);
  EXPECT_EQ(crc32_of("6789", crc32_of("12345")), 0xcbf43926u);
}

TEST(Npz, TwoArraysOfOneNameAreRefused) {
  TempFolder folder;
  ASSERT_TRUE(succeeds(write_zip(folder / "a.npz", {{"x.npy", "", "one"}, {"x.npy", "", "two"}})));
  EXPECT_TRUE(fails(NpzFile::open(folder / "a.npz"), ErrorKind::kCorrupt, "array x occurs twice"));
}

TEST(Compress, GzipMembersAreJoinedAndDamageIsSeen) {
  // "abc" twice, by gzip.
  const std::string member = unhex("1f8b08000000000002034b4c4a0600c241243503000000");
  EXPECT_EQ(*inflate(member + member, Compression::kGzip, "f", 100), "abcabc");
  EXPECT_TRUE(fails(inflate(member + member, Compression::kGzip, "f", 5), ErrorKind::kCorrupt,
                    "more than 5 bytes"));
  for (size_t size = 0; size < member.size(); ++size)
    EXPECT_TRUE(fails(inflate(member.substr(0, size), Compression::kGzip, "f", 100),
                      ErrorKind::kCorrupt, "f: "))
        << size;
  std::string damaged = member;
  damaged[15] = static_cast<char>(damaged[15] ^ 1);  // inside the checksum
  EXPECT_TRUE(
      fails(inflate(damaged, Compression::kGzip, "f", 100), ErrorKind::kCorrupt, "damaged"));
  EXPECT_FALSE(inflate(member + "tail", Compression::kGzip, "f", 100).ok());
  // gzip itself passes over zeros, after which another member may begin.
  const std::string zeros(2000, '\0');
  EXPECT_EQ(*inflate(member + zeros, Compression::kGzip, "f", 100), "abc");
  EXPECT_EQ(*inflate(member + zeros + member, Compression::kGzip, "f", 100), "abcabc");
  EXPECT_FALSE(inflate(member + zeros + "x", Compression::kGzip, "f", 100).ok());
}

TEST(Npy, HeadersOfPython2OtherOrdersOfBytesAndAxesAreRead) {
  HostTensor a = *parse_npy(npy("{'descr': '<i2', 'fortran_order': False, 'shape': (2L, 1L), }",
                                std::string("\x01\x00\x02\x00", 4)),
                            "a");
  EXPECT_EQ(a.shape, (Shape{2, 1}));
  a = *parse_npy(npy("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }",
                     std::string("\0\1\0\4\0\2\0\5\0\3\0\6", 12)),
                 "a");
  EXPECT_EQ(*to_int64(a, "a"), (std::vector<int64_t>{1, 2, 3, 4, 5, 6}));
}

TEST(Npy, ReadsVersionsAndTypes) {
  HostTensor a = *parse_npy(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
                                {"\0\0\x80\x3f\0\0\0\xc0", 8}),
                            "a");
  EXPECT_EQ(a.shape, Shape{2});
  EXPECT_EQ(to_floats(a), (std::vector<float>{1, -2}));
  HostTensor b =
      *parse_npy(npy("{\"shape\": (), \"descr\": '>u1', 'fortran_order': False}", "\x07", 2), "b");
  EXPECT_EQ(b.shape, Shape{});
  EXPECT_EQ(b.bytes, std::vector<uint8_t>{7});
}

TEST(Npy, BadFilesAreNamed) {
  auto parse = [](const char* dict, std::string data) {
    return parse_npy(npy(dict, std::move(data)), "x.npy");
  };
  EXPECT_TRUE(fails(parse_npy("PK", "x.npy"), ErrorKind::kCorrupt, "x.npy: not a NumPy"));
  EXPECT_TRUE(fails(parse("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "12345678"),
                    ErrorKind::kCorrupt, "shape [3] takes 12 bytes, found 8"));
  EXPECT_TRUE(fails(
      parse("{'descr': [('a', '<f4'), ('b', '<i4')], 'fortran_order': False, 'shape': (2,), }",
            "12345678"),
      ErrorKind::kUnsupported, "('a', '<f4')", "records"));
  EXPECT_TRUE(fails(parse("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", ""),
                    ErrorKind::kUnsupported, "'|O'"));
  EXPECT_TRUE(fails(parse("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", ""),
                    ErrorKind::kCorrupt, "impossible shape"));
  EXPECT_TRUE(fails(
      parse("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 9), }", ""),
      ErrorKind::kCorrupt, "impossible shape"));
  EXPECT_TRUE(
      fails(parse("{'descr': '<f4', 'shape': (2,), }", ""), ErrorKind::kCorrupt, "damaged"));
  std::string cut = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "12345678");
  for (size_t size = 0; size < cut.size(); ++size)
    EXPECT_FALSE(parse_npy(std::string_view(cut).substr(0, size), "x").ok()) << size;
}

TEST(Npy, HeaderIsWhatNumpyWrites) {
  TempFolder folder;
  ASSERT_TRUE(
      succeeds(write_npy(folder / "a.npy", tensor_from_floats({2, 3}, std::vector<float>(6)))));
  std::string bytes = bytes_of(folder / "a.npy");
  EXPECT_EQ(bytes.size(), 128u + 24u);
  EXPECT_EQ(bytes.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_EQ(bytes.substr(10, 59), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
  EXPECT_EQ(bytes[127], '\n');
  ASSERT_TRUE(succeeds(write_npy(folder / "v.npy", tensor_from_int64({1}, {4}))));
  EXPECT_NE(bytes_of(folder / "v.npy").find("'shape': (1,), }"), std::string::npos);
  ASSERT_TRUE(succeeds(write_npy(folder / "s.npy", tensor_from_int64({}, {4}))));
  EXPECT_NE(bytes_of(folder / "s.npy").find("'shape': (), }"), std::string::npos);
  EXPECT_EQ(read_npy(folder / "s.npy")->shape, Shape{});
  HostTensor bf16{HostType::kBF16, Shape{1}, {0, 0}};
  EXPECT_TRUE(fails(write_npy(folder / "b.npy", bf16), ErrorKind::kInvalidArgument, "BF16"));
}

TEST(Npz, ReadsPythonsArchives) {
  TensorFile file = *parse_npz(unhex(kPythonArchive), "a.npz");
  EXPECT_EQ(file.tensors.at("x"), tensor_from_bytes({1, 2, 2}, {1, 2, 3, 250}));
  EXPECT_EQ(file.tensors.at("y"), tensor_from_int64({1}, {-5}));
}

TEST(Npz, RoundTripsDeterministically) {
  TempFolder folder;
  TensorFile file;
  file.tensors["images"] = tensor_from_bytes({2, 2, 1, 1}, {1, 2, 3, 4});
  file.tensors["labels"] = tensor_from_int64({2}, {0, 9});
  file.tensors["none"] = tensor_from_floats({0}, {});
  ASSERT_TRUE(succeeds(write_npz(folder / "a.npz", file)));
  ASSERT_TRUE(succeeds(write_npz(folder / "b.npz", file)));
  EXPECT_EQ(*read_npz(folder / "a.npz"), file);
  EXPECT_EQ(bytes_of(folder / "a.npz"), bytes_of(folder / "b.npz"));
}

TEST(Npz, HoldsTextsAsNumpyDoes) {
  TempFolder folder;
  const std::vector<std::string> names = {"boot", "Stra\u00dfe", "", "\u732b", "\U0001f600!"};
  ASSERT_TRUE(succeeds(write_npz(folder / "a.npz", {}, {{"names", names}, {"no", {}}})));
  EXPECT_NE(bytes_of(folder / "a.npz")
                .find("{'descr': '<U6', 'fortran_order': False, "
                      "'shape': (5,), }"),
            std::string::npos);
  const NpzFile file = NpzFile::open(folder / "a.npz").value();
  EXPECT_EQ(file.read_texts("names")->texts, names);
  EXPECT_EQ(file.read_texts("no")->shape, Shape{0});
  // A byte that begins no character, and a character that is cut.
  ASSERT_TRUE(succeeds(write_npz(folder / "b.npz", {}, {{"names", {"a\xff", "\xe7\x8c"}}})));
  EXPECT_EQ(NpzFile::open(folder / "b.npz")->read_texts("names")->texts,
            (std::vector<std::string>{"a\ufffd", "\ufffd\ufffd"}));
}

// As the fuzzer found it: of no characters, which divided by zero.
TEST(Npy, TextsOfNoCharactersAreEmpty) {
  const auto array = [](const std::string& shape, const std::string& data) {
    const std::string header =
        "{'descr': '<U0', 'fortran_order': False, 'shape': " + shape + ", }\n";
    return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header +
           data;
  };
  EXPECT_EQ(parse_npy_texts(array("(2,)", ""), "a.npy")->texts, std::vector<std::string>(2));
  EXPECT_EQ(parse_npy_texts(array("(0,)", ""), "a.npy")->shape, Shape{0});
  EXPECT_TRUE(fails(parse_npy_texts(array("(2,)", "abcd"), "a.npy"), ErrorKind::kCorrupt,
                    "a.npy: shape [2] takes 0 bytes, found 4"));
  EXPECT_TRUE(fails(parse_npy_texts(array("(99999999,)", ""), "a.npy"), ErrorKind::kUnsupported,
                    "a.npy: 99999999 texts"));
}

TEST(Npz, DamageIsSeen) {
  const std::string good = unhex(kPythonArchive);
  EXPECT_TRUE(fails(parse_npz("", "a.npz"), ErrorKind::kCorrupt, "a.npz: not a zip"));
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(parse_npz(std::string_view(good).substr(0, size), "a.npz").ok()) << size;
  std::string flipped = good;
  flipped[180] = static_cast<char>(flipped[180] ^ 1);  // in the data of x.npy
  EXPECT_TRUE(fails(parse_npz(flipped, "a.npz"), ErrorKind::kCorrupt, "a.npz: x.npy", "checksum"));
}

}  // namespace
}  // namespace ito
