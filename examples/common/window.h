/* A window that shows an image, by GLFW. Not for: drawing. */
#ifndef EXAMPLES_WINDOW_H
#define EXAMPLES_WINDOW_H

#include "gpu.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct Window Window;

/* The extensions of the instance that a window needs; ends the program where there is no display.
 */
const char *const *window_extensions(uint32_t *count);
Window *window_open(const Gpu *gpu, const char *title, uint32_t width, uint32_t height);
/* GLFW's own, for who wants its input. */
struct GLFWwindow *window_handle(Window *window);
/* Handles input and gives 0 when the window is to close. `toggled` is 1 when space was pressed. */
int window_poll(Window *window, int *toggled);
/* Between acquire and present: a copy of `image` (TRANSFER_SRC_OPTIMAL) into the window's next one.
 */
void window_record(Window *window, VkCommandBuffer commands, const GpuImage *image);
/* Submits, with the window's semaphores, and shows. */
void window_submit(Window *window, VkCommandBuffer commands, VkFence fence);
void window_close(Window *window);

#ifdef __cplusplus
}
#endif

#endif
