// ito.hpp: the C API of ito.h for C++20: handles that destroy themselves, errors that cannot be
// overlooked, spans instead of pointers with sizes, structures whose headers are filled. Header
// only, without exceptions. What a function does, takes and promises says ito.h at the function of
// the same name; this says only what is different here. In short:
//
//     const ItoApi api = *ito::load();                     // outlives all that is made with it
//     auto context = ito::Context::create(api, ito::make<ItoContextInfo>());
//     if (!context) return fail(context.error());
//     auto info = ito::make<ItoModelInfo>();
//     info.folder = "models/fashion-mnist";
//     auto model = context->load_model(info);
//     auto job = model->create_sample_job(ito::make<ItoSampleInfo>());
//     job->restart({{.seed = 42, .class_index = 3}});
//     each frame: auto slice = job->record_slice(commands, ito::budget(2ms));
//     when slice->recorded: job->record_image(commands, target);
#ifndef ITO_ITO_HPP
#define ITO_ITO_HPP

#include <ito/ito.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

// The inner namespace keeps these names apart from those of the library itself, where that is
// linked statically.
namespace ito::inline cpp {

// ------------------------------------------------------------------------------------ structures

template <class T>
inline constexpr ItoStructureType structure_type = ITO_STRUCTURE_TYPE_MAX_ENUM;
#define ITO_STRUCTURE(name, NAME) \
  template <>                     \
  inline constexpr ItoStructureType structure_type<name> = ITO_STRUCTURE_TYPE_##NAME;
ITO_STRUCTURE(ItoHostDevice, HOST_DEVICE)
ITO_STRUCTURE(ItoContextInfo, CONTEXT_INFO)
ITO_STRUCTURE(ItoContextProperties, CONTEXT_PROPERTIES)
ITO_STRUCTURE(ItoModelInfo, MODEL_INFO)
ITO_STRUCTURE(ItoModelProperties, MODEL_PROPERTIES)
ITO_STRUCTURE(ItoSampleInfo, SAMPLE_INFO)
ITO_STRUCTURE(ItoJobProperties, JOB_PROPERTIES)
ITO_STRUCTURE(ItoBudget, BUDGET)
ITO_STRUCTURE(ItoProgress, PROGRESS)
ITO_STRUCTURE(ItoImageTarget, IMAGE_TARGET)
ITO_STRUCTURE(ItoStatistics, STATISTICS)
ITO_STRUCTURE(ItoEvaluateInfo, EVALUATE_INFO)
ITO_STRUCTURE(ItoTrainInfo, TRAIN_INFO)
ITO_STRUCTURE(ItoTrainReport, TRAIN_REPORT)
ITO_STRUCTURE(ItoInputProperties, INPUT_PROPERTIES)
ITO_STRUCTURE(ItoImageSource, IMAGE_SOURCE)
ITO_STRUCTURE(ItoBufferSource, BUFFER_SOURCE)
ITO_STRUCTURE(ItoBufferTarget, BUFFER_TARGET)
#undef ITO_STRUCTURE

// A structure as ITO_INIT leaves it: all zero, which is each field's default.
template <class T>
[[nodiscard]] T make() noexcept {
  static_assert(structure_type<T> != ITO_STRUCTURE_TYPE_MAX_ENUM, "not a structure of ito.h");
  T structure = {};
  structure.type = structure_type<T>;
  structure.size = static_cast<uint32_t>(sizeof(T));
  return structure;
}

// What a slice may hold; zero of either: no limit.
[[nodiscard]] inline ItoBudget budget(std::chrono::microseconds gpu,
                                      uint32_t max_dispatches = 0) noexcept {
  auto result = make<ItoBudget>();
  result.gpu_microseconds = static_cast<uint32_t>(gpu.count());
  result.max_dispatches = max_dispatches;
  return result;
}

// ---------------------------------------------------------------------------------------- errors

struct Error {
  ItoResult code = ITO_OK;  // negative
  std::string message;      // one sentence
};

// What a call came to: a value (T may be void), or an error. Nothing is allocated where there is
// none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value, ItoResult code) : value_(std::move(value)), error_{code, {}} {}
  Result(Error error) : error_(std::move(error)) {}

  // No error; then there is a value.
  explicit operator bool() const noexcept { return error_.code >= 0; }
  // ITO_OK. Neither this nor an error: ITO_NOT_READY, ask again later.
  bool ready() const noexcept { return error_.code == ITO_OK; }
  ItoResult code() const noexcept { return error_.code; }
  const Error& error() const noexcept { return error_; }

  T& operator*() & noexcept { return value_; }
  const T& operator*() const& noexcept { return value_; }
  T&& operator*() && noexcept { return std::move(value_); }
  T* operator->() noexcept { return &value_; }
  const T* operator->() const noexcept { return &value_; }

 private:
  T value_ = {};
  Error error_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  explicit Result(ItoResult code) noexcept : error_{code, {}} {}
  Result(Error error) noexcept : error_(std::move(error)) {}

  explicit operator bool() const noexcept { return error_.code >= 0; }
  bool ready() const noexcept { return error_.code == ITO_OK; }
  ItoResult code() const noexcept { return error_.code; }
  const Error& error() const noexcept { return error_; }

 private:
  Error error_;
};
using Status = Result<void>;

namespace detail {

inline Status status(const ItoApi& api, ItoResult code) {
  if (code < 0) return Error{code, api.last_error()};
  return Status(code);
}

template <class T>
Result<T> result(const ItoApi& api, ItoResult code, T&& value) {
  if (code < 0) return Error{code, api.last_error()};
  return Result<T>(std::forward<T>(value), code);
}

// A handle and the table that knows how to destroy it; move-only.
template <class Handle, void (ITO_CALL* ItoApi::*kDestroy)(Handle)>
class Owned {
 public:
  Owned() noexcept = default;
  // Takes a handle over that the C API gave.
  Owned(const ItoApi& api, Handle handle) noexcept : api_(&api), handle_(handle) {}
  Owned(Owned&& other) noexcept
      : api_(other.api_), handle_(std::exchange(other.handle_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    if (this != &other) {
      reset();
      api_ = other.api_;
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() { reset(); }

  explicit operator bool() const noexcept { return handle_ != nullptr; }
  Handle get() const noexcept { return handle_; }
  [[nodiscard]] Handle release() noexcept { return std::exchange(handle_, nullptr); }
  void reset() noexcept {
    if (handle_ != nullptr) (api_->*kDestroy)(std::exchange(handle_, nullptr));
  }

 protected:
  const ItoApi& api() const noexcept { return *api_; }

  // What `get(handle, &structure)` fills.
  template <class T, class Getter>
  Result<T> filled(Getter getter) const {
    auto structure = make<T>();
    const ItoResult code = getter(handle_, &structure);
    return result(*api_, code, std::move(structure));
  }

 private:
  const ItoApi* api_ = nullptr;
  Handle handle_ = nullptr;
};

}  // namespace detail

// ------------------------------------------------------------------------------------- functions

// The table; `get` where the library was opened at run time. It must outlive what is made with it.
template <class Get = decltype(&ito_get_api)>
[[nodiscard]] Result<ItoApi> load(Get get) {
  ItoApi api = {};
  const ItoResult code = get(ITO_API_VERSION, sizeof api, &api);
  if (code < 0) return Error{code, "the library is older than the header ito.h"};
  return Result<ItoApi>(api, code);
}
[[nodiscard]] inline Result<ItoApi> load() { return load(&ito_get_api); }

// A result in words.
[[nodiscard]] inline std::string_view text(const ItoApi& api, ItoResult code) {
  return api.result_text(code);
}

inline Status enable_features(const ItoApi& api, PFN_vkGetInstanceProcAddr get_instance_proc_addr,
                              VkInstance instance, VkPhysicalDevice device,
                              VkPhysicalDeviceFeatures2& features) {
  return detail::status(api,
                        api.enable_features(get_instance_proc_addr, instance, device, &features));
}

[[nodiscard]] inline std::span<const char* const> optional_extensions(const ItoApi& api) {
  uint32_t count = 0;
  const char* const* names = api.optional_extensions(&count);
  return {names, count};
}

class Model;

class Job : public detail::Owned<ItoJob, &ItoApi::destroy_job> {
 public:
  using Owned::Owned;

  Result<ItoJobProperties> properties() const {
    return filled<ItoJobProperties>(api().get_job_properties);
  }
  Result<ItoInputProperties> input_properties(ItoInput input) const {
    auto properties = make<ItoInputProperties>();
    const ItoResult code = api().get_input_properties(get(), input, &properties);
    return detail::result(api(), code, std::move(properties));
  }

  // Whole rows, from `row` on: bytes of pictures, floats, classes, anything that is copied bit by
  // bit.
  template <class T, size_t kExtent>
  Status write_input(ItoInput input, uint32_t row, std::span<T, kExtent> rows) {
    static_assert(std::is_trivially_copyable_v<T>);
    return detail::status(api(),
                          api().write_input(get(), input, row, rows.data(), rows.size_bytes()));
  }
  Status record_source(VkCommandBuffer commands, const ItoImageSource& source) {
    return detail::status(api(), api().record_image_source(get(), commands, &source));
  }
  Status record_source(VkCommandBuffer commands, const ItoBufferSource& source) {
    return detail::status(api(), api().record_buffer_source(get(), commands, &source));
  }

  // Without requests: an evaluation, or the next batch of a training.
  Status restart(std::span<const ItoImageRequest> requests = {}) {
    return detail::status(api(), api().restart(get(), requests.empty() ? nullptr : requests.data(),
                                               static_cast<uint32_t>(requests.size())));
  }
  Status restart(std::initializer_list<ItoImageRequest> requests) {
    return restart(std::span<const ItoImageRequest>(requests.begin(), requests.size()));
  }

  Result<ItoProgress> record_slice(VkCommandBuffer commands, const ItoBudget& budget) {
    auto progress = make<ItoProgress>();
    const ItoResult code = api().record_slice(get(), commands, &budget, &progress);
    return detail::result(api(), code, std::move(progress));
  }
  Result<ItoProgress> submit_slice(const ItoBudget& budget) {
    auto progress = make<ItoProgress>();
    const ItoResult code = api().submit_slice(get(), &budget, &progress);
    return detail::result(api(), code, std::move(progress));
  }
  Result<ItoProgress> poll() const { return filled<ItoProgress>(api().poll); }
  Status cancel() { return detail::status(api(), api().cancel(get())); }

  Status record_image(VkCommandBuffer commands, const ItoImageTarget& target) {
    return detail::status(api(), api().record_image(get(), commands, &target));
  }
  // Only made, for record_buffer, where there is no target.
  Status record_preview(VkCommandBuffer commands) {
    return detail::status(api(), api().record_preview(get(), commands, nullptr));
  }
  Status record_preview(VkCommandBuffer commands, const ItoImageTarget& target) {
    return detail::status(api(), api().record_preview(get(), commands, &target));
  }
  Status record_buffer(VkCommandBuffer commands, const ItoBufferTarget& target) {
    return detail::status(api(), api().record_buffer(get(), commands, &target));
  }

  // All of them: as many as properties() says.
  Status read_images(std::span<float> images) {
    return detail::status(api(), api().read_images(get(), images.data(), images.size_bytes()));
  }
  template <class T, size_t kExtent>
  Status read_pixels(std::span<T, kExtent> pixels) {
    static_assert(std::is_trivially_copyable_v<T> && !std::is_const_v<T>);
    return detail::status(api(), api().read_pixels(get(), pixels.data(), pixels.size_bytes()));
  }
  Status trim_memory() { return detail::status(api(), api().trim_memory(get())); }

  Result<ItoTrainReport> read_train_report() {
    return filled<ItoTrainReport>(api().read_train_report);
  }
  Status write_trained_model(const std::string& folder) {
    return detail::status(api(), api().write_trained_model(get(), folder.c_str()));
  }
  Result<Model> get_trained_model();
};

class Model : public detail::Owned<ItoModel, &ItoApi::destroy_model> {
 public:
  using Owned::Owned;

  Result<ItoModelProperties> properties() const {
    return filled<ItoModelProperties>(api().get_model_properties);
  }
  // Lives as long as the model.
  std::optional<std::string_view> class_name(uint32_t index) const {
    const char* name = api().get_class_name(get(), index);
    return name == nullptr ? std::nullopt : std::optional<std::string_view>(name);
  }
  Result<Job> create_sample_job(const ItoSampleInfo& info) {
    ItoJob job = nullptr;
    const ItoResult code = api().create_sample_job(get(), &info, &job);
    return detail::result(api(), code, Job(api(), job));
  }
  Result<Job> create_evaluate_job(const ItoEvaluateInfo& info) {
    ItoJob job = nullptr;
    const ItoResult code = api().create_evaluate_job(get(), &info, &job);
    return detail::result(api(), code, Job(api(), job));
  }
};

inline Result<Model> Job::get_trained_model() {
  ItoModel model = nullptr;
  const ItoResult code = api().get_trained_model(get(), &model);
  return detail::result(api(), code, Model(api(), model));
}

class Context : public detail::Owned<ItoContext, &ItoApi::destroy_context> {
 public:
  using Owned::Owned;

  static Result<Context> create(const ItoApi& api, const ItoContextInfo& info) {
    ItoContext context = nullptr;
    const ItoResult code = api.create_context(&info, &context);
    return detail::result(api, code, Context(api, context));
  }
  // The table would be gone.
  static Result<Context> create(ItoApi&& api, const ItoContextInfo& info) = delete;

  Result<ItoContextProperties> properties() const {
    return filled<ItoContextProperties>(api().get_context_properties);
  }
  Result<ItoStatistics> statistics() const { return filled<ItoStatistics>(api().get_statistics); }

  Result<Model> load_model(const ItoModelInfo& info) {
    ItoModel model = nullptr;
    const ItoResult code = api().load_model(get(), &info, &model);
    return detail::result(api(), code, Model(api(), model));
  }
  Result<Job> create_train_job(const ItoTrainInfo& info) {
    ItoJob job = nullptr;
    const ItoResult code = api().create_train_job(get(), &info, &job);
    return detail::result(api(), code, Job(api(), job));
  }
  Status record_uploads(VkCommandBuffer commands, const ItoBudget& budget) {
    return detail::status(api(), api().record_uploads(get(), commands, &budget));
  }
  Status release_uploads() { return detail::status(api(), api().release_uploads(get())); }
};

}  // namespace ito::inline cpp

#endif
