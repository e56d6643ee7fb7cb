/* The picture on the cube: a texture of the engine's with a frame drawn by the host around the part
 * that Ito paints, a slice of sampling at a time. All that this engine asks of Ito is here. */
#ifndef FRAME_LOOP_PICTURE_H
#define FRAME_LOOP_PICTURE_H

#include <ito/ito.h>

#include "gpu.h"

#define PICTURE_MARGIN 4 /* pixels of the host's around the image */

typedef struct PictureOptions {
  const char *model, *sampler, *cache;
  uint32_t steps, seed, class_index, budget_us;
  double guidance;
} PictureOptions;

typedef struct Picture {
  PictureOptions options;
  GpuImage texture;
  uint32_t width, height; /* of the image, without margin */
  GpuBuffer blank;        /* the texture as it is before any image, for the host to upload */
  ItoApi ito;
  ItoContext context;
  ItoModel model;
  ItoJob job;
  ItoBudget budget;
  ItoProgress progress;
} Picture;

/* Before the device is made: turns on what Ito likes to have. */
void picture_wants(Gpu *gpu);
/* Reads the model and makes the job; takes seconds. */
Picture picture_create(const Gpu *gpu, const PictureOptions *options);
/* Begins image number `index`, of seed `seed + index`. */
void picture_begin(Picture *picture, uint32_t index);
/* Records a slice, and once the image is done its way into the texture, which is then in
 * TRANSFER_SRC_OPTIMAL, otherwise untouched. Gives 1 in that case, else 0. */
int picture_record(Picture *picture, VkCommandBuffer commands);
/* Fills the whole texture from `pixels`, which is as large; by the host alone. */
void picture_upload(const Picture *picture, VkCommandBuffer commands, VkBuffer pixels, int first);
void picture_destroy(const Gpu *gpu, Picture *picture);

/* A texture without Ito, for images of this size. */
Picture picture_without(const Gpu *gpu, uint32_t width, uint32_t height);

#endif
