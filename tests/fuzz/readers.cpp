// The table of readers. Those of bytes are called with them; those of files find them in a folder
// in memory, under the name that they look for.
#include "io/datasets/readers.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "base/error.h"
#include "io/checkpoint.h"
#include "io/class_names.h"
#include "io/compress.h"
#include "io/dataset.h"
#include "io/datasets/manifest_files.h"
#include "io/datasets/picture_table.h"
#include "io/diffusers.h"
#include "io/file_kind.h"
#include "io/jsonl.h"
#include "io/model_index.h"
#include "io/network_file.h"
#include "io/npy.h"
#include "io/pack_file.h"
#include "io/pickle.h"
#include "io/pictures/formats.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "io/scheduler_config.h"
#include "io/tar.h"
#include "io/torch_file.h"
#include "io/weights.h"
#include "io/zip.h"
#include "runtime/vk/disk_cache.h"
#include "tests/fuzz/reader.h"

namespace ito::fuzz {
namespace {

template <typename T>
Status status_of(const Result<T>& result) {
  return result.ok() ? Status() : Status(result.error());
}

// A folder of this process, in memory where the system has such.
const Path& folder() {
  static const Path kFolder = [] {
    const char* const shared = "/dev/shm";
    const Path base = folder_exists(shared) ? Path(shared) : std::filesystem::temp_directory_path();
    const Path made = base / (std::string(kWhere) + "-" + std::to_string(getpid()));
    std::filesystem::create_directories(made);
    std::atexit([] { std::filesystem::remove_all(folder()); });
    return made;
  }();
  return kFolder;
}

Path file_of(std::string_view bytes, const char* name) {
  const Path path = folder() / name;
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return path;
}

Status read_all_entries(std::string_view bytes) {
  ITO_ASSIGN(const std::vector<ZipEntry> entries, parse_zip(bytes, kWhere));
  for (const ZipEntry& entry : entries) ITO_TRY(status_of(read_zip_entry(entry, kWhere)));
  return {};
}

template <Compression format>
Status read_packed(std::string_view bytes) {
  inflated_head(bytes, format, 64);
  return status_of(inflate(bytes, format, kWhere, uint64_t{1} << 30));
}

// A configuration of whatever it says that it is, and of an unconditional U-Net.
Status read_config(std::string_view bytes) {
  ITO_ASSIGN(const Json json, parse_json(bytes, kWhere));
  const Status unet = status_of(parse_unet_config(json, kWhere));
  const Status network = status_of(network_from_json(json, kWhere));
  return network.ok() ? unet : network;
}

Status read_scheduler(std::string_view bytes) {
  return status_of(read_scheduler_file(file_of(bytes, "scheduler_config.json")));
}

Status read_pickle(std::string_view bytes) {
  return status_of(parse_pickle(
      bytes, kWhere, [](std::string_view) { return true; }, pickle_memory(bytes.size())));
}

Status read_png_text(std::string_view bytes) {
  ITO_TRY(status_of(png_text(bytes, "parameters", kWhere)));
  return status_of(png_settings(bytes, kWhere));
}

Status read_idx_file(std::string_view bytes) {
  return status_of(read_idx(file_of(bytes, "images"), {}));
}
Status read_cifar_file(std::string_view bytes) {
  return status_of(read_cifar10({file_of(bytes, "data_batch_1.bin")}));
}
Status read_cifar_pickles(std::string_view bytes) {
  file_of(bytes, "test_batch");
  return status_of(read_cifar_pickle(folder(), Split::kTest, {}));
}

Status read_index_of_shards(std::string_view bytes) {
  file_of(bytes, "model.safetensors.index.json");
  ITO_ASSIGN(const WeightsChoice choice, find_weights(folder(), "model"));
  return status_of(read_weights(choice));
}

// Of a checkpoint whose other files are not there, trainer.json.
Status read_trainer(std::string_view bytes) {
  static const Path kFolder = folder() / "checkpoint-4";
  std::filesystem::create_directories(kFolder);
  file_of(bytes, "checkpoint-4/trainer.json");
  is_checkpoint(kFolder);
  checkpoint_files(kFolder);
  return status_of(read_checkpoint(kFolder));
}

Status read_table(std::string_view bytes, const char* name) {
  const Path path = file_of(bytes, name);
  const Status status = status_of(read_metadata(folder()));
  std::filesystem::remove(path);
  return status;
}

// A manifest as a data set looks at it: it has no errors, only notes of archives that are not
// there.
Status read_manifest_lines(std::string_view bytes) {
  const Path path = file_of(bytes, "manifest-1-of-1.jsonl");
  ImageDataset data;
  note_missing_archives(data, folder());
  std::filesystem::remove(path);
  return {};
}

Status read_cache_entry(std::string_view bytes) {
  const vk::DiskCache cache(folder().string());
  const vk::CacheKey key{1, 2};
  const Path path = cache.path(key);
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return cache.load(key) ? Status() : Status(corrupt("{}: no entry", kWhere));
}

template <auto parse>
Status read_bytes(std::string_view bytes) {
  return status_of(parse(bytes, kWhere));
}

constexpr Reader kReaders[] = {
    {"safetensors", read_bytes<parse_safetensors>, repair_safetensors},
    {"torch", read_bytes<parse_torch_file>, repair_zip},
    {"pickle", read_pickle},
    {"json", [](std::string_view bytes) { return status_of(parse_json(bytes, kWhere)); }},
    {"network_config", read_config},
    {"scheduler_config", read_scheduler},
    {"weights_index", read_index_of_shards},
    {"class_names",
     [](std::string_view bytes) {
       file_of(bytes, "class_names.json");
       return status_of(read_class_names(folder()));
     }},
    {"png", read_bytes<decode_png>, repair_png},
    {"png_text", read_png_text, repair_png},
    {"jpeg", read_bytes<decode_jpeg>},
    {"webp", read_bytes<decode_webp>},
    {"tiff", read_bytes<decode_tiff>},
    {"gif", read_bytes<decode_gif>},
    {"bmp", read_bytes<decode_bmp>},
    {"picture", read_bytes<decode_picture>},
    {"idx", read_idx_file},
    {"cifar", read_cifar_file},
    {"cifar_pickle", read_cifar_pickles},
    {"npy", read_bytes<parse_npy>},
    {"npy_texts", read_bytes<parse_npy_texts>},
    {"npz", read_bytes<parse_npz>, repair_zip},
    {"zip", read_all_entries, repair_zip},
    {"gzip", read_packed<Compression::kGzip>},
    {"zlib", read_packed<Compression::kZlib>},
    {"deflate", read_packed<Compression::kDeflate>},
    {"tar", [](std::string_view bytes) { return status_of(parse_tar(bytes, kWhere)); }, repair_tar},
    {"tar_of_pictures",
     [](std::string_view bytes) {
       return status_of(read_picture_tars(file_of(bytes, "a.tar"), Split::kTrain, {}));
     },
     repair_tar},
    {"metadata_csv", [](std::string_view bytes) { return read_table(bytes, "metadata.csv"); }},
    {"metadata_jsonl", [](std::string_view bytes) { return read_table(bytes, "metadata.jsonl"); }},
    {"dataset_json", [](std::string_view bytes) { return read_table(bytes, "dataset.json"); }},
    {"metrics",
     [](std::string_view bytes) { return status_of(read_jsonl(file_of(bytes, "metrics.jsonl"))); }},
    {"manifest", read_manifest_lines},
    {"checkpoint", read_trainer},
    {"pack", read_bytes<parse_pack>, repair_pack},
    {"shader_cache", read_cache_entry},
};

}  // namespace

std::span<const Reader> readers() { return kReaders; }

}  // namespace ito::fuzz
