/* A render loop that has a scene to draw, and lets Ito sample an image beside it: a few
 * milliseconds of the device's time in each frame's own command buffer. Headless, the same frames
 * are drawn once with Ito and once without, where the host uploads the finished image itself; the
 * two must agree in every pixel, and their times are compared. See README.md. */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO_WARNING
#include <stb_image.h>
#include <stb_image_write.h>

#include "options.h"
#include "picture.h"
#include "scene.h"
#include "window.h"

enum { kSlots = 2 /* frames in flight */, kTimes = 3 /* begin, after the slice, end */ };

/* What is known of a frame once the device has done it. */
typedef struct Frame {
  double slice_ms, frame_ms, host_ms; /* the device's times, and the host's to record and submit */
  uint32_t step;
  int sliced; /* Ito recorded something in it */
  int image;  /* number of the image that its texture got, or -1 */
  uint64_t hash;
} Frame;

typedef struct Frames {
  Frame *items;
  uint32_t count, room;
} Frames;

typedef struct Slot {
  VkCommandBuffer commands;
  VkFence fence;
  VkQueryPool times;
  GpuBuffer pixels, texture; /* what was drawn, and the texture after a new image */
  uint32_t frame;
  int used;
} Slot;

typedef struct Loop {
  Options options;
  Gpu gpu;
  Picture picture;
  Scene scene;
  Window *window;
  VkCommandPool pool;
  Slot slots[kSlots];
  GpuBuffer *images; /* textures with each finished image, for the run without Ito */
  uint32_t image_count;
} Loop;

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void sleep_until(double ms) {
  const double left = ms - now_ms();
  struct timespec t;
  if (left <= 0) return;
  t.tv_sec = (time_t)(left / 1e3);
  t.tv_nsec = (long)((left - (double)t.tv_sec * 1e3) * 1e6);
  nanosleep(&t, NULL);
}

static void *grow(void *items, size_t bytes) {
  items = realloc(items, bytes);
  if (items != NULL) return items;
  fprintf(stderr, "frame_loop: out of memory\n");
  exit(1);
}

/* FNV-1a, of 64 bits. */
static uint64_t hash(const uint8_t *bytes, size_t count) {
  uint64_t h = 14695981039346656037u;
  size_t i;
  for (i = 0; i < count; ++i) h = (h ^ bytes[i]) * 1099511628211u;
  return h;
}

static size_t texture_bytes(const Loop *loop) {
  return (size_t)loop->picture.texture.width * loop->picture.texture.height * 4;
}

static void write_png(const Loop *loop, const char *name, uint32_t width, uint32_t height,
                      const uint8_t *pixels, size_t stride) {
  char path[1024];
  if (loop->options.folder == NULL) return;
  snprintf(path, sizeof path, "%s/%s", loop->options.folder, name);
  if (stbi_write_png(path, (int)width, (int)height, 4, pixels, (int)stride)) return;
  fprintf(stderr, "frame_loop: cannot write %s\n", path);
  exit(1);
}

static void open_loop(Loop *loop) {
  VkCommandPoolCreateInfo pool = {VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  VkCommandBufferAllocateInfo commands = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  VkFenceCreateInfo fence = {VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
  VkQueryPoolCreateInfo times = {VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
  uint32_t i, extension_count = 0;
  const char *const *extensions = NULL;
  const Options *options = &loop->options;
  if (options->window) extensions = window_extensions(&extension_count);
  gpu_open(&loop->gpu, "frame_loop", extensions, extension_count);
  if (options->without == NULL) picture_wants(&loop->gpu);
  if (options->window) gpu_enable_extension(&loop->gpu, VK_KHR_SWAPCHAIN_EXTENSION_NAME);
  gpu_create_device(&loop->gpu);
  pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  pool.queueFamilyIndex = loop->gpu.family;
  check(vkCreateCommandPool(loop->gpu.device, &pool, NULL, &loop->pool), "vkCreateCommandPool");
  if (options->without == NULL) {
    loop->picture = picture_create(&loop->gpu, &options->picture);
  } else {
    int width, height, channels;
    uint8_t *pixels = stbi_load(options->without, &width, &height, &channels, 4);
    int y;
    if (pixels == NULL) {
      fprintf(stderr, "frame_loop: cannot read %s\n", options->without);
      exit(1);
    }
    loop->picture = picture_without(&loop->gpu, (uint32_t)width, (uint32_t)height);
    for (y = 0; y < height; ++y)
      memcpy((uint8_t *)loop->picture.blank.data +
                 4 * ((size_t)(y + PICTURE_MARGIN) * loop->picture.texture.width + PICTURE_MARGIN),
             pixels + 4 * (size_t)y * (size_t)width, 4 * (size_t)width);
    stbi_image_free(pixels);
  }
  loop->scene =
      scene_create(&loop->gpu, options->width, options->height, loop->picture.texture.view);
  if (options->window)
    loop->window = window_open(&loop->gpu, "frame_loop", options->width, options->height);
  commands.commandPool = loop->pool;
  commands.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  commands.commandBufferCount = 1;
  times.queryType = VK_QUERY_TYPE_TIMESTAMP;
  times.queryCount = kTimes;
  for (i = 0; i < kSlots; ++i) {
    Slot *slot = &loop->slots[i];
    check(vkAllocateCommandBuffers(loop->gpu.device, &commands, &slot->commands), "commands");
    check(vkCreateFence(loop->gpu.device, &fence, NULL, &slot->fence), "vkCreateFence");
    check(vkCreateQueryPool(loop->gpu.device, &times, NULL, &slot->times), "vkCreateQueryPool");
    slot->pixels = gpu_buffer(&loop->gpu, (VkDeviceSize)options->width * options->height * 4,
                              VK_BUFFER_USAGE_TRANSFER_DST_BIT);
    slot->texture = gpu_buffer(&loop->gpu, texture_bytes(loop), VK_BUFFER_USAGE_TRANSFER_DST_BIT);
  }
}

static void close_loop(Loop *loop) {
  uint32_t i;
  check(vkDeviceWaitIdle(loop->gpu.device), "vkDeviceWaitIdle");
  for (i = 0; i < kSlots; ++i) {
    gpu_destroy_buffer(&loop->gpu, &loop->slots[i].pixels);
    gpu_destroy_buffer(&loop->gpu, &loop->slots[i].texture);
    vkDestroyQueryPool(loop->gpu.device, loop->slots[i].times, NULL);
    vkDestroyFence(loop->gpu.device, loop->slots[i].fence, NULL);
  }
  for (i = 0; i < loop->image_count; ++i) gpu_destroy_buffer(&loop->gpu, &loop->images[i]);
  free(loop->images);
  vkDestroyCommandPool(loop->gpu.device, loop->pool, NULL);
  if (loop->window != NULL) window_close(loop->window);
  scene_destroy(&loop->gpu, &loop->scene);
  picture_destroy(&loop->gpu, &loop->picture);
  gpu_close(&loop->gpu);
}

/* Waits until the slot's frame is done, and takes what it left. */
static void collect(Loop *loop, Slot *slot, Frames *frames) {
  uint64_t ticks[kTimes];
  Frame *frame;
  const double ms = (double)loop->gpu.properties.limits.timestampPeriod * 1e-6;
  if (!slot->used) return;
  slot->used = 0;
  check(vkWaitForFences(loop->gpu.device, 1, &slot->fence, VK_TRUE, UINT64_MAX), "vkWaitForFences");
  check(vkResetFences(loop->gpu.device, 1, &slot->fence), "vkResetFences");
  check(vkGetQueryPoolResults(loop->gpu.device, slot->times, 0, kTimes, sizeof ticks, ticks,
                              sizeof *ticks, VK_QUERY_RESULT_64_BIT),
        "vkGetQueryPoolResults");
  frame = &frames->items[slot->frame];
  frame->slice_ms = (double)(ticks[1] - ticks[0]) * ms;
  frame->frame_ms = (double)(ticks[2] - ticks[0]) * ms;
  if (loop->window != NULL) return;
  frame->hash = hash(slot->pixels.data, (size_t)loop->options.width * loop->options.height * 4);
  if (loop->options.every != 0 && slot->frame % loop->options.every == 0) {
    char name[64];
    snprintf(name, sizeof name, "frame-%05u.png", slot->frame);
    write_png(loop, name, loop->options.width, loop->options.height, slot->pixels.data,
              (size_t)loop->options.width * 4);
  }
  /* Only the run with Ito finds images that are not there yet. */
  if (frame->image >= 0 && (uint32_t)frame->image == loop->image_count) {
    GpuBuffer copy = gpu_buffer(&loop->gpu, texture_bytes(loop), VK_BUFFER_USAGE_TRANSFER_SRC_BIT);
    memcpy(copy.data, slot->texture.data, texture_bytes(loop));
    loop->images = grow(loop->images, (loop->image_count + 1) * sizeof *loop->images);
    loop->images[loop->image_count++] = copy;
  }
}

static void copy_out(VkCommandBuffer commands, const GpuImage *image, const GpuBuffer *buffer) {
  VkBufferImageCopy region;
  VkMemoryBarrier barrier = {VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  memset(&region, 0, sizeof region);
  region.imageSubresource.aspectMask = VK_IMAGE_ASPECT_COLOR_BIT;
  region.imageSubresource.layerCount = 1;
  region.imageExtent.width = image->width;
  region.imageExtent.height = image->height;
  region.imageExtent.depth = 1;
  vkCmdCopyImageToBuffer(commands, image->image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
                         buffer->buffer, 1, &region);
  barrier.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT;
  barrier.dstAccessMask = VK_ACCESS_HOST_READ_BIT;
  vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
                       &barrier, 0, NULL, 0, NULL);
}

/* One frame's commands: Ito's slice where `ito` says so, the scene, and their way out. */
static void record_frame(Loop *loop, Slot *slot, Frame *frame, int first, int ito,
                         uint32_t *begun) {
  VkCommandBufferBeginInfo begin = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  Picture *picture = &loop->picture;
  VkCommandBuffer commands = slot->commands;
  begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  check(vkBeginCommandBuffer(commands, &begin), "vkBeginCommandBuffer");
  vkCmdResetQueryPool(commands, slot->times, 0, kTimes);
  if (first) picture_upload(picture, commands, picture->blank.buffer, 1);
  vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, slot->times, 0);
  if (ito) {
    if (picture_record(picture, commands)) {
      copy_out(commands, &picture->texture, &slot->texture);
      gpu_barrier(commands, picture->texture.image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
                  VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL, VK_PIPELINE_STAGE_TRANSFER_BIT, 0,
                  VK_PIPELINE_STAGE_FRAGMENT_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT);
      frame->image = (int)*begun;
      picture_begin(picture, ++*begun);
    }
    frame->step = picture->progress.step;
    frame->sliced = 1;
  } else if (frame->image >= 0) {
    picture_upload(picture, commands, loop->images[frame->image].buffer, 0);
  }
  vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, slot->times, 1);
  scene_record(&loop->scene, commands, slot->frame / 240.0);
  if (loop->window != NULL)
    window_record(loop->window, commands, &loop->scene.colour);
  else
    copy_out(commands, &loop->scene.colour, &slot->pixels);
  vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, slot->times, 2);
  check(vkEndCommandBuffer(commands), "vkEndCommandBuffer");
}

static Frame *next_frame(Frames *frames) {
  Frame *frame;
  if (frames->count == frames->room) {
    frames->room = frames->room == 0 ? 1024 : 2 * frames->room;
    frames->items = grow(frames->items, frames->room * sizeof *frames->items);
  }
  frame = &frames->items[frames->count++];
  memset(frame, 0, sizeof *frame);
  frame->image = -1;
  return frame;
}

static int compare_doubles(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* p50, p99 and the largest of one of the times of those frames that are sliced in `which`. */
static void quantiles(const Frames *frames, const Frames *which, size_t offset, double result[3]) {
  double *sorted = grow(NULL, (frames->count + 1) * sizeof *sorted);
  uint32_t count = 0, i;
  memset(result, 0, 3 * sizeof *result);
  for (i = 0; i < frames->count; ++i)
    if (which == NULL || which->items[i].sliced)
      memcpy(&sorted[count++], (const char *)&frames->items[i] + offset, sizeof *sorted);
  if (count > 0) {
    qsort(sorted, count, sizeof *sorted, compare_doubles);
    result[0] = sorted[count / 2];
    result[1] = sorted[(count - 1) * 99 / 100];
    result[2] = sorted[count - 1];
  }
  free(sorted);
}

/* Draws frames until all images are there and were looked at, or as many as `on` has, if not NULL.
 */
static Frames run(Loop *loop, const Frames *on) {
  const Options *options = &loop->options;
  Frames frames = {NULL, 0, 0};
  const int with_ito = on == NULL && options->without == NULL;
  uint32_t begun = 0, last = 0;
  int enabled = 1, toggled;
  double next = now_ms();
  if (with_ito) picture_begin(&loop->picture, 0);
  for (;;) {
    Slot *slot = &loop->slots[frames.count % kSlots];
    Frame *frame;
    double began;
    VkSubmitInfo submit = {VK_STRUCTURE_TYPE_SUBMIT_INFO};
    if (loop->window != NULL) {
      if (!window_poll(loop->window, &toggled)) break;
      enabled ^= toggled;
    }
    if (options->frames != 0 ? frames.count >= options->frames
        : on != NULL         ? frames.count >= on->count
                     : loop->window == NULL && begun >= options->images && frames.count > last + 8)
      break;
    collect(loop, slot, &frames);
    if (options->frame_ms > 0) {
      sleep_until(next);
      next = (next < now_ms() - options->frame_ms ? now_ms() : next) + options->frame_ms;
    }
    frame = next_frame(&frames);
    slot->frame = frames.count - 1;
    if (on != NULL) frame->image = on->items[slot->frame].image;
    began = now_ms();
    record_frame(loop, slot, frame, slot->frame == 0,
                 with_ito && enabled && (loop->window != NULL || begun < options->images), &begun);
    if (frame->image >= 0) last = slot->frame;
    if (loop->window != NULL) {
      window_submit(loop->window, slot->commands, slot->fence);
    } else {
      submit.commandBufferCount = 1;
      submit.pCommandBuffers = &slot->commands;
      check(vkQueueSubmit(loop->gpu.queue, 1, &submit, slot->fence), "vkQueueSubmit");
    }
    slot->used = 1;
    frame->host_ms = now_ms() - began;
  }
  {
    uint32_t i;
    for (i = 0; i < kSlots; ++i) collect(loop, &loop->slots[(frames.count + i) % kSlots], &frames);
  }
  return frames;
}

static void print_times(const Loop *loop, const Frames *on, const Frames *off) {
  const struct {
    const char *name;
    size_t offset;
  } rows[] = {{"slice", offsetof(Frame, slice_ms)},
              {"frame", offsetof(Frame, frame_ms)},
              {"host", offsetof(Frame, host_ms)}};
  double a[3], b[3];
  uint32_t i, over = 0, twice = 0, slices = 0;
  const double budget = loop->options.picture.budget_us * 1e-3;
  puts("  frame   step  slice ms   frame ms   without   host ms   without");
  for (i = 0; i < on->count; ++i) {
    const Frame *x = &on->items[i], *y = &off->items[i];
    printf("%7u%7u%10.3f%11.3f%10.3f%10.3f%10.3f%s\n", i, x->step, x->slice_ms, x->frame_ms,
           y->frame_ms, x->host_ms, y->host_ms, x->image >= 0 ? "  image" : "");
    if (!x->sliced) continue;
    ++slices;
    over += x->slice_ms > budget;
    twice += x->slice_ms > 2 * budget;
  }
  puts("in ms      with Ito: p50       p99       max   without: p50       p99       max");
  for (i = 0; i < 3; ++i) {
    quantiles(on, on, rows[i].offset, a);
    quantiles(off, on, rows[i].offset, b);
    printf("%-12s%12.3f%10.3f%10.3f%15.3f%10.3f%10.3f\n", rows[i].name, a[0], a[1], a[2], b[0],
           b[1], b[2]);
  }
  if (budget > 0)
    printf("budget %.3f ms: %u of %u slices above it, %u above twice\n", budget, over, slices,
           twice);
}

/* Gives the number of pixels of the texture that are wrong: the host's around the image, and those
 * of the image where there is a PNG to compare with. */
static uint32_t wrong_pixels(const Loop *loop) {
  const uint8_t *texture = loop->images[loop->image_count - 1].data,
                *blank = loop->picture.blank.data;
  const uint32_t w = loop->picture.width, h = loop->picture.height;
  uint8_t *expected = NULL;
  uint32_t x, y, outside = 0, inside = 0;
  if (loop->options.compare != NULL) {
    int width, height, channels;
    expected = stbi_load(loop->options.compare, &width, &height, &channels, 4);
    if (expected == NULL || (uint32_t)width != w || (uint32_t)height != h) {
      fprintf(stderr, "frame_loop: %s cannot be read, or is not %ux%u\n", loop->options.compare, w,
              h);
      exit(1);
    }
  }
  for (y = 0; y < loop->picture.texture.height; ++y)
    for (x = 0; x < loop->picture.texture.width; ++x) {
      const size_t at = 4 * ((size_t)y * loop->picture.texture.width + x);
      const uint32_t u = x - PICTURE_MARGIN, v = y - PICTURE_MARGIN;
      if (u >= w || v >= h)
        outside += memcmp(texture + at, blank + at, 4) != 0;
      else if (expected != NULL)
        inside += memcmp(texture + at, expected + 4 * ((size_t)v * w + u), 4) != 0;
    }
  stbi_image_free(expected);
  printf("texture: %u of the host's pixels changed", outside);
  if (expected != NULL)
    printf(", %u of %u pixels differ from %s", inside, w * h, loop->options.compare);
  puts("");
  return outside + inside;
}

int main(int count, char **arguments) {
  static Loop loop;
  Frames on, off = {NULL, 0, 0};
  uint32_t i, different = 0, wrong = 0;
  loop.options = read_options(count, arguments);
  open_loop(&loop);
  printf("%s\n", loop.gpu.properties.deviceName);
  on = run(&loop, NULL);
  if (loop.window == NULL && on.count > 0) {
    Slot *slot = &loop.slots[(on.count - 1) % kSlots];
    write_png(&loop, "frame.png", loop.options.width, loop.options.height, slot->pixels.data,
              (size_t)loop.options.width * 4);
  }
  if (loop.image_count > 0) {
    const size_t stride = (size_t)loop.picture.texture.width * 4;
    off = run(&loop, &on);
    print_times(&loop, &on, &off);
    for (i = 0; i < on.count; ++i) different += on.items[i].hash != off.items[i].hash;
    printf("frames: %u of %u differ from those without Ito\n", different, on.count);
    write_png(
        &loop, "picture.png", loop.picture.width, loop.picture.height,
        (const uint8_t *)loop.images[loop.image_count - 1].data + PICTURE_MARGIN * (stride + 4),
        stride);
    wrong = wrong_pixels(&loop);
  } else {
    double host[3], frame[3];
    quantiles(&on, NULL, offsetof(Frame, host_ms), host);
    quantiles(&on, NULL, offsetof(Frame, frame_ms), frame);
    printf("%u frames; in ms: frame p50 %.3f, p99 %.3f; host p50 %.3f, p99 %.3f\n", on.count,
           frame[0], frame[1], host[0], host[1]);
  }
  free(on.items);
  free(off.items);
  close_loop(&loop);
  return different != 0 || wrong != 0;
}
