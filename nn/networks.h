// The networks by name: one row each. Files and options name a row; the row makes the network of a
// configuration. Not the networks (a file each) and not how files spell them (io/network_file.h).
#pragma once

#include <span>

#include "base/registry.h"
#include "nn/network.h"

namespace ito {

struct NetworkRow {
  Name name;
  // The network of a configuration of the row's own struct (CHECK), or why it is none.
  Result<Network> (*make)(const NetworkConfig& config);
};
std::span<const NetworkRow> network_rows();

// The network of a row and a configuration. CHECK: there is such a row.
Result<Network> make_network(std::string_view row, const NetworkConfig& config);

}  // namespace ito
