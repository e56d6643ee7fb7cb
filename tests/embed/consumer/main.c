/* Samples one image of a model by the installed library, on a device of its own: consumer MODEL. */
#include <ito/ito.h>
#include <stdio.h>

unsigned structure_size(void);

static int failed(const ItoApi *ito, const char *what) {
  fprintf(stderr, "%s: %s\n", what, ito->last_error());
  return 1;
}

int main(int count, char **arguments) {
  static unsigned char pixels[64 * 64 * 4];
  ItoApi ito;
  ItoContextInfo context_info;
  ItoModelInfo model_info;
  ItoSampleInfo sample_info;
  ItoJobProperties job_info;
  ItoImageRequest request = {42, 3};
  ItoBudget budget;
  ItoProgress progress;
  ItoContext context;
  ItoModel model;
  ItoJob job;
  size_t lit = 0, i;

  if (count != 2 || structure_size() != sizeof(ItoProgress)) return 2;
  if (ito_get_api(ITO_API_VERSION, sizeof ito, &ito) != ITO_OK) return 2;
  ITO_INIT(context_info, CONTEXT_INFO);
  if (ito.create_context(&context_info, &context) != ITO_OK) return failed(&ito, "context");
  ITO_INIT(model_info, MODEL_INFO);
  model_info.folder = arguments[1];
  if (ito.load_model(context, &model_info, &model) != ITO_OK) return failed(&ito, "model");
  ITO_INIT(sample_info, SAMPLE_INFO);
  sample_info.sampler = "ddim";
  sample_info.steps = 2;
  sample_info.pixel_format = ITO_PIXEL_FORMAT_RGBA8;
  if (ito.create_sample_job(model, &sample_info, &job) != ITO_OK) return failed(&ito, "job");
  ITO_INIT(job_info, JOB_PROPERTIES);
  if (ito.get_job_properties(job, &job_info) != ITO_OK) return failed(&ito, "properties");
  if (job_info.pixel_bytes > sizeof pixels) return 2;
  if (ito.restart(job, &request, 1) != ITO_OK) return failed(&ito, "restart");
  ITO_INIT(budget, BUDGET);
  ITO_INIT(progress, PROGRESS);
  while (!progress.complete)
    if (ito.submit_slice(job, &budget, &progress) < 0) return failed(&ito, "slice");
  if (ito.read_pixels(job, pixels, (size_t)job_info.pixel_bytes) != ITO_OK)
    return failed(&ito, "pixels");
  for (i = 0; i < job_info.pixel_bytes; i += 4) lit += pixels[i] > 0;
  printf("%s, %ux%u, %u steps, %u pixels lit\n", ito.get_class_name(model, 3), job_info.width,
         job_info.height, progress.step, (unsigned)lit);
  ito.destroy_context(context);
  ito.destroy_model(model);
  ito.destroy_job(job);
  return lit == 0;
}
