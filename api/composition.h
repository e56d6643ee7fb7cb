// Networks that files keep in parts (NetworkParts of nn/networks.h): how two folders' files become
// one network's and come apart again. Not for pipelines of networks that run one after the other.
#pragma once

#include <string>
#include <vector>

#include "io/network_file.h"
#include "nn/networks.h"

namespace ito {

// The rows of networks that are kept so.
std::vector<const NetworkRow*> composed_rows();
// The parts of a network of that row; null: one folder holds it.
const NetworkParts* parts_of(std::string_view network);

// The whole, a network of `row`, from its body and the part, both as read. Errors name `where`.
Result<NetworkFile> join_parts(const NetworkRow& row, NetworkFile body, NetworkFile part,
                               const std::string& where);
struct PartFiles {
  NetworkFile body, part;
};
PartFiles split_parts(const NetworkParts& parts, NetworkFile whole);

}  // namespace ito
