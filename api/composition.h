// Networks that files keep in parts: a U-Net in unet/, and beside it the folder of another network
// that feeds it. One row each says how the parts make one network and its weights, and how they
// come apart again. Not for pipelines of networks that run one after the other.
#pragma once

#include <span>
#include <string_view>

#include "io/network_file.h"

namespace ito {

struct Composition {
  std::string_view network;  // row of nn/networks.h
  const char* folder;        // of the part beside unet/
  // The whole from its U-Net and the part, both as read. Errors name `where`.
  Result<NetworkFile> (*join)(NetworkFile unet, NetworkFile part, const std::string& where);
  // The U-Net and the part of the whole.
  struct Parts {
    NetworkFile unet, part;
  };
  Parts (*split)(NetworkFile whole);
};
std::span<const Composition> compositions();

}  // namespace ito
