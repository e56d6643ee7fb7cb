/* What it takes until a model can draw inside an engine, by the C API on a device of Ito's own:
 *   prewarm MODEL [--pack FILE]... [--cache FOLDER] [--steps N] [--runs N]
 * prints, for each run, milliseconds of create_context, load_model and create_sample_job (DDIM, one
 * image), and those of the image itself, each as time and as processor time of all threads, which a busy
 * machine changes less; and how many kernels were compiled, packed and made into pipelines. The first run
 * of a process also loads the driver. Not a test: times depend on the machine. */
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "include/ito/ito.h"

enum { MOST_PACKS = 8 };

/* Since some moment, in milliseconds. */
typedef struct Moment {
  double time, processor;
} Moment;

static double clock_ms(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static Moment now(void) {
  const Moment moment = {clock_ms(CLOCK_MONOTONIC), clock_ms(CLOCK_PROCESS_CPUTIME_ID)};
  return moment;
}

static void print_between(Moment from, Moment to) {
  printf("%8.1f %8.1f |", to.time - from.time, to.processor - from.processor);
}

static int fail(const ItoApi *ito, const char *what) {
  fprintf(stderr, "prewarm: %s: %s\n", what, ito->last_error());
  return 1;
}

int main(int argc, char **argv) {
  ItoApi ito;
  ItoContextInfo context_info;
  ItoPackInfo packs[MOST_PACKS];
  ItoModelInfo model_info;
  ItoSampleInfo sample_info;
  int pack_count = 0, runs = 1;
  ITO_INIT(context_info, CONTEXT_INFO);
  ITO_INIT(model_info, MODEL_INFO);
  ITO_INIT(sample_info, SAMPLE_INFO);
  sample_info.sampler = "ddim";
  sample_info.steps = 20;
  sample_info.pixel_format = ITO_PIXEL_FORMAT_RGBA8;
  for (int i = 1; i < argc; ++i) {
    const char *value = i + 1 < argc ? argv[i + 1] : NULL;
    if (strcmp(argv[i], "--pack") == 0 && value != NULL && pack_count < MOST_PACKS) {
      ITO_INIT(packs[pack_count], PACK_INFO);
      packs[pack_count].path = value;
      if (pack_count > 0) packs[pack_count - 1].next = &packs[pack_count];
      context_info.next = &packs[0];
      ++pack_count;
    } else if (strcmp(argv[i], "--cache") == 0 && value != NULL) {
      context_info.cache_folder = value;
    } else if (strcmp(argv[i], "--steps") == 0 && value != NULL) {
      sample_info.steps = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(argv[i], "--runs") == 0 && value != NULL) {
      runs = atoi(value);
    } else if (model_info.folder == NULL && argv[i][0] != '-') {
      model_info.folder = argv[i];
      continue;
    } else {
      model_info.folder = NULL;
      break;
    }
    ++i;
  }
  if (model_info.folder == NULL) {
    fprintf(stderr, "usage: prewarm MODEL [--pack FILE]... [--cache FOLDER] [--steps N] [--runs N]\n");
    return 2;
  }
  if (ito_get_api(ITO_API_VERSION, sizeof ito, &ito) != ITO_OK) return 1;
  printf("         context   |          model    |           job     |          image    |\n");
  printf("    time      cpu  |    time      cpu  |    time      cpu  |    time      cpu  |"
         " compiled packed pipelines\n");
  for (int run = 0; run < runs; ++run) {
    ItoContext context = NULL;
    ItoModel model = NULL;
    ItoJob job = NULL;
    ItoStatistics statistics;
    ItoBudget budget;
    ItoProgress progress;
    ItoJobProperties properties;
    const ItoImageRequest request = {7, 0};
    const Moment begin = now();
    if (ito.create_context(&context_info, &context) != ITO_OK) return fail(&ito, "create_context");
    const Moment opened = now();
    if (ito.load_model(context, &model_info, &model) != ITO_OK) return fail(&ito, "load_model");
    const Moment loaded = now();
    if (ito.create_sample_job(model, &sample_info, &job) != ITO_OK) return fail(&ito, "create_sample_job");
    const Moment made = now();
    ITO_INIT(budget, BUDGET);
    ITO_INIT(progress, PROGRESS);
    ITO_INIT(properties, JOB_PROPERTIES);
    if (ito.get_job_properties(job, &properties) != ITO_OK) return fail(&ito, "get_job_properties");
    if (ito.restart(job, &request, 1) != ITO_OK) return fail(&ito, "restart");
    while (!progress.recorded)
      if (ito.submit_slice(job, &budget, &progress) < ITO_OK) return fail(&ito, "submit_slice");
    void *pixels = malloc(properties.pixel_bytes);
    if (pixels == NULL || ito.read_pixels(job, pixels, properties.pixel_bytes) != ITO_OK)
      return fail(&ito, "read_pixels");
    free(pixels);
    const Moment drawn = now();
    ITO_INIT(statistics, STATISTICS);
    ito.get_statistics(context, &statistics);
    print_between(begin, opened);
    print_between(opened, loaded);
    print_between(loaded, made);
    print_between(made, drawn);
    printf(" %8llu %6llu %9llu\n", (unsigned long long)statistics.shaders_compiled,
           (unsigned long long)statistics.shaders_packed,
           (unsigned long long)statistics.pipelines_created);
    ito.destroy_job(job);
    ito.destroy_model(model);
    ito.destroy_context(context);
  }
  return 0;
}
