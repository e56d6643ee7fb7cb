#include "api/sample_previews.h"

#include "base/error.h"
#include "io/image.h"
#include "io/png.h"

namespace ito {

Status SamplePreviews::prepare(SamplingSession& session, const SampleFiles& files) {
  if (every_ == 0) return {};
  return session.preview(every_, [this, &session, &files](int step, const auto& images) {
    if (!status_.ok()) return;
    const Shape one = session.shape(1);
    status_ = write(files.preview_path(step), step, images,
                    session.shape(static_cast<int64_t>(images.size()) / one.numel()));
  });
}

Status SamplePreviews::write(const Path& path, int step, const std::vector<float>& images,
                             const Shape& shape) {
  if (file_exists(path) && !written_.contains(path))
    if (const auto there = read_png_settings(path); !there.ok() || !is_own(*there))
      return invalid_argument(
          "{} is there already and is no preview of ito sample; move it away or choose another "
          "--out",
          path.string());
  written_.insert(path);
  const Json settings = {{"software", "ito"}, {"preview_step", step}};
  return write_png(path, grid_from_floats(images, shape, columns_), &settings);
}

}  // namespace ito
