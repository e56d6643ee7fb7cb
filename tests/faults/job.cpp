// A program that embeds Ito by its C API, for the driver of failure points (failure_points.py):
// draws two images of a model on a device of Ito's own and writes them as numbers:
//   ito_fault_job MODEL CACHE OUT
// Exit status 1 with one line where a call of the API fails; everything is destroyed either way.
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

#include "include/ito/ito.h"

namespace {

// What was made, destroyed in the end.
struct Made {
  ItoApi ito;
  ItoContext context = nullptr;
  ItoModel model = nullptr;
  ItoJob job = nullptr;
  ~Made() {
    ito.destroy_job(job);
    ito.destroy_model(model);
    ito.destroy_context(context);
  }
};

// The first result that is not ITO_OK.
ItoResult draw(Made& made, const char* model_folder, const char* cache,
               std::vector<float>& images) {
  const ItoApi& ito = made.ito;
  ItoContextInfo context;
  ITO_INIT(context, CONTEXT_INFO);
  context.cache_folder = cache;
  ItoResult result = ito.create_context(&context, &made.context);
  if (result != ITO_OK) return result;
  ItoModelInfo model;
  ITO_INIT(model, MODEL_INFO);
  model.folder = model_folder;
  result = ito.load_model(made.context, &model, &made.model);
  if (result != ITO_OK) return result;
  ItoSampleInfo sample;
  ITO_INIT(sample, SAMPLE_INFO);
  sample.sampler = "ddim";
  sample.steps = 2;
  sample.batch = 2;
  result = ito.create_sample_job(made.model, &sample, &made.job);
  if (result != ITO_OK) return result;
  const ItoImageRequest requests[] = {{7, 0}, {8, 1}};
  result = ito.restart(made.job, requests, 2);
  ItoBudget budget;
  ITO_INIT(budget, BUDGET);
  budget.max_dispatches = 25;
  ItoProgress progress;
  ITO_INIT(progress, PROGRESS);
  while (result >= ITO_OK && !progress.complete) {
    result = ito.submit_slice(made.job, &budget, &progress);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // a frame
  }
  if (result < ITO_OK) return result;
  ItoJobProperties properties;
  ITO_INIT(properties, JOB_PROPERTIES);
  result = ito.get_job_properties(made.job, &properties);
  if (result != ITO_OK) return result;
  images.resize(properties.image_floats);
  return ito.read_images(made.job, images.data(), images.size() * sizeof(float));
}

}  // namespace

int main(int count, char** words) {
  if (count != 4) {
    std::fprintf(stderr, "usage: ito_fault_job MODEL CACHE OUT\n");
    return 2;
  }
  Made made;
  if (ito_get_api(ITO_API_VERSION, sizeof(made.ito), &made.ito) != ITO_OK) {
    std::fprintf(stderr, "ito: the library is older than its header\n");
    return 2;
  }
  std::vector<float> images;
  if (draw(made, words[1], words[2], images) != ITO_OK) {
    std::fprintf(stderr, "ito: %s\n", made.ito.last_error());
    return 1;
  }
  std::FILE* file = std::fopen(words[3], "wb");
  if (file == nullptr) return 2;
  const bool written =
      std::fwrite(images.data(), sizeof(float), images.size(), file) == images.size();
  return std::fclose(file) == 0 && written ? 0 : 2;
}
