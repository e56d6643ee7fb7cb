// Files that others made to test readers, against what Python's readers make of them: as many are
// read and as many refused, and what is read is the same. Where the two differ on purpose the table
// says why. scripts/corpora fetches the files; without them the tests are skipped.
#include <cstdlib>
#include <map>

#include "io/compress.h"
#include "io/json.h"
#include "io/npy.h"
#include "io/pictures/picture.h"
#include "io/safetensors.h"
#include "io/tar.h"
#include "io/zip.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

// "" where the folder is not there.
Path corpora_folder() {
  if (const char* given = std::getenv("ITO_CORPORA")) return given;
  const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  return (cache != nullptr ? Path(cache) : Path(home != nullptr ? home : "") / ".cache") /
         "ito/corpora-1";
}

// What a reader found, in the form of expected.json.
using Found = Result<Json>;

Json size_and_sum(std::string_view bytes) { return {bytes.size(), crc32_of(bytes)}; }

Found read_zip_files(const std::string& bytes) {
  ITO_ASSIGN(const std::vector<ZipEntry> entries, parse_zip(bytes, "zip"));
  std::vector<Json> found;
  for (const ZipEntry& entry : entries) {
    ITO_ASSIGN(const std::string content, read_zip_entry(entry, "zip"));
    found.push_back({crc32_of(entry.name), content.size(), crc32_of(content)});
  }
  std::sort(found.begin(), found.end());
  return Json(found);
}

Found read_tar_files(const std::string& bytes) {
  std::vector<std::string> others;
  ITO_ASSIGN(const std::vector<TarEntry> entries, parse_tar(bytes, "tar", &others));
  Json found = Json::array();
  for (const TarEntry& entry : entries)
    found.push_back({crc32_of(entry.name), entry.content.size(), crc32_of(entry.content)});
  return found;
}

template <Compression format>
Found read_inflated(const std::string& bytes) {
  ITO_ASSIGN(const std::string content, inflate(bytes, format, "packed", uint64_t{1} << 26));
  return size_and_sum(content);
}

Found read_pixels(const std::string& bytes) {
  ITO_ASSIGN(const Picture picture, decode_picture(bytes, "picture"));
  if (picture.bits == 16 && picture.c == 1) return Json{picture.w, picture.h, nullptr};
  std::string rgba;
  const size_t c = static_cast<size_t>(picture.c);
  for (size_t i = 0; i < picture.samples.size(); i += c) {
    for (size_t k = 0; k < 3; ++k)
      rgba += static_cast<char>(picture.samples[i + (c >= 3 ? k : 0)] >> (picture.bits - 8));
    rgba += static_cast<char>(picture.has_alpha() ? picture.samples[i + c - 1] >> (picture.bits - 8)
                                                  : 255);
  }
  return Json{picture.w, picture.h, crc32_of(rgba)};
}

// The reference's text is parsed by the same parser: what is compared is the values.
Found read_value(const std::string& bytes) { return parse_json(bytes, "json"); }

Found read_array(const std::string& bytes) {
  if (const auto texts = parse_npy_texts(bytes, "npy"); texts.ok())
    return Json{texts->shape.dims(), texts->texts};
  ITO_ASSIGN(const HostTensor tensor, parse_npy(bytes, "npy"));
  const std::string_view values(reinterpret_cast<const char*>(tensor.bytes.data()),
                                tensor.bytes.size());
  return Json{tensor.shape.dims(), crc32_of(values)};
}

Found read_tensors_of(const std::string& bytes) {
  ITO_ASSIGN(const TensorFile file, parse_safetensors(bytes, "safetensors"));
  return Json(file.tensors.size());
}

struct Corpus {
  const char* kind;
  Found (*read)(const std::string& bytes);
  size_t least;                                    // files that it has
  bool values = true;                              // whether what is found is compared
  std::map<std::string, const char*> differ = {};  // a file, and why this reader decides otherwise
};

constexpr const char *kNoEnd = "an archive without its end may have been cut",
                     *kHoles = "files with holes are left out by name";
constexpr const char* kPillowFills = "what is missing is not made up";
constexpr const char *kInfinite = "no number of that size", *kHalfPair = "half of a UTF-16 pair";

const Corpus kCorpora[] = {
    {"safetensors", read_tensors_of, 50, false, {}},
    {"json",
     read_value,
     300,
     true,
     {{"i_number_huge_exp.json", kInfinite},
      {"i_number_neg_int_huge_exp.json", kInfinite},
      {"i_number_pos_double_huge_exp.json", kInfinite},
      {"i_number_real_neg_overflow.json", kInfinite},
      {"i_number_real_pos_overflow.json", kInfinite},
      {"i_object_key_lone_2nd_surrogate.json", kHalfPair},
      {"i_string_1st_surrogate_but_2nd_missing.json", kHalfPair},
      {"i_string_1st_valid_surrogate_2nd_invalid.json", kHalfPair},
      {"i_string_incomplete_surrogate_and_escape_valid.json", kHalfPair},
      {"i_string_incomplete_surrogate_pair.json", kHalfPair},
      {"i_string_incomplete_surrogates_escape_valid.json", kHalfPair},
      {"i_string_invalid_lonely_surrogate.json", kHalfPair},
      {"i_string_invalid_surrogate.json", kHalfPair},
      {"i_string_inverted_surrogates_U+1D11E.json", kHalfPair},
      {"i_string_lone_second_surrogate.json", kHalfPair},
      {"string_1_escaped_invalid_codepoint.json", kHalfPair},
      {"string_2_escaped_invalid_codepoints.json", kHalfPair},
      {"string_3_escaped_invalid_codepoints.json", kHalfPair},
      {"i_structure_500_nested_arrays.json", "64 levels are read"},
      {"i_structure_UTF-8_BOM_empty_object.json", "a mark that editors write is passed over"}}},
    {"zip",
     read_zip_files,
     29,
     true,
     {{"test-prefix.zip", "bytes that the offsets do not count"},
      {"test-trailing-junk.zip", "bytes behind the end"},
      {"readme.zip", "bytes behind the end"},
      {"test-baddirsz.zip", "the size of the directory is not looked at"}}},
    {"tar",
     read_tar_files,
     42,
     true,
     {{"gnu-multi-hdrs.tar", kNoEnd},
      {"nil-uid.tar", kNoEnd},
      {"pax-bad-mtime-file.tar", kNoEnd},
      {"pax-multi-hdrs.tar", kNoEnd},
      {"pax-pos-size-file.tar", kNoEnd},
      {"ustar-file-reg.tar", kNoEnd},
      {"gnu-nil-sparse-data.tar", kHoles},
      {"gnu-nil-sparse-hole.tar", kHoles},
      {"pax-nil-sparse-data.tar", kHoles},
      {"pax-nil-sparse-hole.tar", kHoles},
      {"pax-sparse-big.tar", kHoles},
      {"invalid-go17.tar", "GNU's headers have no prefix of a name"},
      {"pax-global-records.tar", "names for all files are passed over"}}},
    {"gzip", read_inflated<Compression::kGzip>, 3, true, {}},
    {"deflate", read_inflated<Compression::kDeflate>, 50, true, {}},
    {"npy", read_array, 4, true, {{"py3-objarr.npy", "objects that are no texts"}}},
    {"png",
     read_pixels,
     50,
     true,
     {{"ftbbn0g04.png", "Pillow's transparent grey has another depth than its pixels"},
      {"invalid-noend.png", kPillowFills},
      {"invalid-trunc.png", kPillowFills},
      {"ftbwn0g16.png", "Pillow's grey of 16 bits has no transparency"},
      {"invalid-palette.png", "an index without an entry"}}},
    {"jpeg", read_pixels, 20, true, {}},
    {"gif", read_pixels, 5, true, {}},
};

void PrintTo(const Corpus& corpus, std::ostream* out) { *out << corpus.kind; }

class Corpora : public ::testing::TestWithParam<Corpus> {};

TEST_P(Corpora, AreReadAndRefusedAsTheReferencesDo) {
  const Corpus& corpus = GetParam();
  const Path folder = corpora_folder();
  if (!file_exists(folder / "expected.json"))
    GTEST_SKIP() << "no corpora in " << folder << "; scripts/corpora fetches them";
  const Json expected = read_json(folder / "expected.json", 16).value();
  if (!expected.contains(corpus.kind))
    GTEST_SKIP() << "the corpora in " << folder << " have no " << corpus.kind;
  size_t files = 0, read = 0;
  std::set<std::string> differ;
  for (const auto& [name, entry] : expected[corpus.kind].items()) {
    SCOPED_TRACE(std::string(corpus.kind) + "/" + name);
    ++files;
    const Found found = corpus.read(test::bytes_of(folder / corpus.kind / name));
    read += found.ok() ? 1 : 0;
    bool same = found.ok() == entry["reads"].get<bool>();
    if (same && found.ok() && corpus.values) {
      const bool text = std::string_view(corpus.kind) == "json";
      const Found reference =
          text ? parse_json(entry["holds"].get<std::string>(), "reference") : entry["holds"];
      same = reference.ok() && *found == *reference;
    }
    if (same) continue;
    differ.insert(name);
    EXPECT_TRUE(corpus.differ.contains(name))
        << (found.ok() ? dump_json_line(*found).substr(0, 300) : found.error().message)
        << "\nthe reference: " << dump_json_line(entry).substr(0, 300);
  }
  EXPECT_GE(files, corpus.least);
  for (const auto& [name, why] : corpus.differ)
    EXPECT_TRUE(differ.contains(name)) << name << " does not differ any more: " << why;
  std::printf("%s: %zu files, %zu read, %zu refused, %zu otherwise than the reference\n",
              corpus.kind, files, read, files - read, differ.size());
}

INSTANTIATE_TEST_SUITE_P(Kinds, Corpora, ::testing::ValuesIn(kCorpora),
                         [](const auto& info) { return std::string(info.param.kind); });

}  // namespace
}  // namespace ito
