// Under which names a file has a network's parameters: as they are, or all below one prefix that a
// wrapper left ("module.", "_orig_mod.", "state_dict.model."). Not the older names that diffusers
// itself gave them (io/network_file.h).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/host_tensor.h"
#include "nn/parameters.h"

namespace ito {

struct WeightNames {
  std::string prefix;               // before every parameter's name in the file
  std::vector<std::string> unused;  // tensors of the file that are no parameter
};

// Errors naming `where`, kCorrupt: a parameter that the file lacks, with the nearest name that it
// has; parameters below several prefixes, listing them.
Result<WeightNames> find_weight_names(const ParameterSet& set, const TensorFile& file,
                                      std::string_view where);

// Leaves the tensors whose names begin with the prefix, without it. Error kNotFound naming `where`
// where there is none.
Status keep_prefix(TensorFile& file, std::string_view prefix, std::string_view where);

// "3 tensors are not the network's and are left out: a, b, c"; of many the first few.
// "2 tensors are of types that are not read and are left out: a (F8_E4M3), b (F4)".
std::string unread_note(const std::map<std::string, std::string>& unread);
std::string unused_note(const std::vector<std::string>& unused);

}  // namespace ito
