// Models: read from a folder, their weights on the context's device.
#include <cstring>

#include "base/error.h"
#include "embed/objects.h"
#include "embed/packing.h"
#include "embed/structures.h"

namespace ito::embed {

Result<LoadedModel> read_model(const std::string& folder, const std::string& variant) {
  LoadedModel loaded;
  loaded.folder = folder;
  ITO_ASSIGN(loaded.model, load_scheduled_model(folder, variant));
  if (loaded.model.decoder)
    return unsupported("{}: models on latents are not sampled by jobs yet", folder);
  ITO_ASSIGN(loaded.names, read_class_names(folder));
  return loaded;
}

ItoResult load_model(ItoContext context, const ItoModelInfo* given, ItoModel* model) {
  if (context == nullptr) return failed(invalid_argument("load_model: the context is NULL"));
  return guarded(context->shared.get(), [&]() -> Status {
    if (model == nullptr) return invalid_argument("load_model: model is NULL");
    *model = nullptr;
    ITO_ASSIGN(const ItoModelInfo info,
               read_structure(given, ITO_STRUCTURE_TYPE_MODEL_INFO, "ItoModelInfo"));
    if (info.folder == nullptr) return invalid_argument("ItoModelInfo: folder is NULL");
    vk::Device& device = *context->shared->device;
    ITO_ASSIGN(LoadedModel read,
               read_model(info.folder, info.variant != nullptr ? info.variant : ""));
    auto loaded = std::make_shared<LoadedModel>(std::move(read));
    loaded->shared = context->shared;
    for (const std::string& note : loaded->model.notes) device.log()(LogLevel::kInfo, note);
    ITO_ASSIGN(loaded->model.network, loaded->model.network.for_device(device.caps()));
    ITO_ASSIGN(loaded->weights,
               DeviceWeights::upload(device, loaded->model.network.set(), loaded->model.weights));
    loaded->model.weights = {};
    *model = new ItoModel_T{std::move(loaded)};
    return {};
  });
}

void destroy_model(ItoModel model) {
  static_cast<void>(guarded(nullptr, [&]() -> Status {
    delete model;
    return {};
  }));
}

ItoResult get_model_properties(ItoModel model, ItoModelProperties* properties) {
  if (model == nullptr) return failed(invalid_argument("the model is NULL"));
  return guarded(model->loaded->shared.get(), [&]() -> Status {
    ITO_TRY(check_structure(properties, ITO_STRUCTURE_TYPE_MODEL_PROPERTIES, "ItoModelProperties"));
    const Model& m = model->loaded->model;
    const Signature& signature = m.network.signature();
    ItoModelProperties values;
    std::memset(&values, 0, sizeof values);
    if (const auto& size = signature.sample_size) {
      values.height = static_cast<uint32_t>((*size)[0]);
      values.width = static_cast<uint32_t>((*size)[1]);
    }
    values.channels = static_cast<uint32_t>(signature.in_channels);
    values.classes = static_cast<uint32_t>(m.num_classes());
    values.parameters = static_cast<uint64_t>(m.network.set().size());
    write_structure(properties, values);
    return {};
  });
}

const char* get_class_name(ItoModel model, uint32_t index) {
  if (model == nullptr || !has_names(model->loaded->names)) return nullptr;
  const std::vector<std::string>& names = model->loaded->names->names;
  return index < names.size() ? names[index].c_str() : nullptr;
}

}  // namespace ito::embed
