#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char kHelp[] =
    "frame_loop MODEL [OPTION VALUE]...: a scene that turns, and an image that is sampled "
    "meanwhile.\n"
    "  --sampler NAME   as `ito inspect --list samplers` names them (the model's own)\n"
    "  --steps N        of it (its own number)\n"
    "  --guidance X     classifier-free guidance (none)\n"
    "  --seed N         of the first image; each further one has the next (0)\n"
    "  --class N        its class (0)\n"
    "  --budget-us N    of the device's time for a slice, 0: no limit (2000)\n"
    "  --cache FOLDER   for compiled shaders (none is kept)\n"
    "  --images N       how many are sampled before the loop ends (1)\n"
    "  --frames N       how many frames are drawn (as many as the images take, and 8)\n"
    "  --frame-ms X     a frame begins this often, 0: as often as can be (16.7)\n"
    "  --size WxH       of the scene (480x360)\n"
    "  --out FOLDER     writes the last frame and the last image there, as PNG\n"
    "  --every N        and every Nth frame\n"
    "  --compare PNG    fails unless the last image is that of this file, byte for byte\n"
    "  --without PNG    no Ito: the host itself shows this picture from the first frame on\n"
    "  --window         shows the scene in a window until it is closed; space turns Ito off and "
    "on\n";

static void wrong(const char *option, const char *value) {
  fprintf(stderr, "frame_loop: %s %s is not understood; see --help\n", option, value);
  exit(2);
}

static uint32_t number(const char *option, const char *value) {
  char *end;
  const unsigned long result = strtoul(value, &end, 10);
  if (end == value || *end != 0 || value[0] == '-' || result > 0xffffffffu) wrong(option, value);
  return (uint32_t)result;
}

static double real(const char *option, const char *value) {
  char *end;
  const double result = strtod(value, &end);
  if (end == value || *end != 0 || !(result >= 0)) wrong(option, value);
  return result;
}

static int set(Options *options, const char *name, const char *value) {
  if (strcmp(name, "--sampler") == 0)
    options->picture.sampler = value;
  else if (strcmp(name, "--steps") == 0)
    options->picture.steps = number(name, value);
  else if (strcmp(name, "--guidance") == 0)
    options->picture.guidance = real(name, value);
  else if (strcmp(name, "--seed") == 0)
    options->picture.seed = number(name, value);
  else if (strcmp(name, "--class") == 0)
    options->picture.class_index = number(name, value);
  else if (strcmp(name, "--budget-us") == 0)
    options->picture.budget_us = number(name, value);
  else if (strcmp(name, "--cache") == 0)
    options->picture.cache = value;
  else if (strcmp(name, "--images") == 0)
    options->images = number(name, value);
  else if (strcmp(name, "--frames") == 0)
    options->frames = number(name, value);
  else if (strcmp(name, "--frame-ms") == 0)
    options->frame_ms = real(name, value);
  else if (strcmp(name, "--out") == 0)
    options->folder = value;
  else if (strcmp(name, "--every") == 0)
    options->every = number(name, value);
  else if (strcmp(name, "--compare") == 0)
    options->compare = value;
  else if (strcmp(name, "--without") == 0)
    options->without = value;
  else if (strcmp(name, "--size") == 0) {
    char after;
    if (sscanf(value, "%ux%u%c", &options->width, &options->height, &after) != 2 ||
        options->width - 16 > 4080 || options->height - 16 > 4080)
      wrong(name, value);
  } else {
    return 0;
  }
  return 1;
}

Options read_options(int count, char **arguments) {
  Options options;
  int i;
  memset(&options, 0, sizeof options);
  options.width = 480;
  options.height = 360;
  options.images = 1;
  options.frame_ms = 16.7;
  options.picture.budget_us = 2000;
  for (i = 1; i < count; ++i) {
    if (strcmp(arguments[i], "--help") == 0) {
      fputs(kHelp, stdout);
      exit(0);
    }
    if (strcmp(arguments[i], "--window") == 0) {
      options.window = 1;
    } else if (arguments[i][0] != '-' && options.picture.model == NULL) {
      options.picture.model = arguments[i];
    } else {
      const char *value = i + 1 < count ? arguments[i + 1] : NULL;
      if (value == NULL || !set(&options, arguments[i], value))
        wrong(arguments[i], value != NULL ? value : "without a value");
      ++i;
    }
  }
  if (options.picture.model == NULL && options.without == NULL)
    wrong("a command line", "without MODEL");
  if (options.without != NULL && options.frames == 0) wrong("--without", "without --frames");
  if (options.images == 0) wrong("--images", "0");
  return options;
}
