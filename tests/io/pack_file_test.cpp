#include "io/pack_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "base/device_forms.h"
#include "base/sha256.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::fails;
using test::put;
using test::succeeds;
using test::TempFolder;

constexpr size_t kSizesAt = 8, kDigestAt = 24, kHeader = 88;

PackedKernel kernel(const char* name, uint32_t words) {
  PackedKernel made{name, std::vector<uint32_t>(words)};
  for (uint32_t i = 0; i < words; ++i) made.spirv[i] = i * 2654435761u;
  made.spirv[0] = 0x07230203;
  return made;
}

KernelPack sample_pack() {
  KernelPack pack;
  pack.model = "models/tiny";
  pack.jobs = {"sample sampler=ddim steps=2", "evaluate"};
  for (const DeviceFormRow& row : device_form_rows())
    if (row.make != nullptr) pack.forms.push_back(row.make());
  pack.forms.back().matrix_shapes.push_back({.m = 8, .n = 8, .k = 32, .saturating = true});
  pack.kernels.emplace(kernel_key("a"), kernel("map_a", 5));
  pack.kernels.emplace(kernel_key("b"), kernel("map_b", 300));
  return pack;
}

// The same bytes with the sizes and the checksum that belong to them.
std::string sealed(std::string bytes, uint64_t description) {
  const uint64_t sizes[] = {description, bytes.size() - kHeader - description};
  std::memcpy(bytes.data() + kSizesAt, sizes, sizeof sizes);
  const std::string digest =
      sha256_hex(bytes.substr(kSizesAt, sizeof sizes) + bytes.substr(kHeader));
  return bytes.replace(kDigestAt, digest.size(), digest);
}

uint64_t description_size(const std::string& bytes) {
  uint64_t size = 0;
  std::memcpy(&size, bytes.data() + kSizesAt, sizeof size);
  return size;
}

// A pack whose description has `from` replaced by `to`, with a checksum that is right.
std::string described(const std::string& from, const std::string& to) {
  std::string bytes = pack_bytes(sample_pack());
  const uint64_t size = description_size(bytes);
  const size_t at = bytes.find(from, kHeader);
  EXPECT_LT(at, kHeader + size) << from;
  bytes.replace(at, from.size(), to);
  return sealed(bytes, size + to.size() - from.size());
}

TEST(PackFile, ComesBackAsItWasWritten) {
  const TempFolder folder;
  const KernelPack pack = sample_pack();
  ASSERT_TRUE(succeeds(write_pack(folder / "a.itopack", pack)));
  const auto read = read_pack(folder / "a.itopack");
  ASSERT_TRUE(succeeds(read));
  EXPECT_EQ(read->model, pack.model);
  EXPECT_EQ(read->jobs, pack.jobs);
  EXPECT_EQ(read->forms, pack.forms);
  ASSERT_EQ(read->kernels.size(), pack.kernels.size());
  for (const auto& [key, made] : pack.kernels) {
    EXPECT_EQ(read->kernels.at(key).name, made.name);
    EXPECT_EQ(read->kernels.at(key).spirv, made.spirv);
  }
  EXPECT_EQ(pack_bytes(*read), pack_bytes(pack));
}

TEST(PackFile, WordsMayBeAtAnyAddress) {
  const std::string moved = " " + pack_bytes(sample_pack());
  EXPECT_TRUE(succeeds(parse_pack(std::string_view(moved).substr(1), "data")));
}

TEST(PackFile, IsCutNowhereWithoutBeingNoticed) {
  const std::string bytes = pack_bytes(sample_pack());
  for (size_t size = 0; size < bytes.size(); ++size)
    ASSERT_TRUE(fails(parse_pack(bytes.substr(0, size), "p"), ErrorKind::kCorrupt, "p")) << size;
  EXPECT_TRUE(fails(parse_pack(bytes + "x", "p"), ErrorKind::kCorrupt, "are there"));
}

TEST(PackFile, EveryDamagedByteIsNoticed) {
  const std::string bytes = pack_bytes(sample_pack());
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    ASSERT_TRUE(fails(parse_pack(damaged, "p"), ErrorKind::kCorrupt)) << at;
  }
}

TEST(PackFile, SaysWhatIsWrong) {
  EXPECT_TRUE(fails(parse_pack("PNG", "p"), ErrorKind::kCorrupt, "p is no pack", "itopack1"));
  std::string other = pack_bytes(sample_pack());
  other[7] = '2';
  EXPECT_TRUE(fails(parse_pack(other, "p"), ErrorKind::kCorrupt, "another version", "ito pack"));
  std::string huge = pack_bytes(sample_pack());
  const uint64_t sizes[] = {UINT64_MAX - 7, 8};  // whose sum is small
  std::memcpy(huge.data() + kSizesAt, sizes, sizeof sizes);
  EXPECT_TRUE(fails(parse_pack(huge, "p"), ErrorKind::kCorrupt, "are there"));
  const struct {
    const char *from, *to, *says;
  } cases[] = {
      {"\"words\":5", "\"words\":4", "words"},
      {"\"words\":300", "\"words\":301", "words"},
      {"\"words\":300", "\"words\":18446744073709551615", "words"},
      {"\"words\":300", "\"words\":299", "SPIR-V"},  // the next begins a word too early
      {"\"words\":300", "\"words\":-1", "words"},
      {"\"name\":\"map_b\"", "\"nome\":\"map_b\"", "name"},
      {"\"subgroup_size\":32", "\"subgroup_size\":0", "subgroup_size is 0"},
      {"\"max_groups_x\":65535", "\"max_groups_x\":4294967296", "2^32"},
      {"\"scope\":\"subgroup\"", "\"scope\":\"planet\"", "scope"},
      {"\"a\":\"f16\"", "\"a\":\"f17\"", "type of elements"},
      {"\"forms\":[", "\"forms\":{\"a\":[", "JSON"},
      {"\"jobs\":[", "\"jobs\":[7,", "jobs"},
  };
  for (const auto& c : cases)
    EXPECT_TRUE(fails(parse_pack(described(c.from, c.to), "p"), ErrorKind::kCorrupt, "p", c.says))
        << c.to;
  const std::string key = kernel_key("a"), other_key = kernel_key("b");
  EXPECT_TRUE(fails(parse_pack(described(key, other_key), "p"), ErrorKind::kCorrupt, "twice"));
  EXPECT_TRUE(fails(parse_pack(described(key, std::string(64, 'x')), "p"), ErrorKind::kCorrupt,
                    "hexadecimal"));
  const std::string whole = pack_bytes(sample_pack());
  EXPECT_TRUE(fails(parse_pack(sealed(whole + "more", description_size(whole)), "p"),
                    ErrorKind::kCorrupt, "bytes of modules"));
  KernelPack no_spirv = sample_pack();
  no_spirv.kernels.begin()->second.spirv[0] = 0;
  EXPECT_TRUE(fails(parse_pack(pack_bytes(no_spirv), "p"), ErrorKind::kCorrupt, "SPIR-V"));
}

// Descriptions with random damage and checksums that are right: a value or an error, and never more
// kernels than there are bytes for.
TEST(PackFile, NothingThatItSaysIsTrusted) {
  std::mt19937 random(7);
  const std::string whole = pack_bytes(sample_pack());
  int read = 0, refused = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string bytes = whole;
    uint64_t description = description_size(bytes);
    for (int edit = 0; edit < 3; ++edit) {
      const size_t at = kHeader + random() % (bytes.size() - kHeader);
      const bool in_description = at < kHeader + description;
      switch (random() % 4) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes[at] = static_cast<char>('0' + random() % 10);
          break;
        case 2:
          bytes.erase(at, 1);
          description -= in_description ? 1 : 0;
          break;
        case 3:
          bytes.insert(at, 1, "{}[]\",:-09e."[random() % 12]);
          description += in_description ? 1 : 0;
          break;
      }
    }
    const auto pack = parse_pack(sealed(bytes, description), "p");
    (pack.ok() ? read : refused) += 1;
    if (!pack.ok()) {
      EXPECT_EQ(pack.error().kind, ErrorKind::kCorrupt) << pack.error().message;
    }
  }
  EXPECT_GT(read, 0);
  EXPECT_GT(refused, 1000);
}

TEST(PackFile, AFileThatIsNotThereIsNamed) {
  const TempFolder folder;
  EXPECT_TRUE(fails(read_pack(folder / "none.itopack"), ErrorKind::kNotFound, "none.itopack"));
  put(folder / "text.itopack", "hello");
  EXPECT_TRUE(fails(read_pack(folder / "text.itopack"), ErrorKind::kCorrupt, "text.itopack"));
}

}  // namespace
}  // namespace ito
