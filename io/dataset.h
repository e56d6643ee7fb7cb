// ImageDataset: a whole data set of small images in memory, and how to open what people have:
// MNIST's and its relatives' IDX files, CIFAR's binaries and pickles, folders of pictures, arrays
// of NumPy and what `ito sample` writes. io/datasets has one file per format and the table of them.
// Not for batching and shuffling (the training loop draws indices by itself).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/file.h"
#include "io/host_tensor.h"
#include "io/image.h"
#include "io/json.h"
#include "io/pictures/picture.h"

namespace ito {

// What a person should be told about what was read.
struct DatasetFacts {
  struct LeftOut {
    std::string why;  // "webp", "not a picture"
    int64_t files = 0;
    bool operator==(const LeftOut&) const = default;
  };
  std::string format;          // a row of the table: "IDX", "pictures"
  std::string part;            // "train", "test", "val"; "all" of a source that has no such parts
  Path from;                   // where it lies; below the path that was asked for, or the same
  double least = 0, most = 0;  // of the values as they are stored
  std::vector<LeftOut> left_out;
  std::vector<std::string> notes;  // one sentence each, without a full stop
};

// Pixels of a data set in mapped files, of which only what is looked at takes memory.
struct PixelStore {
  uint64_t hash = 0;  // of bytes, as hash_bytes has it
  HostTensor bytes;   // U8 [n,h,w,c], or [pixels,c] of images of several sizes
  HostTensor floats;  // F32 of deep images, of that shape, or empty
};

// Pictures that are decoded from their files whenever they are drawn. `decode` may be called from
// several threads; its pictures have as many channels as the data set, no alpha, and its h x w or
// more.
struct PictureFiles {
  uint64_t hash = 0;  // of all bytes, one picture after another
  std::function<Result<Picture>(int64_t i)> decode;
};

// Where an image lies that is kept whole and cut whenever it is drawn.
struct WholeImage {
  int h = 0, w = 0;
  int64_t begin = 0;  // pixels before it
};

struct ImageDataset {
  int64_t count = 0;
  int h = 0, w = 0, c = 0;
  std::vector<uint8_t> pixels;                 // [count,h,w,c]; empty with `store` or `files`
  std::optional<std::vector<int32_t>> labels;  // [count], each ≥ 0
  std::vector<std::string> names;              // of the classes, where the source has them
  // [count,h,w,c] in [-1,1], where the source has more than 8 bits; `pixels` are then rounded.
  std::vector<float> floats = {};
  DatasetFacts facts = {};
  std::shared_ptr<const PixelStore> store = {};
  std::shared_ptr<const PictureFiles> files = {};
  std::vector<int64_t> rows = {};  // [count], image i's place in `store` or `files`; empty: i
  // [count] of images in memory or in `store` that are larger than h x w, which is what is drawn of
  // them; empty: all are h x w.
  std::vector<WholeImage> whole = {};

  // Image i, [h,w,c], as bytes; and in [-1,1], empty where the source has 8 bits. CHECK: neither
  // `files` nor `whole`, whose images only normalised_images() sees.
  std::span<const uint8_t> bytes_of(int64_t i) const;
  std::span<const float> floats_of(int64_t i) const;

  // Number of classes: of names, or else the largest label + 1; 0 without labels.
  int num_classes() const;
  // Images of each class, [num_classes()]; some may have none.
  std::vector<int64_t> class_counts() const;
  // The class's name, or its number where it has none.
  std::string class_name(int label) const;
  size_t image_size() const {
    return static_cast<size_t>(h) * static_cast<size_t>(w) * static_cast<size_t>(c);
  }
};

enum class Split { kTrain, kTest };

// What a data set may be: the formats that a folder is tried for, in that order, then pictures.
std::vector<Name> data_set_formats();

// Where the classes of a folder of pictures come from.
enum class LabelSource { kAuto, kFolders, kMetadata, kPrefix, kNone };
struct LabelSourceRow {
  Name name;
  LabelSource source;
};
std::span<const LabelSourceRow> label_sources();

// How pictures of other sizes are made to fit.
enum class CropPlace { kCenter, kRandom };
struct CropRow {
  Name name;
  CropPlace place;
  bool drawn;  // whenever a picture is drawn
};
std::span<const CropRow> crop_places();

// What the numbers of floating-point images mean.
enum class ValueRange { kAuto, kUnit, kSigned, kBytes };
struct ValueRangeRow {
  Name name;
  ValueRange range;
};
std::span<const ValueRangeRow> value_ranges();

// How a data set is read, which does not change what is read.
struct DatasetReading {
  Path cache;  // folder for decoded pictures, which are then mapped; empty: they lie in memory
  // Whether images are only looked at by normalised_images(). Then those that are cut at random
  // stay whole, and pictures too many for `memory` stay in their files; else the former are cut in
  // the middle, and the latter are an error.
  bool drawn = false;
  std::optional<uint64_t> memory =
      {};  // bytes of decoded pictures; left out: half of the machine's
  // Told of pictures decoded, of all; an error ends the reading. May be empty.
  std::function<Status(int64_t done, int64_t all)> progress;

  bool operator==(const DatasetReading&) const { return true; }
};

struct DatasetOptions {
  // Width and height that all images get; 0: all must have one size already. A picture is scaled
  // until it covers that and cut, or with `pad` until it fits into it and surrounded by
  // `background`.
  int width = 0, height = 0;
  CropPlace crop = CropPlace::kCenter;
  bool pad = false;
  Background background = {};
  LabelSource labels = LabelSource::kAuto;
  ValueRange range = ValueRange::kAuto;
  // 3: grey images become that; 1: pictures lose their colour; 0: 3 if any picture has colour.
  int channels = 0;
  DatasetReading reading = {};

  bool operator==(const DatasetOptions&) const = default;
};
// As run.json keeps them. Errors of reading: kCorrupt naming `where`.
Json dataset_options_json(const DatasetOptions& options);
Result<DatasetOptions> dataset_options_from_json(const Json& json, const std::string& where);

// Opens what path is: a file, or a folder that holds one of the formats, or has one below it. A
// folder of pictures with sub-folders train (or training) and test (or val, valid, validation …) is
// entered according to the split, its classes matched by name with those of the training images; so
// are named files and arrays of the other formats. A source without such parts is read whole,
// whatever the split, and says so (facts.part is "all"). Errors: kNotFound (nothing there, or not
// that part); kCorrupt naming the file; kInvalidArgument for what could be meant in two ways.
Result<ImageDataset> open_dataset(const Path& path, Split split,
                                  const DatasetOptions& options = {});
// Nothing where the source has no such part.
Result<std::optional<ImageDataset>> open_test_images(const Path& path,
                                                     const DatasetOptions& options = {});

// "training images", "test images", "validation images", "held-out images": what their part is
// called.
std::string kind_of_images(const ImageDataset& data);

// What there is to do where images of so many channels meet a network of another number, as the end
// of a sentence; empty: nothing that is known.
std::string channels_remedy(int64_t images, int64_t network);

// One line: how many, of which size, channels, classes with counts, range of values, what was left
// out. `kind`: "training images".
std::string describe(const ImageDataset& data, std::string_view kind);
Json facts_json(const ImageDataset& data);

// A picture as a data set of one image, without labels.
ImageDataset dataset_of(const Image& image);
// Some of the images. CHECK: the indices exist.
ImageDataset selected(const ImageDataset& data, const std::vector<int64_t>& indices);
// Takes `share` of the images, at least `least` of them, out of `data` by a fixed draw. Nothing if
// fewer than that would stay.
std::optional<ImageDataset> hold_out(ImageDataset& data, double share, int64_t least);

// The same images in memory, each cut in the middle that was kept whole: what those need who look
// at bytes of images that were read to be only drawn. Errors: of decoding `files`.
Result<ImageDataset> cut_in_the_middle(const ImageDataset& data);

// IDX (yann.lecun.com/exdb/mnist), gzipped or not: u8 images [N,h,w] or [N,h,w,c], labels [N] (or
// QMNIST's [N,8], of which the first is the class). labels may be empty. Errors: kNotFound, kIo;
// kCorrupt naming the file for damaged gzip, a wrong magic number, extents that do not fit the
// data, labels whose count differs from the images'.
Result<ImageDataset> read_idx(const Path& images, const Path& labels);

// CIFAR-10 binary version: records of a label byte and 3x32x32 planes; files in the given order.
Result<ImageDataset> read_cifar10(const std::vector<Path>& files);

// A folder of pictures whatever their number; sub-folders, if any, are classes in name order.
Result<ImageDataset> read_image_folder(const Path& folder, const DatasetOptions& options = {});

// .npy, .npz or .safetensors, with labels and, of a training part, the test part in files beside it
// that are called alike (X_train.npy, y_train.npy, X_test.npy): images as images, x, arr_0,
// {split}_images or x_{split}; labels as labels, classes, y, arr_1, {split}_labels or y_{split}.
// Shapes [N,h,w], [N,h,w,c] or [N,c,h,w] with c of 1 or 3; U8, U16, or float in [-1,1] or [0,1]
// (options.range says which; else it is [0,1] where nothing is below 0 in all training images, and
// a note says so; it holds for the other parts).
Result<ImageDataset> read_array_dataset(const Path& path, Split split,
                                        const DatasetOptions& options = {});

// Surrounds every image with `value` up to h x w, the image in the middle (an odd remainder goes to
// the bottom and right). Error kInvalidArgument if an image is larger.
Result<ImageDataset> pad_to(const ImageDataset& data, int h, int w, uint8_t value);

// Where an image that is larger is cut, down and across: shares of the room there is, in 2^-32.
using CutPlace = std::array<uint32_t, 2>;

// What a network sees: pixels/127.5 - 1 of the given images, or `floats`, padded by -1 up to
// padded_h x padded_w as pad_to places them; out has [n,padded_h,padded_w,c]. Images that are kept
// whole are cut at `cuts` ([n], each place equally likely under uniform ones), or without it in the
// middle. Errors: of decoding `files`.
Status normalised_images(const ImageDataset& data, const std::vector<int64_t>& indices,
                         int padded_h, int padded_w, float* out,
                         std::span<const CutPlace> cuts = {});

}  // namespace ito
