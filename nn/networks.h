// The networks by name: one row each, which files, options and sessions ask. A row makes the
// network of a configuration, says what trainings need to know of it, and how a folder keeps one
// that is made of two. Not the networks (a file each) and not how files spell diffusers'
// configurations (io/network_file.h).
#pragma once

#include <span>
#include <string_view>

#include "base/registry.h"
#include "nn/network.h"
#include "nn/network_design.h"

namespace ito {

// A network that folders keep as two: one of images, and one that feeds it in a folder beside it.
// The names of the latter's parameters begin in the whole with the folder's name and a dot.
struct NetworkParts {
  const char* folder;           // beside unet/
  std::string_view body, part;  // their rows
  // The configuration of the whole. Error: the body is another network, or is fed by nothing.
  Result<NetworkConfig> (*join)(const NetworkConfig& body, const NetworkConfig& part);
  struct Configs {
    NetworkConfig body, part;
  };
  Configs (*split)(const NetworkConfig& whole);
};

struct NetworkRow {
  Name name;
  // The network of a configuration of the row's own struct (CHECK), or why it is none.
  Result<Network> (*make)(const NetworkConfig& config);
  // What trainings know of it; null: no training makes one or starts from one.
  const NetworkTraining& (*training)() = nullptr;
  const NetworkParts* parts = nullptr;  // null: one folder holds it
};
std::span<const NetworkRow> network_rows();

// CHECK: there is such a row.
const NetworkRow& network_row(std::string_view name);

// The network of a row and a configuration. Error kUnsupported: there is no such row.
Result<Network> make_network(std::string_view row, const NetworkConfig& config);

// The designs of all rows: the names of --network.
std::span<const NetworkDesign> network_designs();
// What trainings know of a network: nothing, if none makes it.
const NetworkTraining& training_of(const Network& network);

}  // namespace ito
