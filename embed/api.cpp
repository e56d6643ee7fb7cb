// The one exported symbol and the table behind it.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "embed/objects.h"

namespace ito::embed {
namespace {

const char* result_text(ItoResult result) {
  switch (result) {
    case ITO_OK:
      return "done";
    case ITO_NOT_READY:
      return "not ready yet";
    case ITO_ERROR_INVALID_ARGUMENT:
      return "a value that was given is wrong";
    case ITO_ERROR_NOT_FOUND:
      return "a file, device or function does not exist";
    case ITO_ERROR_IO:
      return "reading or writing failed";
    case ITO_ERROR_CORRUPT:
      return "a file contradicts itself or its format";
    case ITO_ERROR_UNSUPPORTED:
      return "this build, device or job cannot do it";
    case ITO_ERROR_OUT_OF_MEMORY:
      return "out of memory";
    case ITO_ERROR_DEVICE_LOST:
      return "the Vulkan device is lost";
    case ITO_ERROR_DEVICE:
      return "the Vulkan driver failed";
    case ITO_ERROR_DIVERGED:
      return "the images have numbers that are not finite";
    case ITO_ERROR_CANCELLED:
      return "the host cancelled it";
    case ITO_ERROR_INTERNAL:
      return "a fault of Ito's own";
    case ITO_RESULT_MAX_ENUM:
      break;
  }
  return "unknown result";
}

constexpr ItoApi kApi = {
    ITO_API_VERSION,
    static_cast<uint32_t>(sizeof(ItoApi)),
    result_text,
    last_error,
    enable_features,
    optional_extensions,
    create_context,
    destroy_context,
    get_context_properties,
    get_statistics,
    load_model,
    destroy_model,
    get_model_properties,
    get_class_name,
    record_uploads,
    release_uploads,
    create_sample_job,
    create_evaluate_job,
    create_train_job,
    destroy_job,
    get_job_properties,
    get_input_properties,
    write_input,
    record_image_source,
    record_buffer_source,
    restart,
    record_slice,
    submit_slice,
    poll,
    cancel,
    record_image,
    record_preview,
    record_buffer,
    read_images,
    read_pixels,
    trim_memory,
    read_train_report,
    write_trained_model,
    get_trained_model,
};

}  // namespace
}  // namespace ito::embed

ItoResult ito_get_api(uint32_t version, size_t size, ItoApi* api) {
  using ito::embed::kApi;
  if (api == nullptr || size < offsetof(ItoApi, result_text)) return ITO_ERROR_INVALID_ARGUMENT;
  if (version == 0 || version > kApi.version || size > sizeof(ItoApi)) return ITO_ERROR_UNSUPPORTED;
  std::memcpy(api, &kApi, size);
  api->size = static_cast<uint32_t>(size);
  return ITO_OK;
}
