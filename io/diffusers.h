// Folders as diffusers writes them: model_index.json, the denoiser's folder (unet/, or what its
// class says; config.json beside diffusion_pytorch_model.safetensors) and
// scheduler/scheduler_config.json; also a bare model folder and the flat folders of the first
// releases. Names and layouts of tensors stay PyTorch's (NCHW, OIHW, [out,in]); who builds the
// network converts with io/layout.h. Not for what a network computes (nn) and not for other model
// families.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/result.h"
#include "io/file.h"
#include "io/json.h"
#include "io/network_file.h"
#include "io/scheduler_config.h"

namespace ito {

// Config from JSON. Absent keys take diffusers' defaults. Errors name `where` and the key:
// kCorrupt for a value of the wrong type, out of range, or lists of unequal length; kUnsupported
// for an unknown block type, activation or embedding type. Block names of old releases (UNetRes…
// prefix) are read as today's. Its _class_name is network_from_json's business.
Result<UNet2DConfig> parse_unet_config(const Json& json, const std::string& where);
Json unet_config_json(const UNet2DConfig& config);

// A pipeline as files hold it.
struct DiffusersModel {
  NetworkFile denoiser;
  std::optional<NetworkFile> vae;            // of a pipeline on latents
  std::optional<SchedulerConfig> scheduler;  // nothing in a bare model folder without one
  // model_index.json as read, or empty. What it names besides the above (text encoders, tokenizers)
  // is not read, and named as absent where the pipeline is written.
  Json index = Json::object();
  // What is between the network and a picture and is not read, as a sentence ("… vqvae (VQModel) is
  // not read …"): without it the network's numbers are no pictures. Empty: nothing is missing.
  std::string unread = {};
  std::vector<std::string> notes = {};  // parts that change no picture and are not read
};

// Reads a pipeline folder (with the denoiser's) or a model folder (config.json beside the weights).
// `variant`: of the weights, where several are there (io/weights.h). Errors name the file that is
// missing or wrong; kUnsupported for a pipeline whose network is another.
Result<DiffusersModel> read_diffusers(const Path& folder, std::string_view variant = {});
// The folder of the denoiser's config.json and weights: folder/unet or of another name that a class
// has (io/network_file.h), or folder itself.
Result<Path> denoiser_folder(const Path& folder);
// What shows that a folder is a model's, "unet/config.json"; nothing if nothing does.
std::optional<std::string> model_file_in(const Path& folder);
// Nothing if the folder has no scheduler file. `notes`, if given, takes what was read otherwise
// than a reader may think.
Result<std::optional<SchedulerConfig>> read_scheduler_config(
    const Path& folder, std::vector<std::string>* notes = nullptr);

// Writes a pipeline folder file by file, each atomically, the weights first; `folder` is created.
// Without a scheduler only the denoiser is written and no model_index.json.
// For a class-conditional U-Net model_index.json still names DDPMPipeline or DDIMPipeline (from the
// scheduler), as diffusers has no other pipeline for it.
Status write_diffusers(const Path& folder, const DiffusersModel& model);

}  // namespace ito
