// Files that are called weights or configurations and are something else are named for what they
// are; tensors of types that are not read matter only where they are used.
#include "io/file_kind.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "io/weights.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::fails;
using test::put;
using test::succeeds;
using test::TempFolder;

struct Case {
  const char* what;
  std::string bytes;
  const char* says;
};

const std::vector<Case>& cases() {
  using namespace std::string_literals;
  static const std::vector<Case> rows = {
      {"pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
       "a Git LFS pointer"},
      {"page", "<!DOCTYPE html>\n<html><body>Sign in</body></html>", "an HTML page"},
      {"answer", "Entry not found", "Entry not found"},
      {"refusal", "Invalid username or password.", "what a server says"},
      {"picture", "\x89PNG\r\n\x1a\n and so on"s, "a PNG picture"},
      {"tar", std::string(257, 'x') + "ustar" + std::string(300, '\0'), "a tar archive"},
      {"gzip", "\x1f\x8b\x08\0\0\0\0\0\0\0\0\0"s, "a gzip archive"},
      {"empty", "", "an empty file"},
  };
  return rows;
}

TEST(ForeignWeights, AreNamedForWhatTheyAre) {
  TempFolder folder;
  for (const Case& row : cases())
    for (const char* name : {"model.safetensors", "pytorch_model.bin", "model.ckpt", "model.pt"}) {
      put(folder / name, row.bytes);
      EXPECT_TRUE(fails(read_tensors(folder / name), ErrorKind::kCorrupt, name, row.says))
          << row.what;
    }
}

TEST(ForeignWeights, AreNamedWhereAConfigurationWasExpected) {
  TempFolder folder;
  for (const Case& row : cases()) {
    put(folder / "config.json", row.bytes);
    EXPECT_TRUE(
        fails(read_json(folder / "config.json"), ErrorKind::kCorrupt, "config.json", row.says))
        << row.what;
  }
  put(folder / "config.json", R"({"sample_size": 32, "in_chan)");
  EXPECT_TRUE(
      fails(read_json(folder / "config.json"), ErrorKind::kCorrupt, "ends before it is complete"));
  put(folder / "config.json", R"({"sample_size" 32})");
  EXPECT_TRUE(
      fails(read_json(folder / "config.json"), ErrorKind::kCorrupt, "not valid JSON at byte 17"));
}

// A plain text, a truncated file, a zip with something else in it.
TEST(ForeignWeights, SayWhatTheyHoldWhereTheyAreNoneOfThese) {
  TempFolder folder;
  put(folder / "a.safetensors", "the weights are on the other disk\nsee there");
  EXPECT_TRUE(fails(read_tensors(folder / "a.safetensors"), ErrorKind::kCorrupt,
                    "a text that begins with \"the weights are on the other disk\""));
  // Stored, not compressed: one empty file called readme.txt.
  const std::string name = "readme.txt";
  const auto le = [](uint32_t value, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
    return text;
  };
  const std::string fields = le(20, 2) + le(0, 2) + le(0, 2) + le(0, 4) + le(0, 4) + le(0, 4) +
                             le(0, 4) + le(static_cast<uint32_t>(name.size()), 2) + le(0, 2);
  const std::string local = "PK\x03\x04" + fields + name;
  const std::string central = "PK\x01\x02" + le(20, 2) + fields + le(0, 2) + le(0, 2) + le(0, 2) +
                              le(0, 4) + le(0, 4) + name;
  const std::string end = "PK\x05\x06" + le(0, 4) + le(1, 2) + le(1, 2) +
                          le(static_cast<uint32_t>(central.size()), 4) +
                          le(static_cast<uint32_t>(local.size()), 4) + le(0, 2);
  put(folder / "b.bin", local + central + end);
  EXPECT_TRUE(fails(read_tensors(folder / "b.bin"), ErrorKind::kUnsupported,
                    "zip archive without data.pkl", "readme.txt"));
}

std::string safetensors(const std::string& header, size_t data) {
  std::string text(8, '\0');
  const uint64_t size = header.size();
  std::copy_n(reinterpret_cast<const char*>(&size), 8, text.begin());
  return text + header + std::string(data, '\1');
}

TEST(ForeignTypes, AreKeptByNameAndLeftOut) {
  const std::string header =
      R"({"w": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
          "scale": {"dtype": "F8_E4M3", "shape": [3], "data_offsets": [2, 5]},
          "packed": {"dtype": "F4", "shape": [4], "data_offsets": [5, 7]}})";
  const auto file = parse_safetensors(safetensors(header, 7), "f");
  ASSERT_TRUE(succeeds(file));
  EXPECT_EQ(file->tensors.size(), 1u);
  EXPECT_EQ(file->unread,
            (std::map<std::string, std::string>{{"packed", "F4"}, {"scale", "F8_E4M3"}}));
  // Their places are still checked.
  EXPECT_TRUE(fails(parse_safetensors(safetensors(header, 6), "f"), ErrorKind::kCorrupt, "packed"));
}

}  // namespace
}  // namespace ito
