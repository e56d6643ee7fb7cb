/* The command line of frame_loop. */
#ifndef FRAME_LOOP_OPTIONS_H
#define FRAME_LOOP_OPTIONS_H

#include "picture.h"

typedef struct Options {
  PictureOptions picture;
  uint32_t width, height;
  uint32_t images; /* how many are sampled before the loop ends */
  uint32_t frames; /* 0: as many as that takes */
  uint32_t every;  /* every so many frames one is written; 0: the last only */
  double frame_ms; /* a frame begins this often; 0: as often as can be */
  int window;
  const char *folder;  /* where pictures are written, or NULL */
  const char *compare; /* a PNG that the last image has to equal, or NULL */
  const char *without; /* a PNG that the host shows by itself, without Ito, or NULL */
} Options;

/* Ends the program where they make no sense, and after --help. */
Options read_options(int count, char **arguments);

#endif
