// A network as a folder holds it: config.json beside its weights, and which network of ours each
// "_class_name" is. Names and layouts of tensors stay PyTorch's. Not pipelines (io/diffusers.h) and
// not what a network computes (nn).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/network_config.h"
#include "base/result.h"
#include "io/file.h"
#include "io/host_tensor.h"
#include "io/json.h"

namespace ito {

// One "_class_name" of config.json.
struct NetworkClass {
  std::string_view class_name;
  // Its row in nn/networks.h. Empty: the file names the row, and holds the configuration as a
  // ConfigValues.
  std::string_view network;
  std::string_view weights;  // file beside config.json
  bool diffusers;            // one of diffusers' own, else Ito's
  // Its folder in a pipeline that denoises with it; empty: it is in none as such.
  std::string_view folder;
  // The configuration from JSON and back. Errors of parse: kCorrupt or kUnsupported, naming `where`
  // and the key.
  Result<NetworkConfig> (*parse)(const Json& json, const std::string& where);
  Json (*write)(const NetworkConfig& config);
  // diffusers' class of such pipelines; empty: by what else is in them.
  std::string_view pipeline = {};
};
// Error kUnsupported naming `where` for an unknown class.
Result<const NetworkClass*> network_class(std::string_view class_name, const std::string& where);
// Whether a config.json says that it is a network of Ito's own.
bool is_network_of_ito(const Json& config);
// The network's own class, or the one of networks that have none.
const NetworkClass& class_of_network(std::string_view network);
// The folders of all classes, each once.
std::vector<std::string> denoiser_folders();
// "unet/config.json", for messages: where a denoiser's configuration may be.
std::string denoiser_configs();

// config.json's text form of a configuration.
Json network_config_json(std::string_view network, const NetworkConfig& config);

struct NetworkFile {
  std::string network;  // row of nn/networks.h
  NetworkConfig config;
  Json extra = Json::object();  // keys of config.json that are not the configuration's
  TensorFile weights;           // PyTorch names; legacy attention keys already renamed
  // What was read otherwise than a reader may think: a class that the file does not name, keys that
  // are not known, a variant that was taken because there is no other.
  std::vector<std::string> notes = {};
};

// A network without its weights from config.json's content. A missing "_class_name" means `named`,
// which a pipeline says (io/model_index.h), or else UNet2DModel, as in the first releases. Errors
// as of read_network.
Result<NetworkFile> network_from_json(const Json& json, const std::string& where,
                                      const std::string& named = {});

// Reads config.json of `folder` and, unless told not to, the weights (io/weights.h), of `variant`
// if one is named. Errors name the file that is missing or wrong; kUnsupported for unknown classes.
Result<NetworkFile> read_network(const Path& folder, bool with_weights = true,
                                 std::string_view variant = {});
// The variants of the weights in a folder, sorted, the plain ones ("") among them. Errors: of
// reading config.json.
Result<std::vector<std::string>> weight_variants(const Path& folder);

// Writes the weights alone, as `variant` if one is named ("diffusion_pytorch_model.ema-0.9999…");
// atomic.
Status write_weights(const Path& folder, std::string_view network, TensorFile weights,
                     std::string_view variant = {});
// Writes both, each atomically, the weights first; `folder` is created.
Status write_network(const Path& folder, const NetworkFile& file);

// Today's name of a parameter: "…attentions.0.query.weight" → "…attentions.0.to_q.weight"; key →
// to_k, value → to_v, proj_attn → to_out.0. Other names come back unchanged.
std::string modern_parameter_name(std::string_view name);

// Renames legacy attention keys, and drops the 1x1 of attention weights stored as convolutions
// [c,c,1,1]. Error kCorrupt if both an old and a new name of one parameter are present.
Status modernize_parameters(TensorFile& file, std::string_view where);

}  // namespace ito
