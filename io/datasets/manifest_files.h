// The archives that a job of `ito sample` lists in its manifests, as far as reading them back as a
// data set needs it. Not for manifests themselves (api/sample_manifest.h).
#pragma once

#include "io/dataset.h"

namespace ito {

// Notes archives that a manifest in `folder` lists and that are not there.
void note_missing_archives(ImageDataset& data, const Path& folder);

}  // namespace ito
