/* Sampler: Ito on Godot's device. Godot gives its handles and an image; slices go to its queue in
 * command buffers made here, between two of its frames. Not for: Godot's types (extension.c). */
#ifndef GODOT_SAMPLER_H
#define GODOT_SAMPLER_H

#include <stdint.h>

typedef struct Sampler Sampler;

/* NULL where there is no memory. */
Sampler *sampler_new(void);
void sampler_free(Sampler *sampler);
/* In words; of the last call that gave -1. */
const char *sampler_error(const Sampler *sampler);

/* All give 0, or -1 for an error. The handles are those of RenderingDevice.get_driver_resource. */
int sampler_open(Sampler *sampler, uint64_t instance, uint64_t physical, uint64_t device,
                 uint64_t queue, uint32_t family, const char *cache);
/* `sampler_name`: empty for the model's own. Takes seconds. */
int sampler_load(Sampler *sampler, const char *folder, const char *sampler_name, uint32_t steps,
                 double guidance);
int sampler_begin(Sampler *sampler, uint32_t seed, uint32_t class_index);
/* Submits the next slice; 1: and with it the finished image, into `image`, which Godot has sampled
 * and goes on to sample. 0 besides where the device has not yet done earlier slices. */
int sampler_advance(Sampler *sampler, uint64_t image, uint32_t budget_us);

/* Of what is loaded; 0 before. */
uint32_t sampler_width(const Sampler *sampler);
uint32_t sampler_height(const Sampler *sampler);
uint32_t sampler_step(const Sampler *sampler);
uint32_t sampler_steps(const Sampler *sampler);

#endif
