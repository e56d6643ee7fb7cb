// ito-view: live sampling of a model, or of a run while it trains, in a window. Everything is asked
// of Ito through its C API, on a device that this program made (see README.md). `ito view` starts
// it.
#include "viewer.h"

int main(int count, char** arguments) {
  const view::Options options = view::read_options(count, arguments);
  Gpu gpu;
  uint32_t extensions = 0;
  const char* const* names = window_extensions(&extensions);
  gpu_open(&gpu, "ito-view", names, extensions);
  view::Session::want(gpu);
  gpu_enable_extension(&gpu, VK_KHR_SWAPCHAIN_EXTENSION_NAME);
  gpu_create_device(&gpu);
  std::mutex queue;
  bool failed = false;
  {
    view::Viewer viewer(options, gpu, queue);
    while (viewer.frame()) {
    }
    failed = viewer.failed();
  }
  gpu_close(&gpu);
  return failed ? 1 : 0;
}
