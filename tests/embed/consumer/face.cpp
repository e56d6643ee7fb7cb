// Samples one image by the C++ face, on a device of its own, and sees that errors and handles
// behave: face MODEL.
#include <cstdio>
#include <ito/ito.hpp>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<ito::Job> &&
              std::is_nothrow_move_constructible_v<ito::Job>);
static_assert(sizeof(ito::Job) == 2 * sizeof(void*));

int failed(const char* what, const ito::Error& error) {
  std::fprintf(stderr, "%s: %s\n", what, error.message.c_str());
  return 1;
}

int wrong(const char* what) {
  std::fprintf(stderr, "face: %s\n", what);
  return 1;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return 2;
  const auto api = ito::load();
  if (!api) return failed("load", api.error());
  auto context = ito::Context::create(*api, ito::make<ItoContextInfo>());
  if (!context) return failed("context", context.error());

  auto model_info = ito::make<ItoModelInfo>();
  model_info.folder = "/nonexistent";
  const auto none = context->load_model(model_info);
  if (none || none.code() != ITO_ERROR_NOT_FOUND ||
      none.error().message.find("/nonexistent") == std::string::npos)
    return wrong("a model that is not there is no error that names it");
  model_info.folder = arguments[1];
  auto model = context->load_model(model_info);
  if (!model) return failed("model", model.error());
  if (!model->class_name(3) || model->class_name(1000)) return wrong("names of classes");

  auto sample_info = ito::make<ItoSampleInfo>();
  sample_info.sampler = "ddim";
  sample_info.steps = 2;
  sample_info.pixel_format = ITO_PIXEL_FORMAT_RGBA8;
  auto made = model->create_sample_job(sample_info);
  if (!made) return failed("job", made.error());
  ito::Job job = *std::move(made);
  if (*made || !job) return wrong("a handle that was moved is still there");
  // A job keeps its model and context.
  model->reset();
  context->reset();

  const auto properties = job.properties();
  if (!properties) return failed("properties", properties.error());
  std::vector<unsigned char> pixels(properties->pixel_bytes), again(properties->pixel_bytes);
  const auto early = job.read_pixels(std::span(pixels));
  if (early.ready()) return wrong("pixels before there are any");
  for (auto* to : {&pixels, &again}) {
    if (const auto begun = job.restart({{.seed = 42, .class_index = 3}}); !begun)
      return failed("restart", begun.error());
    for (bool complete = false; !complete;) {
      const auto slice = job.submit_slice(ito::budget(0us));
      if (!slice) return failed("slice", slice.error());
      const auto now = job.poll();
      if (!now) return failed("poll", now.error());
      complete = now->complete != VK_FALSE;
    }
    if (const auto read = job.read_pixels(std::span(*to)); !read)
      return failed("pixels", read.error());
  }
  if (pixels != again) return wrong("two images of one seed differ");
  size_t lit = 0;
  for (size_t i = 0; i < pixels.size(); i += 4) lit += pixels[i] > 0;
  std::printf("by the C++ face: %zu pixels lit\n", lit);
  return lit == 0;
}
