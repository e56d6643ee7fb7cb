#include "window.h"

#define GLFW_INCLUDE_NONE
#include <GLFW/glfw3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kImages = 8 };

struct Window {
  const Gpu *gpu;
  GLFWwindow *handle;
  VkSurfaceKHR surface;
  VkSwapchainKHR swapchain;
  VkExtent2D extent;
  VkImage images[kImages];
  uint32_t image_count, image;
  /* One for each image: an acquired image's semaphore was waited for when the image comes again. */
  VkSemaphore acquired[kImages + 1], rendered[kImages];
  uint32_t next;
  int space;
};

static void need(int true_, const char *what) {
  const char *reason = NULL;
  char message[512];
  if (true_) return;
  glfwGetError(&reason);
  snprintf(message, sizeof message, "%s: %s", what, reason != NULL ? reason : "not here");
  fail(message);
}

const char *const *window_extensions(uint32_t *count) {
  const char **names;
  need(glfwInit(), "no window");
  names = glfwGetRequiredInstanceExtensions(count);
  need(names != NULL, "no window for Vulkan");
  return names;
}

static void make_swapchain(Window *window) {
  const Gpu *gpu = window->gpu;
  VkSurfaceCapabilitiesKHR surface;
  VkSurfaceFormatKHR formats[64];
  VkSwapchainCreateInfoKHR info = {VK_STRUCTURE_TYPE_SWAPCHAIN_CREATE_INFO_KHR};
  uint32_t format_count = 64, chosen = 0, i;
  int width, height;
  const VkSwapchainKHR old = window->swapchain;
  check(vkGetPhysicalDeviceSurfaceCapabilitiesKHR(gpu->physical, window->surface, &surface),
        "vkGetPhysicalDeviceSurfaceCapabilitiesKHR");
  if (vkGetPhysicalDeviceSurfaceFormatsKHR(gpu->physical, window->surface, &format_count, formats) <
      0)
    format_count = 0;
  need(format_count > 0, "formats of the surface");
  for (i = 0; i < format_count; ++i)
    if (formats[i].format == VK_FORMAT_B8G8R8A8_UNORM) chosen = i;
  glfwGetFramebufferSize(window->handle, &width, &height);
  window->extent = surface.currentExtent;
  if (window->extent.width == 0xffffffffu) {
    window->extent.width = (uint32_t)width;
    window->extent.height = (uint32_t)height;
  }
  info.surface = window->surface;
  info.minImageCount = surface.minImageCount < 3 ? 3 : surface.minImageCount;
  if (surface.maxImageCount != 0 && info.minImageCount > surface.maxImageCount)
    info.minImageCount = surface.maxImageCount;
  info.imageFormat = formats[chosen].format;
  info.imageColorSpace = formats[chosen].colorSpace;
  info.imageExtent = window->extent;
  info.imageArrayLayers = 1;
  info.imageUsage = VK_IMAGE_USAGE_TRANSFER_DST_BIT;
  info.preTransform = surface.currentTransform;
  info.compositeAlpha = VK_COMPOSITE_ALPHA_OPAQUE_BIT_KHR;
  info.presentMode = VK_PRESENT_MODE_FIFO_KHR;
  info.clipped = VK_TRUE;
  info.oldSwapchain = old;
  check(vkCreateSwapchainKHR(gpu->device, &info, NULL, &window->swapchain), "vkCreateSwapchainKHR");
  vkDestroySwapchainKHR(gpu->device, old, NULL);
  window->image_count = kImages;
  check(
      vkGetSwapchainImagesKHR(gpu->device, window->swapchain, &window->image_count, window->images),
      "vkGetSwapchainImagesKHR");
}

struct GLFWwindow *window_handle(Window *window) {
  return window->handle;
}

Window *window_open(const Gpu *gpu, const char *title, uint32_t width, uint32_t height) {
  Window *window = calloc(1, sizeof *window);
  VkSemaphoreCreateInfo info = {VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
  VkBool32 shown = VK_FALSE;
  uint32_t i;
  need(window != NULL, "memory");
  window->gpu = gpu;
  glfwWindowHint(GLFW_CLIENT_API, GLFW_NO_API);
  window->handle = glfwCreateWindow((int)width, (int)height, title, NULL, NULL);
  need(window->handle != NULL, "glfwCreateWindow");
  check(glfwCreateWindowSurface(gpu->instance, window->handle, NULL, &window->surface),
        "glfwCreateWindowSurface");
  check(vkGetPhysicalDeviceSurfaceSupportKHR(gpu->physical, gpu->family, window->surface, &shown),
        "vkGetPhysicalDeviceSurfaceSupportKHR");
  need(shown == VK_TRUE, "the queue cannot show images in this window");
  for (i = 0; i < kImages + 1; ++i)
    check(vkCreateSemaphore(gpu->device, &info, NULL, &window->acquired[i]), "vkCreateSemaphore");
  for (i = 0; i < kImages; ++i)
    check(vkCreateSemaphore(gpu->device, &info, NULL, &window->rendered[i]), "vkCreateSemaphore");
  make_swapchain(window);
  return window;
}

int window_poll(Window *window, int *toggled) {
  const int space = glfwGetKey(window->handle, GLFW_KEY_SPACE) == GLFW_PRESS;
  glfwPollEvents();
  *toggled = space && !window->space;
  window->space = space;
  if (glfwGetKey(window->handle, GLFW_KEY_ESCAPE) == GLFW_PRESS) return 0;
  return !glfwWindowShouldClose(window->handle);
}

static void acquire(Window *window) {
  const Gpu *gpu = window->gpu;
  VkResult result;
  for (;;) {
    result = vkAcquireNextImageKHR(gpu->device, window->swapchain, UINT64_MAX,
                                   window->acquired[window->next], VK_NULL_HANDLE, &window->image);
    if (result == VK_SUCCESS || result == VK_SUBOPTIMAL_KHR) return;
    if (result != VK_ERROR_OUT_OF_DATE_KHR) check(result, "vkAcquireNextImageKHR");
    check(vkDeviceWaitIdle(gpu->device), "vkDeviceWaitIdle"); /* it was resized */
    make_swapchain(window);
  }
}

void window_record(Window *window, VkCommandBuffer commands, const GpuImage *image) {
  VkImageBlit blit;
  acquire(window);
  memset(&blit, 0, sizeof blit);
  blit.srcSubresource.aspectMask = blit.dstSubresource.aspectMask = VK_IMAGE_ASPECT_COLOR_BIT;
  blit.srcSubresource.layerCount = blit.dstSubresource.layerCount = 1;
  blit.srcOffsets[1].x = (int32_t)image->width;
  blit.srcOffsets[1].y = (int32_t)image->height;
  blit.dstOffsets[1].x = (int32_t)window->extent.width;
  blit.dstOffsets[1].y = (int32_t)window->extent.height;
  blit.srcOffsets[1].z = blit.dstOffsets[1].z = 1;
  /* The wait for the image's semaphore is at this stage too. */
  gpu_barrier(commands, window->images[window->image], VK_IMAGE_LAYOUT_UNDEFINED,
              VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, VK_PIPELINE_STAGE_TRANSFER_BIT, 0,
              VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT);
  vkCmdBlitImage(commands, image->image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
                 window->images[window->image], VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &blit,
                 VK_FILTER_LINEAR);
  gpu_barrier(commands, window->images[window->image], VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
              VK_IMAGE_LAYOUT_PRESENT_SRC_KHR, VK_PIPELINE_STAGE_TRANSFER_BIT,
              VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, 0);
}

void window_submit(Window *window, VkCommandBuffer commands, VkFence fence) {
  const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_TRANSFER_BIT;
  VkSubmitInfo submit = {VK_STRUCTURE_TYPE_SUBMIT_INFO};
  VkPresentInfoKHR present = {VK_STRUCTURE_TYPE_PRESENT_INFO_KHR};
  VkResult result;
  submit.waitSemaphoreCount = 1;
  submit.pWaitSemaphores = &window->acquired[window->next];
  submit.pWaitDstStageMask = &stage;
  submit.commandBufferCount = 1;
  submit.pCommandBuffers = &commands;
  submit.signalSemaphoreCount = 1;
  submit.pSignalSemaphores = &window->rendered[window->image];
  check(vkQueueSubmit(window->gpu->queue, 1, &submit, fence), "vkQueueSubmit");
  window->next = (window->next + 1) % (kImages + 1);
  present.waitSemaphoreCount = 1;
  present.pWaitSemaphores = &window->rendered[window->image];
  present.swapchainCount = 1;
  present.pSwapchains = &window->swapchain;
  present.pImageIndices = &window->image;
  result = vkQueuePresentKHR(window->gpu->queue, &present);
  if (result != VK_SUBOPTIMAL_KHR && result != VK_ERROR_OUT_OF_DATE_KHR)
    check(result, "vkQueuePresentKHR");
}

void window_close(Window *window) {
  uint32_t i;
  for (i = 0; i < kImages + 1; ++i)
    vkDestroySemaphore(window->gpu->device, window->acquired[i], NULL);
  for (i = 0; i < kImages; ++i) vkDestroySemaphore(window->gpu->device, window->rendered[i], NULL);
  vkDestroySwapchainKHR(window->gpu->device, window->swapchain, NULL);
  vkDestroySurfaceKHR(window->gpu->instance, window->surface, NULL);
  glfwDestroyWindow(window->handle);
  glfwTerminate();
  free(window);
}
