// What the readers of io/datasets share, and the table of formats. Not for other folders.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "io/dataset.h"
#include "io/host_tensor.h"

namespace ito {

// DatasetFacts::format of arrays; of pictures, as they are or in archives.
inline constexpr const char *kArrayFormat = "arrays", *kPictureFormat = "pictures",
                            *kTarFormat = "a tar archive", *kTarsFormat = "tar archives";
// Words that are all below it have fewer bits than 16, most probably.
inline constexpr int kHalfOfWords = 32768;
// And bytes from 0 on that are all no more than it.
inline constexpr int kMostOfFewBits = 15;
inline constexpr uint64_t kMaxDatasetBytes = uint64_t{16} << 30;

// A data set that lies in a folder under names of its own.
struct FolderFormat {
  Name name;
  bool (*is_here)(const Path& folder);
  Result<ImageDataset> (*read)(const Path& folder, Split split, const DatasetOptions& options);
};
std::span<const FolderFormat> folder_formats();
bool is_idx_folder(const Path& folder);
Result<ImageDataset> read_idx_folder(const Path& folder, Split split,
                                     const DatasetOptions& options);
bool is_cifar10_binary(const Path& folder);
Result<ImageDataset> read_cifar10_binary(const Path& folder, Split split, const DatasetOptions&);
bool is_cifar100_binary(const Path& folder);
Result<ImageDataset> read_cifar100_binary(const Path& folder, Split split, const DatasetOptions&);
bool is_cifar_pickle(const Path& folder);
Result<ImageDataset> read_cifar_pickle(const Path& folder, Split split, const DatasetOptions&);
bool is_array_folder(const Path& folder);
Result<ImageDataset> read_array_folder(const Path& folder, Split split,
                                       const DatasetOptions& options);
// Pictures in tar archives, one or those of a folder.
bool is_tar_folder(const Path& folder);
Result<ImageDataset> read_tar_folder(const Path& folder, Split split,
                                     const DatasetOptions& options);
Result<ImageDataset> read_picture_tars(const Path& archive, Split split,
                                       const DatasetOptions& options);
// Of pictures; enters train/, test/ or val/.
Result<ImageDataset> read_picture_folder(const Path& folder, Split split,
                                         const DatasetOptions& options);
// Whether pictures lie in folder or below it.
bool has_pictures(const Path& folder);

// A single IDX file, its labels and its counterpart beside it.
Result<ImageDataset> read_idx_file_set(const Path& images, Split split);
// One CIFAR file.
bool is_cifar_batch_name(const std::string& name);

// Hidden files, and what systems leave behind: "._a.png", "Thumbs.db", "__MACOSX".
bool is_hidden(const std::string& name);
// Names in a folder that are not hidden; empty where it cannot be read.
std::vector<std::string> visible_names(const Path& folder);

// Takes count, h, w and c from [count,h,w] or [count,h,w,c]. Error kCorrupt naming `where` if they
// are no images.
Status set_extents(ImageDataset& data, const std::vector<int64_t>& dims, std::string_view where);

// Whether images are kept whole, to be cut whenever they are drawn.
bool stay_whole(const DatasetOptions& options);
// Scales and, but for those that stay whole, cuts or pads as the options say.
Picture fitted(const Picture& picture, const DatasetOptions& options);
// All images of a data set, where the options name a size.
ImageDataset fitted(ImageDataset data, const DatasetOptions& options);
// Grey images in memory become such of three equal channels.
void make_coloured(ImageDataset& data);
// Appends a picture without alpha; the data set becomes RGB, or gets `floats`, where that is
// needed. `whole`: larger than the data set's h x w, which are set, or as large.
void append_picture(ImageDataset& data, const Picture& picture, bool whole = false);

// Gives a data set of bytes `floats`; one that has them stays.
void add_floats(ImageDataset& data);

// "a, b, c and 7 more".
std::string listed(const std::vector<std::string>& names, size_t most = 8);

// Whether classes are called as they are numbered, or have no names at all.
bool called_by_number(const std::vector<std::string>& names);
// Names of classes that a file beside the data does not tell: where its first labels are those of a
// known set, or its path and the images are.
void name_known_classes(ImageDataset& data, const Path& path);

}  // namespace ito
