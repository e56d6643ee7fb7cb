// How a training comes by its network: the options that describe one, what the images ask of it,
// and the designs, which make a configuration of both. A family's file has its designs, and its row
// in nn/networks.h names them. Not the networks, and not what they are trained by.
#pragma once

#include <array>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/network_config.h"
#include "base/registry.h"
#include "base/result.h"
#include "nn/energy.h"

namespace ito {

// Those options of a training that describe its network. Each design looks at some.
struct NetworkOptions {
  std::string network = "ddpm";
  std::vector<int> channels = {16, 32, 64};
  int layers_per_block = 1;
  int norm_groups = 8;
  double dropout = 0;
  int depth = 6;
  int heads = 4;
  int patch = 4;
  std::string energy = kNoEnergy;

  bool operator==(const NetworkOptions&) const = default;
};

// Calls visit(key, field, help) for every field, as visit_fields of api/training_options.h does.
template <typename Options, typename Visit>
void visit_network_options(Options& o, Visit&& visit) {
  visit("network", o.network, "what is trained");
  visit("channels", o.channels,
        "channels of each level, outermost first; of a transformer one number, its width");
  visit("layers-per-block", o.layers_per_block, "residual blocks per level");
  visit("norm-groups", o.norm_groups, "groups of the group norms");
  visit("dropout", o.dropout,
        "share of the activations that a training leaves out at random, inside residual blocks or, "
        "of a transformer, after attention and inside the feed-forward networks");
  visit("depth", o.depth, "transformer blocks");
  visit("heads", o.heads, "attention heads of each block");
  visit("patch", o.patch, "side of the patches that an image is cut into");
  visit("energy", o.energy,
        "make the network an energy, whose gradient is the prediction; none: leave it as it is");
}

// What images and objective ask of a network.
struct ImageNeeds {
  int in_channels = 1;
  int out_channels = 1;
  std::array<int, 2> size = {};           // height and width of the images
  int classes = 0;                        // rows of the class table; 0: it is told no class
  std::optional<double> sigma_data = {};  // deviation of the data, to precondition by
};

// Which images pass: sides are multiples of `multiple`. Images are padded to squares, whose side is
// a multiple of `padded`, where nobody says otherwise.
struct ImageSides {
  int multiple = 1;
  int padded = 1;
  std::string why = {};  // ends "expected a multiple of 4 for ...": "3 levels"
};

// A network by its name in options.
struct NetworkDesign {
  Name name;
  std::string_view network;  // its row in nn/networks.h
  // The processes that it goes with, by spaces, as --sde has them.
  std::string_view processes;
  // The keys of visit_network_options() that it looks at, by spaces, --network aside.
  std::string_view options;
  // Ranges of those; the error names the option. Null: all of their values are possible.
  Status (*check)(const NetworkOptions& options);
  // Of options that passed.
  ImageSides (*sides)(const NetworkOptions& options);
  // The configuration, of the row's own struct.
  NetworkConfig (*configure)(const NetworkOptions& options, const ImageNeeds& needs);
  // Whether a configuration of the row is of this design. Null: any is.
  bool (*made)(const NetworkConfig& config) = nullptr;
  // Defaults of its own for options whose keys are not among those given; may be null.
  void (*defaults)(NetworkOptions& options, const std::set<std::string>& given) = nullptr;
};

// What a row of nn/networks.h says of trainings. Every configuration is of the row's own struct.
struct NetworkTraining {
  std::span<const NetworkDesign> designs = {};  // none: --network has no name for it
  // What a configuration says in the words of options and needs; what it does not say stays.
  void (*read)(const NetworkConfig& config, NetworkOptions& options, ImageNeeds& needs) = nullptr;
  // The configuration of a model that a training starts from, for images of another size and
  // another number of classes (channels are as they were), with the options of `free`. Errors: what
  // cannot be trained on them. Null: such a model's network is made anew of the options.
  Status (*adapt)(NetworkConfig& config, const NetworkOptions& options,
                  const ImageNeeds& needs) = nullptr;
  // The keys of visit_network_options() that may be other than the model's, by spaces: no tensor
  // depends on them.
  std::string_view free = {};
  // What is in the names of parameters whose shape depends on the number of classes.
  std::string_view class_parameters = {};
};

}  // namespace ito
