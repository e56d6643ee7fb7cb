// Model: a network as everything above files needs it (the network, its flat weights in our layout,
// and the noise schedule it was trained for), read from and written to folders: diffusers'
// pipelines and model folders, and those of Ito's own networks. Not for running them
// (api/sampling.h, api/training.h, api/forward.h) and not for how a file spells a network
// (io/network_file.h).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"
#include "base/result.h"
#include "io/file.h"
#include "io/host_tensor.h"
#include "io/json.h"
#include "nn/network.h"

namespace ito {

// A network and its weights.
struct Component {
  Network network;
  std::vector<float> weights;   // [network.set().size()]
  Json extra = Json::object();  // keys of its config.json that are not the configuration's
  // The decay of the average that the weights are, as their file says it ("0.999"); empty: it says
  // none.
  std::string average = {};
};

struct Model : Component {
  SchedulerConfig scheduler;
  bool scheduler_missing = false;    // the folder has none: `scheduler` says nothing
  std::optional<Component> decoder;  // where the network works on latents: their autoencoder
  Json index = Json::object();       // a pipeline's model_index.json as read (io/diffusers.h)
  // Why the network makes no pictures by itself: a part of its pipeline that is not read (empty:
  // none; io/diffusers.h).
  std::string unread;
  std::vector<std::string> notes;  // what was read otherwise than a reader may think, a line each

  // Rows of the class table; 0 for a model without classes.
  int num_classes() const { return network.signature().classes.classes(); }
};

// Reads a diffusers pipeline or model folder, or one of `ito train`. Weights may lie below a
// wrapper's prefix (api/weight_names.h); `variant` chooses among several (io/weights.h). Errors
// name the file, or the tensor that is missing or of another shape (kCorrupt), or the network or
// block this build does not know (kUnsupported).
Result<Model> load_model(const Path& folder, std::string_view variant = {});

// The same for those who make or judge pictures: kUnsupported where a part of the pipeline is not
// read that its pictures need.
Result<Model> load_whole_model(const Path& folder, std::string_view variant = {});

// The same for those who need to know the process as well: an error where the folder has no
// scheduler.
Result<Model> load_scheduled_model(const Path& folder, std::string_view variant = {});

// Whether a variant of weights is an average as a run keeps it beside its first ("ema-0.9999").
bool is_average(std::string_view variant);

// The variant of a run's weights that is its average of a decay, "0.9999"; empty: they are what
// load_model reads. Error kNotFound naming the averages that are there.
Result<std::string> variant_of_average(const Path& folder, const std::string& decay);

// The one class that --class of a command says, by name or number, of the model in `folder`.
// Errors: as of classes_called (io/class_names.h); a model without classes, several classes.
Result<uint32_t> class_called(const std::string& text, const Path& folder, const Model& model);

// Reads numbers `first` and following of a network's weights, [set.size()], from where they lie. It
// is asked for one parameter after the other while a file is written.
using WeightReader = std::function<Status(int64_t first, std::span<float> numbers)>;

// Writes a pipeline folder (unet/, scheduler/, model_index.json), each file atomically; a network
// that is composed of several writes the others beside them (api/composition.h); one that diffusers
// does not have is written into the folder itself. Of weights that lie among others' only the
// network's own are written.
Status save_model(const Path& folder, const Network& network, const SchedulerConfig& scheduler,
                  std::span<const float> weights);
Status save_model(const Path& folder, const Model& model);
// The same with the weights of another place in place of model.weights.
Status save_model(const Path& folder, const Model& model, const WeightReader& weights);

// Adds to a folder of save_model the average of another decay, as a variant of its weights
// ("diffusion_pytorch_model.ema-0.9999.safetensors", which diffusers reads as variant
// "ema-0.9999"): `weights` of the model's network.
Status save_average(const Path& folder, const Network& network, const WeightReader& weights,
                    const std::string& decay);

// The configurations that save_model writes, as JSON: by folder for a pipeline ("unet",
// "scheduler" …), else by the network's row.
std::map<std::string, Json> model_configs(const Model& model);

// load_model, and an error where it is another network than nn/networks.h's "classifier".
Result<Component> load_classifier(const Path& folder, std::string_view variant = {});

// Weights between files (PyTorch names and layouts, any float type) and the flat vector.
// `where` names the source in errors. `notes` takes what was left out and which prefix; without it
// a tensor that is no parameter is an error.
Result<std::vector<float>> weights_from_file(const ParameterSet& set, const TensorFile& file,
                                             std::string_view where,
                                             std::vector<std::string>* notes = nullptr);
// The parameters of `own`, which lie among those of `set`. They are read and brought into PyTorch's
// layout when they are written, one by one; the sets, and what `weights` reads, must live until
// then.
TensorFile weights_to_file(const ParameterSet& set, const ParameterSet& own, WeightReader weights);

}  // namespace ito
