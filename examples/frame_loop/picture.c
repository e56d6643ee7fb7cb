#include "picture.h"

#include <stdio.h>
#include <stdlib.h>

static void ask(const ItoApi *ito, ItoResult result, const char *what) {
  if (result >= 0) return;
  fprintf(stderr, "frame_loop: %s: %s (%s)\n", what, ito->last_error(), ito->result_text(result));
  exit(1);
}

static ItoApi table(void) {
  ItoApi ito;
  if (ito_get_api(ITO_API_VERSION, sizeof ito, &ito) == ITO_OK) return ito;
  fprintf(stderr, "frame_loop: libito.so is older than this program\n");
  exit(1);
}

void picture_wants(Gpu *gpu) {
  const ItoApi ito = table();
  uint32_t count, i;
  const char *const *extensions = ito.optional_extensions(&count);
  ask(&ito,
      ito.enable_features(vkGetInstanceProcAddr, gpu->instance, gpu->physical, &gpu->features),
      "enable_features");
  for (i = 0; i < count; ++i)
    if (gpu_has_extension(gpu, extensions[i])) gpu_enable_extension(gpu, extensions[i]);
}

/* The host's own pixels: a frame of two colours, and grey where the image will be. */
static void paint(uint8_t *pixels, uint32_t width, uint32_t height) {
  uint32_t x, y;
  for (y = 0; y < height; ++y)
    for (x = 0; x < width; ++x) {
      uint8_t *pixel = pixels + 4 * ((size_t)y * width + x);
      const int inside = x >= PICTURE_MARGIN && y >= PICTURE_MARGIN && x < width - PICTURE_MARGIN &&
                         y < height - PICTURE_MARGIN;
      const int dark = ((x + y) / 2) % 2;
      pixel[0] = inside ? 96 : dark ? 150 : 220;
      pixel[1] = inside ? 96 : dark ? 90 : 170;
      pixel[2] = inside ? 96 : dark ? 30 : 80;
      pixel[3] = 255;
    }
}

Picture picture_without(const Gpu *gpu, uint32_t width, uint32_t height) {
  Picture picture;
  const uint32_t outer_width = width + 2 * PICTURE_MARGIN,
                 outer_height = height + 2 * PICTURE_MARGIN;
  memset(&picture, 0, sizeof picture);
  picture.width = width;
  picture.height = height;
  picture.texture = gpu_image(gpu, VK_FORMAT_R8G8B8A8_UNORM, outer_width, outer_height,
                              VK_IMAGE_USAGE_SAMPLED_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT |
                                  VK_IMAGE_USAGE_TRANSFER_DST_BIT,
                              VK_IMAGE_ASPECT_COLOR_BIT);
  picture.blank = gpu_buffer(gpu, (VkDeviceSize)outer_width * outer_height * 4,
                             VK_BUFFER_USAGE_TRANSFER_SRC_BIT);
  paint(picture.blank.data, outer_width, outer_height);
  return picture;
}

Picture picture_create(const Gpu *gpu, const PictureOptions *options) {
  const ItoApi ito = table();
  ItoHostDevice host;
  ItoContextInfo context_info;
  ItoModelInfo model_info;
  ItoSampleInfo sample_info;
  ItoJobProperties properties;
  ItoContext context;
  ItoModel model;
  ItoJob job;
  Picture picture;
  ITO_INIT(host, HOST_DEVICE);
  host.get_instance_proc_addr = vkGetInstanceProcAddr;
  host.instance = gpu->instance;
  host.physical_device = gpu->physical;
  host.device = gpu->device;
  host.api_version = VK_API_VERSION_1_2;
  host.enabled_features = &gpu->features;
  host.enabled_extensions = gpu->extensions;
  host.enabled_extension_count = gpu->extension_count;
  host.queue_family = gpu->family;
  host.queue = gpu->queue;
  ITO_INIT(context_info, CONTEXT_INFO);
  context_info.host = &host;
  context_info.cache_folder = options->cache;
  ask(&ito, ito.create_context(&context_info, &context), "create_context");
  ITO_INIT(model_info, MODEL_INFO);
  model_info.folder = options->model;
  ask(&ito, ito.load_model(context, &model_info, &model), "load_model");
  ITO_INIT(sample_info, SAMPLE_INFO);
  sample_info.sampler = options->sampler;
  sample_info.steps = options->steps;
  sample_info.guidance_scale = options->guidance;
  sample_info.pixel_format = ITO_PIXEL_FORMAT_RGBA8;
  ask(&ito, ito.create_sample_job(model, &sample_info, &job), "create_sample_job");
  ITO_INIT(properties, JOB_PROPERTIES);
  ask(&ito, ito.get_job_properties(job, &properties), "get_job_properties");

  picture = picture_without(gpu, properties.width, properties.height);
  picture.options = *options;
  picture.ito = ito;
  picture.context = context;
  picture.model = model;
  picture.job = job;
  ITO_INIT(picture.budget, BUDGET);
  picture.budget.gpu_microseconds = options->budget_us;
  ITO_INIT(picture.progress, PROGRESS);
  return picture;
}

void picture_begin(Picture *picture, uint32_t index) {
  const ItoImageRequest request = {picture->options.seed + index, picture->options.class_index};
  ask(&picture->ito, picture->ito.restart(picture->job, &request, 1), "restart");
}

int picture_record(Picture *picture, VkCommandBuffer commands) {
  const ItoApi *ito = &picture->ito;
  ItoImageTarget target;
  ask(ito, ito->record_slice(picture->job, commands, &picture->budget, &picture->progress),
      "record_slice");
  if (!picture->progress.recorded) return 0;
  ITO_INIT(target, IMAGE_TARGET);
  target.image = picture->texture.image;
  target.offset.x = target.offset.y = PICTURE_MARGIN;
  target.layout_before = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL;
  target.stages_before = VK_PIPELINE_STAGE_FRAGMENT_SHADER_BIT;
  target.layout_after = VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL;
  target.stages_after = VK_PIPELINE_STAGE_TRANSFER_BIT;
  target.access_after = VK_ACCESS_TRANSFER_READ_BIT;
  ask(ito, ito->record_image(picture->job, commands, &target), "record_image");
  return 1;
}

void picture_upload(const Picture *picture, VkCommandBuffer commands, VkBuffer pixels, int first) {
  VkBufferImageCopy region;
  memset(&region, 0, sizeof region);
  region.imageSubresource.aspectMask = VK_IMAGE_ASPECT_COLOR_BIT;
  region.imageSubresource.layerCount = 1;
  region.imageExtent.width = picture->texture.width;
  region.imageExtent.height = picture->texture.height;
  region.imageExtent.depth = 1;
  gpu_barrier(commands, picture->texture.image,
              first ? VK_IMAGE_LAYOUT_UNDEFINED : VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
              VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, VK_PIPELINE_STAGE_FRAGMENT_SHADER_BIT, 0,
              VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT);
  vkCmdCopyBufferToImage(commands, pixels, picture->texture.image,
                         VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &region);
  gpu_barrier(commands, picture->texture.image, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
              VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL, VK_PIPELINE_STAGE_TRANSFER_BIT,
              VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_FRAGMENT_SHADER_BIT,
              VK_ACCESS_SHADER_READ_BIT);
}

void picture_destroy(const Gpu *gpu, Picture *picture) {
  if (picture->context != NULL) {
    picture->ito.destroy_job(picture->job);
    picture->ito.destroy_model(picture->model);
    picture->ito.destroy_context(picture->context);
  }
  gpu_destroy_buffer(gpu, &picture->blank);
  gpu_destroy_image(gpu, &picture->texture);
}
