// How far apart the images of a data set are: what the largest noise level of a VE process should
// be (Song and Ermon 2020, technique 1). Not for distances between sets of images.
#pragma once

#include "io/dataset.h"

namespace ito {

// The largest Euclidean distance found between two images, their pixels scaled to [-1, 1]. Found by
// walks from a few images, each to the farthest image of all until that grows no further: a lower
// bound, in a few passes over the data where all pairs would take as many as there are images.
// 0 for fewer than two images. Of images that are only drawn, because they are cut at random or lie
// in files, it looks at 10,000, evenly spread, cut in the middle. Errors: of decoding them.
Result<double> largest_image_distance(const ImageDataset& data);

}  // namespace ito
