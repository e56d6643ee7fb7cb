#include "api/device.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace ito {

Result<std::unique_ptr<vk::Device>> open_device(const std::string& which,
                                                const vk::DeviceOptions& base) {
  vk::DeviceOptions options = base;
  const bool index =
      !which.empty() && which.size() < 6 &&
      std::all_of(which.begin(), which.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  if (index) {
    options.index = std::stoi(which);
  } else {
    options.name = which;
  }
  return vk::Device::create(options);
}

Result<std::unique_ptr<vk::Device>> open_device(const std::string& which) {
  const vk::DeviceOptions options;
  return open_device(which, options);
}

}  // namespace ito
