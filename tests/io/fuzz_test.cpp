// Random damage to valid files: every reader must answer with a value or an error, never crash,
// hang or ask for more memory than the file's size can explain. Meant for the sanitizer build as
// well (which counts memory in its own way).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <random>

#include "io/checkpoint.h"
#include "io/dataset.h"
#include "io/diffusers.h"
#include "io/npy.h"
#include "io/pickle.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "io/torch_file.h"
#include "tests/io/temp_folder.h"
#include "tests/support/folders.h"
#include "tests/support/numpy_files.h"

namespace {
size_t largest_request = 0;  // bytes of the largest single allocation since it was set to 0
}  // namespace

#ifndef __SANITIZE_ADDRESS__
// Not inlined: a compiler that sees both halves takes malloc and delete for a mismatch.
[[gnu::noinline]] void* operator new(size_t size) {
  largest_request = std::max(largest_request, size);
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }
#endif

namespace ito {
namespace {

using test::bytes_of;
using test::put;
using test::TempFolder;
using test::unhex;
using test::write_npy;

constexpr int kMutations = 2000;

// One to eight edits: flips, extreme bytes, cuts, doubled, moved and inserted pieces, and digits of
// numbers in text headers changed to other digits.
std::string mutate(std::string bytes, std::mt19937& random) {
  auto below = [&](size_t n) { return n == 0 ? 0 : random() % n; };
  size_t edits = 1 + below(8);
  for (size_t e = 0; e < edits; ++e) {
    size_t at = below(bytes.size());
    if (bytes.empty()) return bytes;
    switch (below(8)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(below(2) != 0 ? 0xff : 0x00);
        break;
      case 2:
        bytes[at] = static_cast<char>(random());
        break;
      case 3:
        bytes.resize(at);
        break;
      case 4:
        bytes.insert(at, bytes.substr(below(bytes.size()), below(40)));
        break;
      case 5:
        bytes.erase(at, below(16));
        break;
      case 6:
        bytes.insert(at, 1, "{}[]\",:-09e.\\"[below(13)]);
        break;
      default:
        at = bytes.find_first_of("0123456789", at);
        if (at != std::string::npos) bytes[at] = static_cast<char>('0' + below(10));
    }
  }
  return bytes;
}

// No compression here makes more than 1032 bytes of one, and a growing string takes twice its size.
size_t memory_bound(size_t file_size) { return (size_t{1} << 20) + 4096 * file_size; }

// Counts what the reader made of the mutations; both outcomes should occur for a sound test.
void fuzz(const std::string& valid, const std::function<bool(const std::string&)>& reads) {
  ASSERT_TRUE(reads(valid));
  std::mt19937 random(12345);
  int errors = 0;
  for (int i = 0; i < kMutations; ++i) {
    const std::string bytes = mutate(valid, random);
    largest_request = 0;
    errors += reads(bytes) ? 0 : 1;
    ASSERT_LE(largest_request, memory_bound(bytes.size())) << "mutation " << i;
  }
  EXPECT_GT(errors, kMutations / 20);
}

TEST(Fuzz, Safetensors) {
  TempFolder folder;
  TensorFile file;
  file.metadata["format"] = "pt";
  file.tensors["conv_in.weight"] = tensor_from_floats({2, 1, 3, 3}, std::vector<float>(18, 0.5f));
  file.tensors["step"] = tensor_from_int64({}, {7});
  file.tensors["mask"] = {HostType::kBool, Shape{3}, {1, 0, 1}};
  ASSERT_TRUE(write_safetensors(folder / "a", file).ok());
  fuzz(bytes_of(folder / "a"),
       [](const std::string& bytes) { return parse_safetensors(bytes, "fuzz").ok(); });
}

TEST(Fuzz, TorchCheckpoints) {
  for (const char* name : {"legacy.pt", "nested.ckpt"})
    fuzz(bytes_of(Path(test::source_folder()) / "tests/data/torch" / name),
         [](const std::string& bytes) { return parse_torch_file(bytes, "fuzz").ok(); });
}

TEST(Fuzz, Pickles) {
  fuzz(bytes_of(Path(test::source_folder()) / "tests/data/torch/plain4.pkl"),
       [](const std::string& bytes) {
         return parse_pickle(
                    bytes, "fuzz", [](std::string_view) { return true; },
                    pickle_memory(bytes.size()))
             .ok();
       });
}

TEST(Fuzz, SafetensorsHeaderOnly) {
  // The length prefix always fits, so that every mutation reaches the header's checks.
  const std::string header =
      R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
      R"("b":{"dtype":"I64","shape":[1],"data_offsets":[24,32]},"__metadata__":{"k":"v"}})";
  fuzz(header, [](const std::string& text) {
    std::string bytes(8, '\0');
    uint64_t size = text.size();
    std::memcpy(bytes.data(), &size, 8);
    return parse_safetensors(bytes + text + std::string(32, '\0'), "fuzz").ok();
  });
}

TEST(Fuzz, IdxPlainAndGzipped) {
  TempFolder folder;
  const Path path = folder / "images";
  for (const char* hex :
       {"00000803000000020000000200000003000102030405060708090a0b",
        "1f8b08000000000002ff6360e0606660606082626606462666165636760e4e2e6e00781e23841c000000"})
    fuzz(unhex(hex), [&](const std::string& bytes) {
      put(path, bytes);
      return read_idx(path, {}).ok();
    });
}

TEST(Fuzz, CifarRecords) {
  TempFolder folder;
  const Path path = folder / "data_batch_1.bin";
  std::string record(1 + 3 * 32 * 32, '\7');
  fuzz(record + record, [&](const std::string& bytes) {
    put(path, bytes);
    const auto data = read_cifar10({path});
    if (data.ok()) {
      EXPECT_EQ(data->pixels.size(), static_cast<size_t>(data->count) * data->image_size());
    }
    return data.ok();
  });
}

// What the random mutations rarely hit: counts whose product is near 2^64, in every header.
TEST(Fuzz, HugeCountsAreRefusedBeforeAnythingIsAllocated) {
  TempFolder folder;
  const auto expect_refused = [&](const std::string& bytes, const auto& read) {
    largest_request = 0;
    EXPECT_FALSE(read(bytes).ok());
    EXPECT_LE(largest_request, memory_bound(bytes.size()));
  };
  const auto safetensors = [](const std::string& bytes) { return parse_safetensors(bytes, "x"); };
  for (const char* shape : {"[4294967296,4294967296]", "[9223372036854775807]", "[1099511627776]",
                            "[0,9223372036854775807,9223372036854775807]"}) {
    const std::string header =
        std::string(R"({"a":{"dtype":"F32","shape":)") + shape + R"(,"data_offsets":[0,4]}})";
    std::string bytes(8, '\0');
    const uint64_t size = header.size();
    std::memcpy(bytes.data(), &size, 8);
    expect_refused(bytes + header + "1234", safetensors);
  }
  expect_refused(std::string(7, '\xff') + '\x7f' + "{}", safetensors);
  const auto idx = [&](const std::string& bytes) {
    put(folder / "idx", bytes);
    return read_idx(folder / "idx", {});
  };
  expect_refused(unhex("00000803ffffffffffffffffffffffff00"), idx);
  expect_refused(unhex("000008ff7fffffff"), idx);
  const auto npy = [](const std::string& bytes) { return parse_npy(bytes, "x"); };
  for (const char* shape :
       {"(4294967296, 4294967296)", "(9223372036854775807,)", "(1000000000,)"}) {
    std::string header =
        std::string("{'descr': '<f4', 'fortran_order': False, 'shape': ") + shape + ", }";
    header.resize(117, ' ');
    header += '\n';
    expect_refused(std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + "1234", npy);
  }
  // A PNG whose header claims 16384 x 16384 pixels.
  Image image{2, 2, 3, std::vector<uint8_t>(12, 9)};
  std::string png = encode_png(image, nullptr);
  png.replace(16, 8, std::string("\0\0\x40\0\0\0\x40\0", 8));
  expect_refused(png, [](const std::string& bytes) { return decode_image(bytes, "x"); });
}

TEST(Fuzz, PngTextAndPixels) {
  Image image{6, 5, 3, std::vector<uint8_t>(90, 17)};
  for (size_t i = 0; i < image.pixels.size(); i += 3) image.pixels[i] = static_cast<uint8_t>(i);
  Json settings = {{"seed", 3}, {"steps", 50}};
  const std::string png = encode_png(image, &settings);
  fuzz(png, [](const std::string& bytes) { return png_text(bytes, "parameters", "fuzz").ok(); });
  fuzz(png, [](const std::string& bytes) { return decode_image(bytes, "fuzz").ok(); });
}

TEST(Fuzz, Configs) {
  const std::string unet = dump_json(unet_config_json(UNet2DConfig{}));
  fuzz(unet, [](const std::string& text) {
    Result<Json> json = parse_json(text, "fuzz");
    if (!json.ok()) return false;
    Result<UNet2DConfig> config = parse_unet_config(*json, "fuzz");
    // What is accepted can be written and read again, to the same effect.
    if (config.ok()) {
      Json written = unet_config_json(*config);
      EXPECT_EQ(unet_config_json(*parse_unet_config(written, "again")), written);
    }
    return config.ok();
  });
  SchedulerConfig scheduler;
  scheduler.num_train_timesteps = 3;
  scheduler.trained_betas = {0.1, 0.2, 0.3};
  fuzz(dump_json(scheduler_config_json(scheduler)), [](const std::string& text) {
    Result<Json> json = parse_json(text, "fuzz");
    if (!json.ok()) return false;
    Result<SchedulerConfig> config = parse_scheduler_config(*json, "fuzz");
    if (config.ok()) dump_json(scheduler_config_json(*config));
    return config.ok();
  });
}

TEST(Fuzz, NumpyFiles) {
  TempFolder folder;
  TensorFile file;
  file.tensors["a"] = tensor_from_floats({2, 3}, std::vector<float>(6, 1.0f));
  file.tensors["b"] = tensor_from_int64({2}, {1, 2});
  ASSERT_TRUE(write_npy(folder / "a.npy", file.tensors["a"]).ok());
  ASSERT_TRUE(write_npz(folder / "a.npz", file).ok());
  fuzz(bytes_of(folder / "a.npy"),
       [](const std::string& bytes) { return parse_npy(bytes, "fuzz").ok(); });
  fuzz(bytes_of(folder / "a.npz"),
       [](const std::string& bytes) { return parse_npz(bytes, "fuzz").ok(); });
}

TEST(Fuzz, CheckpointsNeverLoadDamaged) {
  TempFolder run;
  Checkpoint checkpoint;
  checkpoint.step = 4;
  checkpoint.metadata = {{"lr", 0.5}};
  checkpoint.state.tensors["w"] = tensor_from_floats({2}, {1, 2});
  ASSERT_TRUE(write_checkpoint(run.path(), checkpoint).ok());
  const Path path = run / "checkpoint-4" / "trainer.json";
  fuzz(bytes_of(path), [&](const std::string& text) {
    put(path, text);
    Result<Checkpoint> read = read_checkpoint(run / "checkpoint-4");
    // White space may change; a number may not.
    if (read.ok()) {
      EXPECT_EQ(read->step, checkpoint.step);
      EXPECT_EQ(read->metadata, checkpoint.metadata);
    }
    return read.ok();
  });
}

}  // namespace
}  // namespace ito
