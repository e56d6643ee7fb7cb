// What the readers of io/dataset.h share. Not for other rooms.
#pragma once

#include <string_view>
#include <vector>

#include "io/dataset.h"
#include "io/host_tensor.h"

namespace ito {

// Takes count, h, w and c from [count,h,w] or [count,h,w,c]. Error kCorrupt naming `where` if they
// are no images.
Status set_extents(ImageDataset& data, const std::vector<int64_t>& dims, std::string_view where);

}  // namespace ito
