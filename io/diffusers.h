// Folders as diffusers writes them: model_index.json, unet/ (config.json beside
// diffusion_pytorch_model.safetensors) and scheduler/scheduler_config.json; also a bare model
// folder and the flat folders of the first releases. Names and layouts of tensors stay PyTorch's
// (NCHW, OIHW, [out,in]); who builds the network converts with io/layout.h. Not for what a network
// computes (nn) and not for other model families.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/config.h"
#include "base/result.h"
#include "io/file.h"
#include "io/host_tensor.h"
#include "io/json.h"
#include "io/scheduler_config.h"

namespace ito {

// Config from JSON. Absent keys take diffusers' defaults. Errors name `where` and the key:
// kCorrupt for a value of the wrong type, out of range, or lists of unequal length; kUnsupported
// for an unknown block type, activation, embedding type or _class_name. Block names of old releases
// (UNetRes… prefix) are read as today's.
Result<UNet2DConfig> parse_unet_config(const Json& json, const std::string& where);
Json unet_config_json(const UNet2DConfig& config);

// The same checks for a config built by hand (a command line): lists of equal length, known names,
// positive numbers, channels divisible by the groups.
Status validate_unet_config(const UNet2DConfig& config, const std::string& where);

// A model as files hold it.
struct DiffusersModel {
  UNet2DConfig unet;
  TensorFile weights;                        // PyTorch names; legacy attention keys already renamed
  std::optional<SchedulerConfig> scheduler;  // nothing in a bare model folder without one
};

// Reads a pipeline folder (with unet/) or a model folder (config.json beside the weights).
// Errors name the file that is missing or wrong; kUnsupported for pipelines of other classes,
// pickled (.bin) and sharded weights.
Result<DiffusersModel> read_diffusers(const Path& folder);
Result<UNet2DConfig> read_unet_config(const Path& folder);
Result<TensorFile> read_unet_weights(const Path& folder);
// Nothing if the folder has no scheduler file.
Result<std::optional<SchedulerConfig>> read_scheduler_config(const Path& folder);

// Writes a pipeline folder file by file, each atomically, the weights first; `folder` is created.
// Without a scheduler only unet/ is written and no model_index.json.
// For a class-conditional U-Net model_index.json still names DDPMPipeline or DDIMPipeline (from the
// scheduler), as diffusers has no other pipeline for it.
Status write_diffusers(const Path& folder, const DiffusersModel& model);
// config.json and diffusion_pytorch_model.safetensors in `folder`, which is created.
Status write_unet(const Path& folder, const UNet2DConfig& config, const TensorFile& weights);

// Today's name of a parameter: "…attentions.0.query.weight" → "…attentions.0.to_q.weight"; key →
// to_k, value → to_v, proj_attn → to_out.0. Other names come back unchanged.
std::string modern_parameter_name(std::string_view name);

// Renames legacy attention keys, and drops the 1x1 of attention weights stored as convolutions
// [c,c,1,1]. Error kCorrupt if both an old and a new name of one parameter are present.
Status modernize_parameters(TensorFile& file, std::string_view where);

}  // namespace ito
