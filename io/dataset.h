// ImageDataset: a whole data set of small images in memory, and its readers: MNIST's IDX files,
// CIFAR-10 binaries, folders of PNG/JPEG files, NumPy arrays.
// Not for batching and shuffling (the training loop draws indices by itself).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/file.h"

namespace ito {

struct ImageDataset {
  int64_t count = 0;
  int h = 0, w = 0, c = 0;
  std::vector<uint8_t> pixels;                 // [count,h,w,c]
  std::optional<std::vector<int32_t>> labels;  // [count], each ≥ 0
  std::vector<std::string> names;              // of the classes, where the source has them

  // Number of classes: of names, or else the largest label + 1; 0 without labels.
  int num_classes() const;
  size_t image_size() const {
    return static_cast<size_t>(h) * static_cast<size_t>(w) * static_cast<size_t>(c);
  }
};

enum class Split { kTrain, kTest };

struct ImageFolderOptions {
  // Side to which images are centre-cropped and resized; 0: all must have one size already.
  int size = 0;
  int channels = 0;  // 1 or 3; 0: as the first image
};

// Recognises what path is:
// - a folder with train-images-idx3-ubyte or t10k-images-idx3-ubyte (or .gz): IDX, with labels if
//   the labels file is there;
// - a folder with data_batch_1.bin or test_batch.bin: CIFAR-10;
// - a folder with images, or with folders of images, one per class: read_image_folder (all of it,
//   whatever the split; a folder `train` or `test` inside is entered according to the split);
// - a file .npy or .npz; any other file: IDX images, with labels from the file of the same name
//   with "labels-idx1" for "images-idx3" where that exists.
Result<ImageDataset> open_dataset(const Path& path, Split split,
                                  const ImageFolderOptions& options = {});

// IDX (yann.lecun.com/exdb/mnist), gzipped or not: u8 images [N,h,w] or [N,h,w,c], u8 labels [N].
// labels may be empty. Errors: kNotFound, kIo; kCorrupt naming the file for damaged gzip, a wrong
// magic number, extents that do not fit the data, labels whose count differs from the images'.
Result<ImageDataset> read_idx(const Path& images, const Path& labels);

// CIFAR-10 binary version: records of a label byte and 3x32x32 planes; files in the given order.
Result<ImageDataset> read_cifar10(const std::vector<Path>& files);

// PNG and JPEG files in name order; sub-folders, if any, are classes in name order. Error kCorrupt
// naming the first image that has another size than the first one (unless options.size is set).
Result<ImageDataset> read_image_folder(const Path& folder, const ImageFolderOptions& options = {});

// .npy, or .npz with arrays images (or x, arr_0) and optionally labels (or y, arr_1): [N,h,w] or
// [N,h,w,c], u8, or float in [-1,1], which is rounded to 8 bits as io/png.h does.
Result<ImageDataset> read_numpy_dataset(const Path& path);

// Surrounds every image with `value` up to size x size, the image in the middle (an odd remainder
// goes to the bottom and right). Error kInvalidArgument if an image is larger.
Result<ImageDataset> pad_to(const ImageDataset& data, int size, uint8_t value);

// What a network sees: pixels/127.5 - 1 of the given images, padded by -1 up to
// padded_h x padded_w as pad_to places them; out has [n,padded_h,padded_w,c].
void normalised_images(const ImageDataset& data, const std::vector<int64_t>& indices, int padded_h,
                       int padded_w, float* out);

}  // namespace ito
