// What a file costs that lies or was made to burst: at most twice its size and 64 MiB, read in a
// process of its own that looks at its highest mark. Sanitizers have memory of their own and
// measure something else.
#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <cstring>
#include <ctime>
#include <functional>
#include <random>

#include "io/compress.h"
#include "io/dataset.h"
#include "io/json.h"
#include "io/npy.h"
#include "io/pickle.h"
#include "io/pictures/picture.h"
#include "io/safetensors.h"
#include "io/tar.h"
#include "io/torch_file.h"
#include "io/zip.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::put;
using test::TempFolder;

constexpr size_t kMiB = size_t{1} << 20;
#ifdef __SANITIZE_ADDRESS__
constexpr bool kMemoryIsOurs = false;  // what is freed stays in the sanitizer's hands
#else
constexpr bool kMemoryIsOurs = true;
#endif

// Bytes by which `work` raises the highest mark of a process that does nothing else.
size_t peak_of(const std::function<void()>& work) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  ::malloc_trim(0);  // memory that was freed and kept would be used without being seen
  const pid_t child = ::fork();
  if (child == 0) {
    const auto mark = [] {
      rusage usage = {};
      ::getrusage(RUSAGE_SELF, &usage);
      return static_cast<size_t>(usage.ru_maxrss) * 1024;
    };
    const size_t before = mark();
    work();
    const size_t grown = mark() - before;
    ::_exit(::write(ends[1], &grown, sizeof grown) == sizeof grown ? 0 : 1);
  }
  size_t grown = SIZE_MAX;
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(::read(ends[0], &grown, sizeof grown), static_cast<ssize_t>(sizeof grown));
  ::close(ends[0]);
  ::close(ends[1]);
  return grown;
}

// Puts the bytes into a file, so that the process that reads them has none of them yet.
template <typename Read>
void expect_bounded(const char* name, const std::string& bytes, const Read& read) {
  SCOPED_TRACE(name);
  const TempFolder folder;
  put(folder / "file", bytes);
  const size_t peak = peak_of([&] { (void)read(folder / "file"); });
  if (kMemoryIsOurs) {
    EXPECT_LE(peak, 2 * bytes.size() + 64 * kMiB) << bytes.size() << " bytes";
  }
  testing::Test::RecordProperty(name, std::to_string(peak / kMiB) + " MiB");
  std::printf("%-36s %9zu bytes: %4zu MiB\n", name, bytes.size(), peak / kMiB);
}

std::string number(uint64_t value, size_t size, bool big = false) {
  std::string out;
  for (size_t i = 0; i < size; ++i) {
    const size_t place = big ? size - 1 - i : i;
    out += static_cast<char>(place < sizeof value ? value >> 8 * place : 0);
  }
  return out;
}

// `size` zeros, deflated with `window` bits as zlib has it: -15 bare, 31 gzip.
std::string packed_zeros(uint64_t size, int window) {
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out, zeros(kMiB, '\0'), piece(kMiB, '\0');
  for (uint64_t done = 0; done <= size; done += zeros.size()) {
    stream.next_in = reinterpret_cast<Bytef*>(zeros.data());
    stream.avail_in = static_cast<uInt>(std::min<uint64_t>(zeros.size(), size - done));
    do {
      stream.next_out = reinterpret_cast<Bytef*>(piece.data());
      stream.avail_out = static_cast<uInt>(piece.size());
      deflate(&stream, done + zeros.size() > size ? Z_FINISH : Z_NO_FLUSH);
      out.append(piece, 0, piece.size() - stream.avail_out);
    } while (stream.avail_out == 0);
  }
  deflateEnd(&stream);
  return out;
}

// An archive of `count` entries that have the same deflated bytes, each a copy of its own or all at
// one place.
std::string archive(const std::string& packed, uint64_t size, int count, bool shared) {
  std::string out, directory;
  size_t local = 0;
  for (int i = 0; i < count; ++i) {
    const std::string name = std::to_string(i) + ".npy";
    const std::string fields = number(20, 2) + number(0, 2) + number(8, 2) + number(0, 4) +
                               number(0, 4) + number(packed.size(), 4) + number(size, 4) +
                               number(name.size(), 2) + number(0, 2);
    if (!shared || i == 0) {
      local = out.size();
      out += "PK\x03\x04" + fields + name + packed;
    }
    directory += "PK\x01\x02" + number(20, 2) + fields + number(0, 10) + number(local, 4) + name;
  }
  const size_t at = out.size();
  return out + directory + "PK\x05\x06" + number(0, 4) + number(static_cast<uint64_t>(count), 2) +
         number(static_cast<uint64_t>(count), 2) + number(directory.size(), 4) + number(at, 4) +
         number(0, 2);
}

std::string safetensors_of(const std::string& header) { return number(header.size(), 8) + header; }

// A header of `count` empty tensors.
std::string many_tensors(int count, const std::string& name) {
  std::string header = "{";
  for (int i = 0; i < count; ++i)
    header += (i > 0 ? ",\"" : "\"") + name + std::to_string(i) +
              R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  return header + "}";
}

std::string png_chunk(const std::string& type, const std::string& data) {
  return number(data.size(), 4, true) + type + data + number(crc32_of(type + data), 4, true);
}
// Claims w x h pixels and has next to none; `weight` bytes of something else make it large.
std::string lying_png(uint64_t w, uint64_t h, int depth, int type, bool interlaced, size_t weight) {
  return "\x89PNG\r\n\x1a\n" +
         png_chunk("IHDR", number(w, 4, true) + number(h, 4, true) + static_cast<char>(depth) +
                               static_cast<char>(type) + std::string(2, '\0') +
                               static_cast<char>(interlaced ? 1 : 0)) +
         png_chunk("prIv", std::string(weight, 'x')) + png_chunk("IDAT", packed_zeros(1000, 15)) +
         png_chunk("IEND", "");
}

std::string lying_tiff(uint32_t w, uint32_t h, uint16_t bits, uint16_t samples, uint16_t form) {
  const auto field = [](uint64_t tag, uint64_t type, uint64_t value) {
    return number(tag, 2) + number(type, 2) + number(1, 4) + number(value, 4);
  };
  return std::string("II*\0", 4) + number(8, 4) + number(9, 2) + field(256, 4, w) +
         field(257, 4, h) + field(258, 3, bits) + field(259, 3, form) + field(262, 3, 1) +
         field(273, 4, 8) + field(277, 3, samples) + field(278, 4, h) + field(279, 4, 100) +
         number(0, 4);
}

std::string lying_jpeg(int w, int h, bool progressive, size_t weight) {
  std::string out = "\xff\xd8";
  for (; weight > 0; weight -= std::min<size_t>(weight, 65000))
    out += "\xff\xfe" + number(65002, 2, true) + std::string(65000, 'x');
  out += std::string("\xff\xdb\x00\x43\x00", 5) + std::string(64, '\1');
  out += std::string(progressive ? "\xff\xc2" : "\xff\xc0") + number(17, 2, true) + '\x08' +
         number(static_cast<uint64_t>(h), 2, true) + number(static_cast<uint64_t>(w), 2, true) +
         std::string("\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00", 10);
  out += std::string("\xff\xda\x00\x0c\x03\x01\x00\x02\x00\x03\x00\x00\x3f\x00", 14);
  return out + std::string(200, '\0') + "\xff\xd9";
}

TEST(Memory, PicturesThatClaimToBeLarge) {
  const auto read = [](const Path& path) { return read_picture(path); };
  expect_bounded("png_small", lying_png(16384, 16384, 8, 6, false, 0), read);
  expect_bounded("png_at_the_free_limit", lying_png(2040, 1540, 8, 6, true, 2000), read);
  expect_bounded("png_of_a_megabyte", lying_png(10000, 10000, 16, 6, false, kMiB), read);
  expect_bounded("png_interlaced_of_a_megabyte", lying_png(10000, 12000, 8, 6, true, kMiB), read);
  expect_bounded("png_palette", lying_png(15000, 11000, 8, 3, false, kMiB), read);
  expect_bounded("jpeg", lying_jpeg(65000, 65000, false, 0), read);
  expect_bounded("jpeg_of_a_megabyte", lying_jpeg(13000, 13000, false, kMiB), read);
  expect_bounded("jpeg_progressive", lying_jpeg(13000, 13000, true, kMiB), read);
  for (const int form : {1, 5, 8, 32773}) {
    expect_bounded("tiff_grey", lying_tiff(60000, 60000, 8, 1, static_cast<uint16_t>(form)), read);
    expect_bounded("tiff_bilevel", lying_tiff(1800, 1700, 1, 1, static_cast<uint16_t>(form)), read);
    expect_bounded("tiff_samples", lying_tiff(1000, 1000, 8, 60000, static_cast<uint16_t>(form)),
                   read);
  }
  expect_bounded("gif",
                 "GIF89a" + number(65535, 2) + number(65535, 2) + std::string("\x80\0\0", 3) +
                     std::string(6, '\0') + "," + number(0, 4) + number(1, 2) + number(1, 2) +
                     std::string("\0\2\2\x44\1\0;", 7),
                 read);
  // 16383 x 16383 pixels without loss.
  std::string webp("VP8L\x20\0\0\0\x2f\xff\xff\xff\x0f", 13);
  webp += std::string(27, '\0');
  expect_bounded("webp", "RIFF" + number(webp.size() + 4, 4) + "WEBP" + webp, read);
  expect_bounded("bmp_runs",
                 "BM" + number(0, 4) + number(0, 4) + number(54 + 1024, 4) + number(40, 4) +
                     number(12000, 4) + number(11000, 4) + number(1, 2) + number(8, 2) +
                     number(1, 4) + number(0, 20) + std::string(1024, '\7') +
                     std::string(kMiB, '\0'),
                 read);
}

TEST(Memory, WhatInflatesBeyondAllProportion) {
  const uint64_t burst = 256 * kMiB;  // as much as a thousandth of it can stand for
  const std::string packed = packed_zeros(burst, -15);
  const auto npz = [](const Path& path) { return read_npz(path); };
  expect_bounded("npz", archive(packed, burst, 1, false), npz);
  // Each alone is small; and as the famous bomb has it, one kernel in all of them.
  const std::string kernel = packed_zeros(16 * kMiB, -15);
  expect_bounded("npz_of_500_entries", archive(kernel, 16 * kMiB, 500, false), npz);
  expect_bounded("npz_of_shared_entries", archive(kernel, 16 * kMiB, 60000, true), npz);
  // That claims little, and goes on.
  expect_bounded("npz_that_says_less", archive(packed, 1000, 1, false), npz);
  expect_bounded("gzip", packed_zeros(burst, 31),
                 [](const Path& path) { return read_idx(path, {}); });
}

TEST(Memory, TextsOfVeryManyOrVeryLargeValues) {
  const auto json = [](const Path& path) { return read_json(path); };
  std::string zeros = "[0";
  while (zeros.size() < 60 * kMiB) zeros += ",0";
  expect_bounded("json_of_numbers", zeros + "]", json);
  std::string lists = "[[]";
  while (lists.size() < 60 * kMiB) lists += ",[]";
  expect_bounded("json_of_lists", lists + "]", json);
  expect_bounded("json_nested", std::string(60 * kMiB, '['), json);
  expect_bounded("json_of_one_string", "\"" + std::string(60 * kMiB, 'x') + "\"", json);
  expect_bounded("json_of_one_number", std::string(60 * kMiB, '1'), json);

  const auto safetensors = [](const Path& path) { return read_safetensors(path); };
  // 93 MiB, as the largest header that the format allows nearly has.
  expect_bounded("header_of_many", safetensors_of(many_tensors(1'500'000, "w")), safetensors);
  expect_bounded("header_of_one_name",
                 safetensors_of("{\"" + std::string(93 * kMiB, 'w') + "\":{}}"), safetensors);
  expect_bounded("header_of_one_text",
                 safetensors_of(R"({"__metadata__":{"a":")" + std::string(93 * kMiB, 'w') + "\"}}"),
                 safetensors);
  std::string axes = R"({"w":{"dtype":"U8","shape":[1)";
  while (axes.size() < 93 * kMiB) axes += ",1";
  expect_bounded("header_of_one_shape", safetensors_of(axes + R"(],"data_offsets":[0,0]}})"),
                 safetensors);
}

TEST(Memory, PicklesOfVeryManyValues) {
  const auto all = [](std::string_view) { return true; };
  const auto pickle = [&](const Path& path) {
    const MappedFile file = MappedFile::open(path).value();
    return parse_pickle(file.bytes(), "pickle", all, pickle_memory(file.bytes().size()));
  };
  for (const char* op : {"N", "(", "]", "K\1", "I1\n", "]q\1h\1"}) {
    std::string bytes;
    while (bytes.size() < 20 * kMiB) bytes += op;
    expect_bounded("pickle", bytes + ".", pickle);
  }
  // One text of a megabyte, named ten million times.
  std::string header = "{'descr': '|O', 'fortran_order': False, 'shape': (10000000,), }";
  header.resize(117, ' ');
  std::string names;
  for (int i = 0; i < 10'000'000; ++i) names += "h\0"[0], names += '\0';
  const std::string dtype = "cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR";
  const std::string bytes =
      "T" + number(kMiB, 4) + std::string(kMiB, 'x') + std::string("q\0000", 3) +
      "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR" +
      "(I1\n(I10000000\nt" + dtype + "I00\n(" + names + "ltb.";
  expect_bounded("npy_of_one_text", std::string("\x93NUMPY\1\0\x76\0", 10) + header + "\n" + bytes,
                 [](const Path& path) { return read_npy_texts(path); });
}

TEST(Memory, ArraysTakeTwiceTheirFile) {
  std::string header = "{'descr': '>f4', 'fortran_order': True, 'shape': (4096, 4096), }";
  header.resize(117, ' ');
  const std::string array =
      std::string("\x93NUMPY\1\0\x76\0", 10) + header + "\n" + std::string(64 * kMiB, '\1');
  expect_bounded("npy", array, [](const Path& path) { return read_npy(path); });
  std::string texts = "{'descr': '|S1', 'fortran_order': False, 'shape': (67108864,), }";
  texts.resize(117, ' ');
  expect_bounded(
      "npy_of_texts",
      std::string("\x93NUMPY\1\0\x76\0", 10) + texts + "\n" + std::string(64 * kMiB, 'a'),
      [](const Path& path) { return read_npy_texts(path); });
}

// A model of 32,000 tensors took minutes of 0.1.0, whose time grew with the square of their number.
TEST(Memory, HeadersOfManyTensorsTakeTheTimeOfTheirText) {
  const std::string bytes = safetensors_of(many_tensors(32'000, "transformer.blocks.attention."));
  const std::clock_t begin = std::clock();
  const auto file = parse_safetensors(bytes, "many");
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  ASSERT_TRUE(test::succeeds(file));
  EXPECT_EQ(file->tensors.size(), 32'000u);
  // Processor time, which other work does not change: 0.1.0 took 13 s.
  EXPECT_LT(seconds, 4);
  RecordProperty("seconds", std::to_string(seconds));
  std::printf("32,000 tensors, %zu bytes: %.3f s\n", bytes.size(), seconds);
  expect_bounded("header_of_32000", bytes, [](const Path& path) { return read_safetensors(path); });
}

}  // namespace
}  // namespace ito
